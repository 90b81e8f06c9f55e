// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// See supervisor_posts.h.
#include "main/supervisor_posts.h"

#include "memory/virtqueue.h"

#include <assert.h>
#include <errno.h>
#include <pb_decode.h>
#include <string.h>
#include <unistd.h>

// More ConfigWrites than a channel holds need no answer each.
#define IMAGES_DUE_MAX 256

// What the device may say because it was told this.
static void expect(struct supervised *device, const device_ToDevice *message)
{
    switch (message->which_message) {
    case device_ToDevice_start_tag:
        device->faults_due = message->message.start.queues_count;
        break;
    case device_ToDevice_queue_start_tag:
        device->faults_due += device->faults_due < device->queue_count;
        break;
    case device_ToDevice_reset_tag:
    case device_ToDevice_queue_reset_tag:
        device->answers_due++;
        break;
    case device_ToDevice_config_write_tag:
        device->images_due += device->images_due < IMAGES_DUE_MAX;
        break;
    }
}

static void post(struct supervised *device, const device_ToDevice *message)
{
    static const uint64_t one = 1;
    int error;

    if (device->channel.fd < 0)
        return; // no process: virtio_pci knows
    error = channel_send(&device->channel, device_ToDevice_fields, message, NULL, 0);
    if (error == 0) {
        expect(device, message);
        return;
    }
    // Of configuration writes the guest can make more than a device reads; then some are lost. Of
    // all other messages only a few can be unanswered, so a device that has no room for one hangs.
    if (error == -EAGAIN && message->which_message == device_ToDevice_config_write_tag)
        return;
    device->broken = true;
    if (write(device->supervisor->wake_fd, &one, sizeof(one)) < 0)
        return; // the counter is full: the main thread is awake
}

static device_Queue queue_message(const struct virtio_queue_place *place)
{
    return (device_Queue){
        .index = place->index,
        .size = place->size,
        .descriptor_area = place->descriptor_area,
        .driver_area = place->driver_area,
        .device_area = place->device_area,
    };
}

static void post_start(void *context, const struct virtio_start *start)
{
    device_ToDevice message = {
        .which_message = device_ToDevice_start_tag,
        .message.start = {.features = start->features, .resume = start->resume},
    };
    device_Start *to = &message.message.start;

    static_assert(sizeof(to->queues) / sizeof(to->queues[0]) >= VIRTIO_QUEUES_MAX,
                  "Start holds all queues");
    for (unsigned i = 0; i < start->count; i++)
        to->queues[to->queues_count++] = queue_message(&start->queues[i]);
    post(context, &message);
}

static void post_reset(void *context, uint32_t serial)
{
    const device_ToDevice message = {
        .which_message = device_ToDevice_reset_tag,
        .message.reset.serial = serial,
    };

    post(context, &message);
}

static void post_queue_start(void *context, const struct virtio_queue_place *queue)
{
    device_ToDevice message = {.which_message = device_ToDevice_queue_start_tag};

    message.message.queue_start.has_queue = true;
    message.message.queue_start.queue = queue_message(queue);
    post(context, &message);
}

static void post_queue_reset(void *context, uint32_t serial, unsigned index)
{
    const device_ToDevice message = {
        .which_message = device_ToDevice_queue_reset_tag,
        .message.queue_reset = {.serial = serial, .index = index},
    };

    post(context, &message);
}

static void post_config_write(void *context, uint32_t offset, uint32_t length, uint64_t value)
{
    const device_ToDevice message = {
        .which_message = device_ToDevice_config_write_tag,
        .message.config_write = {.offset = offset, .length = length, .value = value},
    };

    post(context, &message);
}

const struct virtio_transport_ops supervisor_transport = {
    .start = post_start,
    .reset = post_reset,
    .queue_start = post_queue_start,
    .queue_reset = post_queue_reset,
    .config_write = post_config_write,
};

// The descriptors of one Attach, each with its role.
struct baggage {
    device_Attach *attach;
    int fds[CHANNEL_DESCRIPTORS_MAX];
    unsigned count;
};

static void pack(struct baggage *baggage, device_DescriptorRole role, int fd)
{
    if (baggage->count == CHANNEL_DESCRIPTORS_MAX)
        return; // cannot be: 2 * 32 doorbells, 4 others, 28 back ends at most
    baggage->fds[baggage->count++] = fd;
    baggage->attach->roles[baggage->attach->roles_count++] = role;
}

static void pack_all(struct baggage *baggage, const struct supervised *device,
                     const warden_DeviceSpawned *spawned,
                     const struct channel_descriptors *descriptors)
{
    bool virtio = device->kind->virtio_id != 0;
    unsigned doorbells = virtio ? device->queue_count : 1;

    if (virtio)
        pack(baggage, device_DescriptorRole_ROLE_MEMORY, device->supervisor->memory_fd);
    pack(baggage, virtio ? device_DescriptorRole_ROLE_INFLIGHT : device_DescriptorRole_ROLE_RING,
         device->shared_fd);
    pack(baggage, device_DescriptorRole_ROLE_FILTER, descriptors->fds[1]);
    for (unsigned i = 0; i < doorbells; i++)
        pack(baggage, device_DescriptorRole_ROLE_KICK, device->kick_fds[i]);
    for (unsigned i = 0; i < doorbells; i++)
        pack(baggage, device_DescriptorRole_ROLE_CALL, device->call_fds[i]);
    for (unsigned i = 0; i < spawned->roles_count; i++)
        pack(baggage, (device_DescriptorRole)spawned->roles[i], descriptors->fds[i + 2]);
}

// Whether the user can type the escape that ends the VM into this device's back ends.
static bool holds_terminal(const device_Attach *attach)
{
    if (attach->which_config == device_Attach_serial_tag)
        return attach->config.serial.escape;
    return attach->which_config == device_Attach_console_tag && attach->config.console.escapes != 0;
}

int supervisor_send_attach(struct supervised *device, const warden_DeviceSpawned *spawned,
                           const struct channel_descriptors *descriptors)
{
    const struct supervisor *supervisor = device->supervisor;
    device_ToDevice message = {.which_message = device_ToDevice_attach_tag};
    device_Attach *attach = &message.message.attach;
    struct baggage baggage = {.attach = attach};
    pb_istream_t config = pb_istream_from_buffer(spawned->config.bytes, spawned->config.size);

    if (!pb_decode(&config, device_Attach_fields, attach))
        return -EPROTO;
    device->may_quit = holds_terminal(attach);
    memcpy(attach->id, device->id, sizeof(attach->id));
    attach->queue_count = device->queue_count;
    attach->inflight_stride = virtqueue_inflight_stride();
    for (unsigned i = 0; i < supervisor->region_count; i++)
        attach->regions[attach->regions_count++] = (device_MemoryRegion){
            .guest_address = supervisor->regions[i].guest_address,
            .size = supervisor->regions[i].size,
            .offset = supervisor->regions[i].offset,
        };
    pack_all(&baggage, device, spawned, descriptors);
    return channel_send(&device->channel, device_ToDevice_fields, &message, baggage.fds,
                        baggage.count);
}
