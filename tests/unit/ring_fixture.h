// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A driver's side of one split ring in 2 MiB of guest memory, for tests of memory/. Writes whatever
// a test wants, right or wrong.
#pragma once

#include "memory/inflight.h"
#include "memory/ring_layout.h"
#include "memory/virtqueue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define RING_MEMORY (2u << 20)
#define RING_DESCRIPTORS 0x10000u
#define RING_AVAILABLE 0x20000u
#define RING_USED 0x30000u
#define RING_DATA 0x40000u
#define RING_SIZE 8u

struct ring_fixture {
    struct guest_memory *memory;
    struct virtqueue queue;
    struct virtqueue_chain chain;
    int call_fd;
};

static inline void poke(struct ring_fixture *ring, uint64_t at, const void *from, size_t length)
{
    assert_int_equal(guest_write(ring->memory, guest_address(at), from, length), 0);
}

static inline void poke16(struct ring_fixture *ring, uint64_t at, uint16_t value)
{
    poke(ring, at, &value, sizeof(value));
}

static inline uint16_t peek16(struct ring_fixture *ring, uint64_t at)
{
    uint16_t value;

    assert_int_equal(guest_read(ring->memory, guest_address(at), &value, sizeof(value)), 0);
    return value;
}

static inline void describe(struct ring_fixture *ring, uint64_t table, unsigned index,
                            uint64_t address, uint32_t length, uint16_t flags, uint16_t next)
{
    const struct ring_descriptor descriptor = {
        .address = address,
        .length = length,
        .flags = flags,
        .next = next,
    };

    poke(ring, table + index * sizeof(descriptor), &descriptor, sizeof(descriptor));
}

// Puts `head` at the available ring's position `position` and moves its index past it.
static inline void make_available(struct ring_fixture *ring, uint16_t position, uint16_t head)
{
    poke16(ring, RING_AVAILABLE + 4 + 2 * (position % RING_SIZE), head);
    poke16(ring, RING_AVAILABLE + 2, (uint16_t)(position + 1));
}

static inline struct virtqueue_config ring_config(uint64_t features)
{
    return (struct virtqueue_config){
        .size = RING_SIZE,
        .descriptor_area = guest_address(RING_DESCRIPTORS),
        .driver_area = guest_address(RING_AVAILABLE),
        .device_area = guest_address(RING_USED),
        .features = features | UINT64_C(1) << VIRTIO_F_VERSION_1,
    };
}

static inline void ring_start(struct ring_fixture *ring, uint64_t features)
{
    const struct virtqueue_config config = ring_config(features);

    assert_int_equal(virtqueue_start(&ring->queue, &config, false), 0);
}

static inline int ring_setup(void **state)
{
    static struct ring_fixture ring;
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned count = guest_memory_layout(RING_MEMORY, 0xc0000000, regions);
    int fd = guest_memory_create(RING_MEMORY);

    memset(&ring, 0, sizeof(ring));
    assert_true(fd >= 0);
    assert_int_equal(guest_memory_map(fd, regions, count, &ring.memory), 0);
    close(fd);
    ring.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ring.queue.memory = ring.memory;
    ring.queue.call_fd = ring.call_fd;
    ring.queue.kick_fd = -1;
    ring.queue.inflight = calloc(1, virtqueue_inflight_stride());
    *state = &ring;
    return 0;
}

static inline int ring_teardown(void **state)
{
    struct ring_fixture *ring = *state;

    guest_memory_unmap(ring->memory);
    free(ring->queue.inflight);
    close(ring->call_fd);
    return 0;
}
