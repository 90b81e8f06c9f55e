// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Doorbells (virtio 1.2, 4.1.4.4). The first write to a queue's notify address comes here: it
// signals the queue's eventfd and connects the address to it, so that later writes go from the
// hypervisor straight to the device process. Addresses that the driver does not use cost nothing;
// where the hypervisor has no room for another doorbell, each write takes this way. What the guest
// writes is not looked at: the address names the queue.
#include "main/machine/virtio_registers.h"

#include <unistd.h>

static unsigned bar_of(enum exit_space space)
{
    return space == EXIT_PIO ? VIRTIO_BAR_IO : VIRTIO_BAR_MEMORY;
}

// Guest address of a queue's doorbell while its BAR answers.
static uint64_t address_of(const struct virtio_function *function, enum exit_space space,
                           unsigned queue)
{
    return function->function.bars[bar_of(space)].address +
           (space == EXIT_MMIO ? VIRTIO_NOTIFY_OFFSET : 0) + (uint64_t)queue * VIRTIO_NOTIFY_STRIDE;
}

static void connect(struct virtio_function *function, enum exit_space space, unsigned queue)
{
    enum virtio_doorbell *state = &function->doorbells[space][queue];

    if (*state != VIRTIO_DOORBELL_OFF || !function->function.bars[bar_of(space)].mapped)
        return;
    if (hypervisor_doorbell_add(function->msix.hypervisor, space,
                                address_of(function, space, queue), 0,
                                function->queues[queue].kick_fd) < 0)
        *state = VIRTIO_DOORBELL_REFUSED;
    else
        *state = VIRTIO_DOORBELL_ON;
}

void virtio_notify_write(struct virtio_function *function, enum exit_space space, uint64_t offset)
{
    const uint64_t one = 1;
    unsigned queue;

    if (offset % VIRTIO_NOTIFY_STRIDE != 0 ||
        offset / VIRTIO_NOTIFY_STRIDE >= function->queue_count)
        return;
    queue = (unsigned)(offset / VIRTIO_NOTIFY_STRIDE);
    connect(function, space, queue);
    // A full counter is a signalled one.
    if (write(function->queues[queue].kick_fd, &one, sizeof(one)) < 0)
        return;
}

void virtio_notify_unmap(struct virtio_function *function, enum exit_space space)
{
    for (unsigned queue = 0; queue < function->queue_count; queue++) {
        if (function->doorbells[space][queue] == VIRTIO_DOORBELL_ON)
            hypervisor_doorbell_remove(function->msix.hypervisor, space,
                                       address_of(function, space, queue), 0,
                                       function->queues[queue].kick_fd);
        function->doorbells[space][queue] = VIRTIO_DOORBELL_OFF;
    }
}
