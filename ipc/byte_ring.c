// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Byte rings between two processes that do not trust each other. All of a ring is shared memory, so
// even the index that a side owns may have been changed by the other: each call reads both indices
// once, and positions are masked. A ring in an impossible state (more than BYTE_RING_SIZE bytes
// used) is full to its producer and empty to its consumer: neither spins nor leaves the array.
#include "ipc/byte_ring.h"

#include <string.h>

#define POSITION_MASK (BYTE_RING_SIZE - 1)

static_assert((BYTE_RING_SIZE & POSITION_MASK) == 0, "indices wrap by a mask");

static size_t smaller(size_t first, size_t second)
{
    return first < second ? first : second;
}

static size_t room(uint32_t head, uint32_t tail)
{
    uint32_t used = head - tail;

    return used > BYTE_RING_SIZE ? 0 : BYTE_RING_SIZE - used;
}

static size_t used(uint32_t head, uint32_t tail)
{
    uint32_t count = head - tail;

    return count > BYTE_RING_SIZE ? 0 : count;
}

// Whether the other side waits, which it has to say only once: takes the mark back. The fence keeps
// the index that was just stored before the look at the mark; the other side sets its mark, then
// looks at the index.
static bool take_mark(_Atomic uint32_t *mark)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(mark, memory_order_relaxed) != 0 && atomic_exchange(mark, 0) != 0;
}

bool byte_ring_has_room(struct byte_ring *ring)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    if (room(head, atomic_load_explicit(&ring->tail, memory_order_acquire)) > 0)
        return true;
    atomic_store(&ring->blocked, 1);
    if (room(head, atomic_load(&ring->tail)) == 0)
        return false;
    atomic_store(&ring->blocked, 0);
    return true;
}

size_t byte_ring_put(struct byte_ring *ring, const void *bytes, size_t length, bool *wake)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    size_t count = smaller(length, room(head, tail));
    size_t start = head & POSITION_MASK;
    size_t first = smaller(count, BYTE_RING_SIZE - start);

    *wake = false;
    if (count == 0)
        return 0;
    memcpy(ring->data + start, bytes, first);
    memcpy(ring->data, (const uint8_t *)bytes + first, count - first);
    atomic_store_explicit(&ring->head, head + (uint32_t)count, memory_order_release);
    *wake = take_mark(&ring->sleeping);
    return count;
}

size_t byte_ring_get(struct byte_ring *ring, void *bytes, size_t length, bool *wake)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    size_t count = smaller(length, used(head, tail));
    size_t start = tail & POSITION_MASK;
    size_t first = smaller(count, BYTE_RING_SIZE - start);

    *wake = false;
    if (count == 0)
        return 0;
    memcpy(bytes, ring->data + start, first);
    memcpy((uint8_t *)bytes + first, ring->data, count - first);
    atomic_store_explicit(&ring->tail, tail + (uint32_t)count, memory_order_release);
    *wake = take_mark(&ring->blocked);
    return count;
}

size_t byte_ring_used(struct byte_ring *ring)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    return used(atomic_load_explicit(&ring->head, memory_order_acquire), tail);
}

bool byte_ring_sleep(struct byte_ring *ring)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    atomic_store(&ring->sleeping, 1);
    if (used(atomic_load(&ring->head), tail) == 0)
        return true;
    atomic_store(&ring->sleeping, 0);
    return false;
}
