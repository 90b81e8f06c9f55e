// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Book-keeping of requests in flight. Touches one record in a shared page; bounded by the ring's
// size.
#include "memory/inflight.h"

#include <errno.h>
#include <string.h>

// The record is read after the process has died at any instruction: the order of these stores is
// the protocol.
#define ordered() __atomic_signal_fence(__ATOMIC_SEQ_CST)

void inflight_reset(struct virtqueue_inflight *record, uint16_t size)
{
    memset(record, 0, sizeof(*record) + size * sizeof(record->descriptors[0]));
    record->size = size;
    ordered();
    record->version = INFLIGHT_VERSION;
}

void inflight_clear(struct virtqueue_inflight *record)
{
    record->version = 0;
    ordered();
}

void inflight_take(struct virtqueue_inflight *record, uint16_t head, uint64_t counter)
{
    record->descriptors[head].counter = counter;
    ordered();
    record->descriptors[head].inflight = 1;
    ordered();
}

void inflight_publish(struct virtqueue_inflight *record, uint16_t head)
{
    record->last_batch_head = head;
    ordered();
}

void inflight_done(struct virtqueue_inflight *record, uint16_t head, uint16_t used_index)
{
    ordered();
    record->descriptors[head].inflight = 0;
    ordered();
    record->used_index = used_index;
}

static void insert_by_counter(const struct virtqueue_inflight *record, uint16_t *heads, int count,
                              uint16_t head)
{
    int at = count;

    while (at > 0 &&
           record->descriptors[heads[at - 1]].counter > record->descriptors[head].counter) {
        heads[at] = heads[at - 1];
        at--;
    }
    heads[at] = head;
}

int inflight_recover(struct virtqueue_inflight *record, uint16_t size, uint16_t used_index,
                     uint16_t *heads, uint64_t *counter)
{
    uint16_t last = record->last_batch_head;
    int count = 0;

    *counter = 0;
    if (record->version == 0) {
        // The predecessor died before it had started this ring.
        inflight_reset(record, size);
        record->used_index = used_index;
        return 0;
    }
    if (record->version != INFLIGHT_VERSION || record->size != size)
        return -EINVAL;
    // The used entry went out, the process died before it could say so here.
    if (record->used_index != used_index && last < size)
        record->descriptors[last].inflight = 0;
    record->used_index = used_index;
    for (uint16_t head = 0; head < size; head++) {
        if (record->descriptors[head].inflight != 1)
            continue;
        insert_by_counter(record, heads, count++, head);
        if (record->descriptors[head].counter >= *counter)
            *counter = record->descriptors[head].counter + 1;
    }
    return count;
}
