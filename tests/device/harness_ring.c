// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The driver's side of split virtqueues, for tests: correct where it is asked to be, and with every
// field open to be broken.
#include "tests/device/harness.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

void harness_queue_clear(struct harness_queue *queue)
{
    memset(queue->descriptors, 0, sizeof(queue->descriptors[0]) * queue->size);
    memset(queue->available, 0, 6 + 2u * queue->size);
    memset(queue->used, 0, 6 + 8u * queue->size);
    for (uint16_t i = 0; i < queue->size; i++)
        queue->descriptors[i].next = (uint16_t)(i + 1);
    queue->free_head = 0;
    queue->free_count = queue->size;
    queue->next_available = 0;
    queue->kicked_available = 0;
    queue->last_used = 0;
}

static struct harness_descriptor describe(const struct harness_piece *pieces, unsigned index,
                                          unsigned count)
{
    return (struct harness_descriptor){
        .address = pieces[index].address,
        .length = pieces[index].length,
        .flags = (uint16_t)((pieces[index].writable ? HARNESS_WRITE : 0) |
                            (index + 1 < count ? HARNESS_NEXT : 0)),
        .next = (uint16_t)(index + 1),
    };
}

uint16_t harness_chain(struct harness_queue *queue, const struct harness_piece *pieces,
                       unsigned count)
{
    uint16_t head = queue->free_head, at = head;

    assert_true(count > 0 && count <= queue->free_count);
    for (unsigned i = 0; i < count; i++) {
        uint16_t next = queue->descriptors[at].next;

        queue->descriptors[at] = describe(pieces, i, count);
        // Free descriptors stay chained behind the last.
        queue->descriptors[at].next = next;
        at = next;
    }
    queue->free_head = at;
    queue->free_count = (uint16_t)(queue->free_count - count);
    return head;
}

uint16_t harness_chain_indirect(struct harness *harness, struct harness_queue *queue,
                                uint64_t table, const struct harness_piece *pieces, unsigned count)
{
    const struct harness_piece all = {
        .address = table,
        .length = (uint32_t)(count * sizeof(struct harness_descriptor)),
    };
    struct harness_descriptor *entries = harness_at(harness, table);
    uint16_t head = harness_chain(queue, &all, 1);

    for (unsigned i = 0; i < count; i++)
        entries[i] = describe(pieces, i, count);
    queue->descriptors[head].flags = HARNESS_INDIRECT;
    return head;
}

void harness_offer(struct harness_queue *queue, uint16_t head)
{
    queue->available->ring[queue->next_available++ & (queue->size - 1)] = head;
    atomic_store_explicit(&queue->available->index, queue->next_available, memory_order_release);
}

void harness_kick_always(struct harness_queue *queue)
{
    static const uint64_t one = 1;

    assert_int_equal(write(queue->kick_fd, &one, sizeof(one)), sizeof(one));
}

static uint16_t *avail_event(struct harness_queue *queue)
{
    return (uint16_t *)(void *)&queue->used->ring[queue->size];
}

static uint16_t *used_event(struct harness_queue *queue)
{
    return &queue->available->ring[queue->size];
}

void harness_kick(struct harness_queue *queue)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (queue->event_index) {
        uint16_t event = __atomic_load_n(avail_event(queue), __ATOMIC_RELAXED);

        // Whether one of the entries since the last kick is the one that the device waits for.
        if ((uint16_t)(queue->next_available - event - 1) >=
            (uint16_t)(queue->next_available - queue->kicked_available)) {
            queue->kicked_available = queue->next_available;
            return;
        }
        queue->kicked_available = queue->next_available;
    } else if ((atomic_load(&queue->used->flags) & 1) != 0) {
        return;
    }
    harness_kick_always(queue);
}

static void free_chain(struct harness_queue *queue, uint16_t head)
{
    uint16_t last = head, count = 1;

    while ((queue->descriptors[last].flags & HARNESS_NEXT) != 0 && count < queue->size) {
        last = queue->descriptors[last].next;
        count++;
    }
    queue->descriptors[last].next = queue->free_head;
    queue->free_head = head;
    queue->free_count = (uint16_t)(queue->free_count + count);
}

bool harness_poll(struct harness_queue *queue, uint16_t *head, uint32_t *length)
{
    uint16_t slot = queue->last_used & (queue->size - 1);

    if (atomic_load_explicit(&queue->used->index, memory_order_acquire) == queue->last_used)
        return false;
    *head = (uint16_t)queue->used->ring[slot].id;
    *length = queue->used->ring[slot].length;
    assert_true(queue->used->ring[slot].id < queue->size);
    queue->last_used++;
    free_chain(queue, *head);
    return true;
}

uint16_t harness_wait(struct harness_queue *queue, uint32_t *length)
{
    uint16_t head;

    for (;;) {
        struct pollfd wait = {.fd = queue->call_fd, .events = POLLIN};
        uint64_t count;

        if (harness_poll(queue, &head, length))
            return head;
        if (queue->event_index) {
            __atomic_store_n(used_event(queue), queue->last_used, __ATOMIC_RELAXED);
            atomic_thread_fence(memory_order_seq_cst);
            if (harness_poll(queue, &head, length))
                return head;
        }
        if (poll(&wait, 1, HARNESS_TIMEOUT_MS) != 1)
            fail_msg("no interrupt within %d ms", HARNESS_TIMEOUT_MS);
        assert_int_equal(read(queue->call_fd, &count, sizeof(count)), sizeof(count));
    }
}

uint32_t harness_request(struct harness_queue *queue, uint16_t head)
{
    uint32_t length;

    harness_offer(queue, head);
    harness_kick(queue);
    assert_int_equal(harness_wait(queue, &length), head);
    return length;
}
