// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The in-flight record of one split virtqueue, as the vhost-user specification lays it out
// ("Inflight I/O tracking", QueueRegionSplit): a page that the coordinator owns and that outlives
// the device process. A new process finds in it which requests its predecessor had taken and not
// given back. What it reads may come from a compromised predecessor: everything is bounded by the
// ring's size.
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define INFLIGHT_VERSION 1

struct inflight_descriptor {
    uint8_t inflight;
    uint8_t padding[5];
    uint16_t next; // of the same batch
    uint64_t counter;
};

struct virtqueue_inflight {
    uint64_t features;
    uint16_t version;
    uint16_t size; // "desc_num"
    uint16_t last_batch_head;
    uint16_t used_index;
    struct inflight_descriptor descriptors[];
};

static_assert(sizeof(struct inflight_descriptor) == 16, "vhost-user: DescStateSplit");
static_assert(offsetof(struct virtqueue_inflight, descriptors) == 16,
              "vhost-user: QueueRegionSplit");

// An empty record for a ring of `size` entries.
void inflight_reset(struct virtqueue_inflight *record, uint16_t size);

// A record of no ring, as fresh pages are.
void inflight_clear(struct virtqueue_inflight *record);

// Marks `head` as taken; `counter` orders the requests of one process life.
void inflight_take(struct virtqueue_inflight *record, uint16_t head, uint64_t counter);

// Around the publication of a used entry: before, remembers which head is about to be published;
// after, clears it.
void inflight_publish(struct virtqueue_inflight *record, uint16_t head);
void inflight_done(struct virtqueue_inflight *record, uint16_t head, uint16_t used_index);

// After a predecessor's death: settles the request that was being published (`used_index` is the
// ring's), and lists the heads that are in flight, oldest first, in `heads` (room for `size`).
// Number of heads (none in a record of no ring, which becomes one of this ring); *counter is past
// the newest. -EINVAL when the record is not one of a ring of `size` entries.
int inflight_recover(struct virtqueue_inflight *record, uint16_t size, uint16_t used_index,
                     uint16_t *heads, uint64_t *counter);
