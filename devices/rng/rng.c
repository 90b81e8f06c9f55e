// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// virtio-rng (virtio 1.2, 5.4): fills the driver's buffers with the host kernel's random bytes.
// Trusted with guest memory and getrandom(2), nothing else.
#include "devices/device.h"
#include "ipc/log.h"

#include <errno.h>
#include <sys/random.h>

// A request may be answered in part (5.4.6): so no request costs more than this.
#define BYTES_PER_REQUEST 4096

// One kick serves at most this many requests, then the loop looks at other events first.
#define REQUESTS_PER_TURN VIRTQUEUE_SIZE_MAX

static int rng_attach(struct device *device, const device_Attach *attach)
{
    if (attach->which_config != device_Attach_rng_tag || device->queue_count != 1)
        return -EINVAL;
    return 0;
}

static uint32_t fill(const struct virtqueue_chain *chain)
{
    uint8_t bytes[BYTES_PER_REQUEST];
    uint64_t wanted = guest_vector_bytes(&chain->writable);
    ssize_t got = getrandom(bytes, wanted < sizeof(bytes) ? wanted : sizeof(bytes), 0);

    if (got <= 0)
        return 0;
    return (uint32_t)guest_vector_write(&chain->writable, 0, bytes, (size_t)got);
}

static void rng_kicked(struct device *device, unsigned index)
{
    static struct virtqueue_chain chain;
    struct virtqueue *queue = &device->queues[index];
    unsigned served = 0;

    virtqueue_kicks_off(queue);
    while (served < REQUESTS_PER_TURN && virtqueue_pop(queue, &chain) > 0) {
        virtqueue_push(queue, chain.head, fill(&chain));
        served++;
    }
    virtqueue_notify(queue);
    if (queue->fault != NULL)
        device_guest_fault(device, index, queue->fault);
    else if (virtqueue_kicks_on(queue))
        device_again(device, index);
}

const struct device_ops device_ops = {
    .kind = DEVICE_rng,
    .attach = rng_attach,
    .kicked = rng_kicked,
};
