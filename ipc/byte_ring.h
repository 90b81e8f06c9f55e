// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A pair of byte rings in one shared memfd between the coordinator, which has the serial port's
// registers, and the serial process, which has the terminal. Bytes move without a system call; an
// eventfd is written only when the other side said that it sleeps. Each side owns its own index and
// treats everything that the other side writes as hostile: read once, masked, bounded. A ring that
// is full shows to the guest as a busy transmitter.
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BYTE_RING_SIZE 4096u // bytes, a power of two

// One direction. `head` is written by the producer, `tail` and `sleeping` by the consumer,
// `blocked` by the producer.
struct byte_ring {
    _Atomic uint32_t head;
    _Atomic uint32_t blocked; // the producer waits for room
    uint8_t pad0[56];
    _Atomic uint32_t tail;
    _Atomic uint32_t sleeping; // the consumer waits for bytes
    uint8_t pad1[56];
    uint8_t data[BYTE_RING_SIZE];
};

struct byte_ring_pair {
    struct byte_ring to_guest;
    struct byte_ring from_guest;
};

static_assert(offsetof(struct byte_ring, tail) == 64,
              "indices of the two sides share no cache line");
static_assert(sizeof(struct byte_ring) == 128 + BYTE_RING_SIZE, "layout between two processes");

// Producer. Whether one more byte fits; if not, asks the consumer to signal when there is room
// again.
bool byte_ring_has_room(struct byte_ring *ring);
// Puts up to `length` bytes; number put. `*wake`: the consumer sleeps, signal its eventfd.
size_t byte_ring_put(struct byte_ring *ring, const void *bytes, size_t length, bool *wake);

// Consumer. Takes up to `length` bytes; number taken. `*wake`: the producer waits for room, signal
// its eventfd.
size_t byte_ring_get(struct byte_ring *ring, void *bytes, size_t length, bool *wake);
// Number of bytes that wait (0..BYTE_RING_SIZE).
size_t byte_ring_used(struct byte_ring *ring);
// Says that the consumer is about to sleep. false: there are bytes after all, do not sleep.
bool byte_ring_sleep(struct byte_ring *ring);
