// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The device's side of a split virtqueue: positions, interrupts, kicks. The chains are read in
// chain.c. All that is read from the ring is the guest's: one load each, checked, then used.
#include "memory/virtqueue.h"

#include "memory/chain.h"
#include "memory/guest_memory_private.h"
#include "memory/inflight.h"
#include "memory/ring_layout.h"

#include <errno.h>
#include <unistd.h>

#define PAGE_MASK (GUEST_PAGE_SIZE - 1u)

static const struct ring_available *available_ring(const struct virtqueue *queue)
{
    return queue->available_;
}

static struct ring_used *used_ring(const struct virtqueue *queue)
{
    return queue->used_;
}

// virtio 1.2, 2.7.10: where the driver says at which used index it wants an interrupt.
static const uint16_t *used_event(const struct virtqueue *queue)
{
    return &available_ring(queue)->ring[queue->size];
}

// virtio 1.2, 2.7.7: where the device says at which available index it wants a kick.
static uint16_t *avail_event(const struct virtqueue *queue)
{
    return (uint16_t *)(void *)&used_ring(queue)->ring[queue->size];
}

static int fail(struct virtqueue *queue, int error, const char *fault)
{
    queue->fault = fault;
    return error;
}

uint32_t virtqueue_inflight_stride(void)
{
    uint32_t bytes =
        sizeof(struct virtqueue_inflight) + VIRTQUEUE_SIZE_MAX * sizeof(struct inflight_descriptor);

    return (bytes + PAGE_MASK) & ~PAGE_MASK;
}

static int map_rings(struct virtqueue *queue, const struct virtqueue_config *config)
{
    uint16_t size = config->size;

    if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)) != 0)
        return fail(queue, -EINVAL, "queue size is not a power of two up to 256");
    if (config->descriptor_area.value % 16 != 0 || config->driver_area.value % 2 != 0 ||
        config->device_area.value % 4 != 0)
        return fail(queue, -EINVAL, "ring is not aligned");
    queue->descriptors_ =
        guest_memory_host(queue->memory, config->descriptor_area, RING_DESCRIPTORS_BYTES(size));
    queue->available_ =
        guest_memory_host(queue->memory, config->driver_area, RING_AVAILABLE_BYTES(size));
    queue->used_ = guest_memory_host(queue->memory, config->device_area, RING_USED_BYTES(size));
    if (queue->descriptors_ == NULL || queue->available_ == NULL || queue->used_ == NULL)
        return fail(queue, -EFAULT, "ring is outside memory");
    queue->size = size;
    return 0;
}

static void forget(struct virtqueue *queue)
{
    queue->running = false;
    queue->draining = false;
    queue->fault = NULL;
    queue->next_avail = 0;
    queue->next_used = 0;
    queue->signalled_used = 0;
    queue->signalled_valid = false;
    queue->resubmit_count = 0;
    queue->resubmit_next = 0;
    queue->inflight_counter = 0;
    queue->descriptors_ = NULL;
    queue->available_ = NULL;
    queue->used_ = NULL;
}

// Where a predecessor left the ring. Everything that it took and did not give back is done again,
// oldest first.
static int recover(struct virtqueue *queue)
{
    uint16_t used = __atomic_load_n(&used_ring(queue)->index, __ATOMIC_ACQUIRE);
    int count = inflight_recover(queue->inflight, queue->size, used, queue->resubmit,
                                 &queue->inflight_counter);

    if (count < 0)
        return fail(queue, count, "in-flight record does not belong to this ring");
    queue->resubmit_count = (uint16_t)count;
    queue->next_used = used;
    queue->next_avail = (uint16_t)(used + count);
    return 0;
}

int virtqueue_start(struct virtqueue *queue, const struct virtqueue_config *config, bool resume)
{
    int error;

    forget(queue);
    error = map_rings(queue, config);
    if (error < 0)
        return error;
    queue->event_index = (config->features >> VIRTIO_F_EVENT_IDX & 1) != 0;
    queue->indirect = (config->features >> VIRTIO_F_INDIRECT_DESC & 1) != 0;
    if (resume)
        error = recover(queue);
    else
        inflight_reset(queue->inflight, queue->size);
    queue->running = error == 0;
    return error;
}

void virtqueue_stop(struct virtqueue *queue)
{
    forget(queue);
    // Nothing of this ring shall be found by a process that takes over before the next start.
    inflight_clear(queue->inflight);
}

// Takes the next head from the available ring. 1, 0 or negative as virtqueue_pop.
static int next_head(struct virtqueue *queue, uint16_t *head)
{
    const struct ring_available *available = available_ring(queue);
    uint16_t index = __atomic_load_n(&available->index, __ATOMIC_ACQUIRE);
    uint16_t waiting = (uint16_t)(index - queue->next_avail);

    if (waiting == 0)
        return 0;
    if (waiting > queue->size)
        return fail(queue, -EINVAL, "available index runs ahead of the ring");
    *head =
        __atomic_load_n(&available->ring[queue->next_avail & (queue->size - 1)], __ATOMIC_RELAXED);
    if (*head >= queue->size)
        return fail(queue, -EINVAL, "descriptor index is outside the table");
    if (queue->inflight->descriptors[*head].inflight != 0)
        return fail(queue, -EINVAL, "descriptor is made available twice");
    queue->next_avail++;
    inflight_take(queue->inflight, *head, queue->inflight_counter++);
    return 1;
}

int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    const struct chain_source source = {
        .memory = queue->memory,
        .table = queue->descriptors_,
        .size = queue->size,
        .indirect = queue->indirect,
    };
    int found = 1;
    uint16_t head;

    if (!queue->running || queue->draining || queue->fault != NULL)
        return 0;
    if (queue->resubmit_next < queue->resubmit_count)
        head = queue->resubmit[queue->resubmit_next++];
    else
        found = next_head(queue, &head);
    if (found <= 0)
        return found;
    queue->requests++;
    found = chain_read(&source, head, chain, &queue->fault);
    return found < 0 ? found : 1;
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
    struct ring_used *used = used_ring(queue);
    struct ring_used_element *element = &used->ring[queue->next_used & (queue->size - 1)];

    element->id = head;
    element->length = written;
    queue->next_used++;
    inflight_publish(queue->inflight, head);
    __atomic_store_n(&used->index, queue->next_used, __ATOMIC_RELEASE);
    inflight_done(queue->inflight, head, queue->next_used);
}

// virtio 1.2, 2.7.10.1: whether `event` lies in (old, new], modulo 2^16.
static bool event_passed(uint16_t event, uint16_t old, uint16_t new)
{
    return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static bool wants_interrupt(struct virtqueue *queue)
{
    uint16_t old = queue->signalled_used;
    bool valid = queue->signalled_valid;

    if (!queue->event_index)
        return (__atomic_load_n(&available_ring(queue)->flags, __ATOMIC_RELAXED) &
                RING_AVAIL_NO_INTERRUPT) == 0;
    queue->signalled_used = queue->next_used;
    queue->signalled_valid = true;
    if (!valid)
        return true;
    return event_passed(__atomic_load_n(used_event(queue), __ATOMIC_RELAXED), old,
                        queue->next_used);
}

void virtqueue_notify(struct virtqueue *queue)
{
    static const uint64_t one = 1;

    if (!queue->running)
        return;
    // The used index must be visible before the driver's wish is read, or both sides could sleep.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!wants_interrupt(queue))
        return;
    if (write(queue->call_fd, &one, sizeof(one)) < 0)
        return; // only when the counter is full: then the interrupt is pending already
}

bool virtqueue_waiting(const struct virtqueue *queue)
{
    if (!queue->running || queue->fault != NULL)
        return false;
    return queue->resubmit_next < queue->resubmit_count ||
           __atomic_load_n(&available_ring(queue)->index, __ATOMIC_ACQUIRE) != queue->next_avail;
}

void virtqueue_kicks_off(struct virtqueue *queue)
{
    // With the event index, an avail_event that stays behind is enough.
    if (queue->running && !queue->event_index)
        __atomic_store_n(&used_ring(queue)->flags, RING_USED_NO_NOTIFY, __ATOMIC_RELAXED);
}

bool virtqueue_kicks_on(struct virtqueue *queue)
{
    if (!queue->running || queue->draining || queue->fault != NULL)
        return false;
    if (queue->event_index)
        __atomic_store_n(avail_event(queue), queue->next_avail, __ATOMIC_RELAXED);
    else
        __atomic_store_n(&used_ring(queue)->flags, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return virtqueue_waiting(queue);
}
