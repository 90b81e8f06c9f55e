// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The device's side of one split virtqueue (virtio 1.2, 2.7), with indirect descriptors, event
// index and the in-flight record of the vhost-user specification ("Inflight I/O tracking", split
// layout) in a page that outlives the process.
//
// A chain is read once into a private `struct virtqueue_chain`; after virtqueue_pop nothing that
// the guest writes to the ring changes what it says. Faults of the guest (index out of range, loop,
// address outside memory, a device- readable descriptor after a writable one, zero length, nested
// indirect) are negative errnos with text in virtqueue_fault; the caller reports them
// (device_guest_fault) and the queue is dead until reset.
#pragma once

#include "memory/guest_access.h"

#include <stdbool.h>
#include <stdint.h>

#define VIRTQUEUE_SIZE_MAX 256u
#define VIRTQUEUE_CHAIN_BYTES_MAX (UINT64_C(1) << 32)

// Transport features that the ring code knows: negotiated bits arrive with virtqueue_start.
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX 29
#define VIRTIO_F_VERSION_1 32
#define VIRTIO_F_IN_ORDER 35
#define VIRTIO_F_RING_RESET 40

struct virtqueue_config {
    uint16_t size; // a power of two, 1..VIRTQUEUE_SIZE_MAX
    guest_addr descriptor_area;
    guest_addr driver_area;
    guest_addr device_area;
    uint64_t features;
};

// One request: the device-readable pieces, then the device-writable ones.
struct virtqueue_chain {
    uint16_t head;
    struct guest_vector readable;
    struct guest_vector writable;
};

struct virtqueue {
    const struct guest_memory *memory;
    struct virtqueue_inflight *inflight; // mapped page, of the process
    int kick_fd;                         // not owned
    int call_fd;                         // not owned
    bool running;
    bool draining; // a stop is under way: nothing more is popped
    uint16_t size;
    uint16_t next_avail; // position in the available ring
    uint16_t next_used;
    uint16_t signalled_used; // used index at the last interrupt
    bool event_index;
    bool indirect;
    bool signalled_valid;
    uint16_t resubmit_count; // requests of a predecessor that are done again
    uint16_t resubmit_next;
    uint16_t resubmit[VIRTQUEUE_SIZE_MAX];
    const char *fault;
    // Host addresses of the three parts of the ring: memory/ only.
    void *descriptors_;
    void *available_;
    void *used_;
    uint64_t inflight_counter;
    uint64_t requests; // statistics
};

// Bytes of the in-flight record of one queue, rounded up to whole pages: the `inflight_stride` of
// Attach.
uint32_t virtqueue_inflight_stride(void);

// Checks the ring's addresses (alignment, inside memory) and starts at the ring's beginning, or,
// with `resume`, where a predecessor left it: used index from guest memory, in-flight requests are
// handed out first by virtqueue_pop. 0; -EINVAL or -EFAULT with ->fault set.
int virtqueue_start(struct virtqueue *queue, const struct virtqueue_config *config, bool resume);
void virtqueue_stop(struct virtqueue *queue);

// Takes the next request. 1: *chain is it; 0: none; negative: the guest broke a rule (->fault).
int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain);

// Gives a request back with `written` bytes in its writable part (release store; in-flight mark
// cleared). The guest is told by virtqueue_notify.
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

// Interrupts the guest if it asked for it since the last time. One write(2) or none.
void virtqueue_notify(struct virtqueue *queue);

// Asks for no kicks while the device is busy; asks for kicks again and returns true when requests
// came meanwhile (then go on popping).
void virtqueue_kicks_off(struct virtqueue *queue);
bool virtqueue_kicks_on(struct virtqueue *queue);

// Whether virtqueue_pop would find something: one look at the ring, for a short busy-wait while
// kicks are off.
bool virtqueue_waiting(const struct virtqueue *queue);
