// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Layout of a split virtqueue in guest memory (virtio 1.2, 2.7.5 to 2.7.8). For memory/ only.
#pragma once

#include <assert.h>
#include <stdint.h>

#define RING_DESC_NEXT 1u
#define RING_DESC_WRITE 2u
#define RING_DESC_INDIRECT 4u
#define RING_AVAIL_NO_INTERRUPT 1u
#define RING_USED_NO_NOTIFY 1u

struct ring_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

// `ring` has the queue's size entries; behind them lies used_event.
struct ring_available {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[];
};

struct ring_used_element {
    uint32_t id;
    uint32_t length;
};

// `ring` has the queue's size entries; behind them lies avail_event.
struct ring_used {
    uint16_t flags;
    uint16_t index;
    struct ring_used_element ring[];
};

static_assert(sizeof(struct ring_descriptor) == 16, "virtio 1.2, 2.7.5");
static_assert(sizeof(struct ring_used_element) == 8, "virtio 1.2, 2.7.8");

#define RING_DESCRIPTORS_BYTES(size) (sizeof(struct ring_descriptor) * (size))
#define RING_AVAILABLE_BYTES(size) (6 + 2 * (uint64_t)(size))
#define RING_USED_BYTES(size) (6 + 8 * (uint64_t)(size))
