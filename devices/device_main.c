// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The life of every device process: receive, map, allocate, lock down, serve. Trusted with what
// Attach brought and with guest memory; after lock_down with nothing new. The coordinator at the
// other end of the channel is believed; the guest is not.
#include "devices/device.h"

#include "devices/device_transport.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "jail/lockdown.h"
#include "jail/startup_pages.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#define CHANNEL_FD 3 // the warden puts it there (docs/device-protocol.md)

// What a device was attached with before Attach came and after its lock-down.
static const device_Attach nothing;

int device_take(struct device *device, device_DescriptorRole role)
{
    const device_Attach *attach = device->attach;

    for (unsigned i = 0; i < attach->roles_count && i < device->descriptors.count; i++)
        if (attach->roles[i] == role && device->descriptors.fds[i] >= 0)
            return channel_take(&device->descriptors, i);
    return -ENOENT;
}

static int receive_attach(struct device *device, device_ToDevice *message)
{
    int got =
        channel_receive(&device->channel, device_ToDevice_fields, message, &device->descriptors, 0);

    if (got <= 0)
        return got == 0 ? -EPIPE : got;
    if (message->which_message != device_ToDevice_attach_tag ||
        message->message.attach.roles_count != device->descriptors.count ||
        message->message.attach.queue_count > DEVICE_QUEUES_MAX)
        return -EPROTO;
    device->attach = &message->message.attach;
    static_assert(sizeof(device->id) == sizeof(device->attach->id), "both end with a zero byte");
    memcpy(device->id, device->attach->id, sizeof(device->id));
    device->queue_count = device->attach->queue_count;
    return 0;
}

static int map_memory(struct device *device)
{
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned count = device->attach->regions_count;
    _cleanup_fd_
    int fd = device_take(device, device_DescriptorRole_ROLE_MEMORY);

    if (fd < 0)
        return device->queue_count == 0 ? 0 : -EPROTO;
    for (unsigned i = 0; i < count; i++)
        regions[i] = (struct guest_region){
            .guest_address = device->attach->regions[i].guest_address,
            .size = device->attach->regions[i].size,
            .offset = device->attach->regions[i].offset,
        };
    return guest_memory_map(fd, regions, count, &device->memory);
}

static int map_inflight(struct device *device, uint8_t **pages)
{
    size_t size = (size_t)device->queue_count * virtqueue_inflight_stride();
    _cleanup_fd_
    int fd = device_take(device, device_DescriptorRole_ROLE_INFLIGHT);
    void *at;

    if (fd < 0 || device->attach->inflight_stride != virtqueue_inflight_stride())
        return -EPROTO;
    at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    *pages = at;
    return 0;
}

static int prepare_queues(struct device *device)
{
    uint8_t *pages;
    int error;

    if (device->queue_count == 0)
        return 0;
    error = map_inflight(device, &pages);
    for (unsigned i = 0; i < device->queue_count && error == 0; i++) {
        struct virtqueue *queue = &device->queues[i];

        queue->memory = device->memory;
        queue->inflight = (void *)(pages + (size_t)i * virtqueue_inflight_stride());
        queue->kick_fd = device_take(device, device_DescriptorRole_ROLE_KICK);
        queue->call_fd = device_take(device, device_DescriptorRole_ROLE_CALL);
        if (queue->kick_fd < 0 || queue->call_fd < 0)
            error = -EPROTO;
    }
    return error;
}

static int lock_down(struct device *device)
{
    _cleanup_fd_
    int program = device_take(device, device_DescriptorRole_ROLE_FILTER);

    if (program < 0)
        return -EPROTO;
    channel_descriptors_destroy(&device->descriptors);
    device->attach = &nothing;
    jail_forget_startup_pages();
    return jail_lockdown_filter(steal_fd(&program));
}

static int say_hello(struct device *device)
{
    device_FromDevice message = {
        .which_message = device_FromDevice_hello_tag,
        .message.hello = {.features = device->features, .queue_count = device->queue_count},
    };

    message.message.hello.config.size = (pb_size_t)device->config_length;
    memcpy(message.message.hello.config.bytes, device->config, device->config_length);
    return channel_send(&device->channel, device_FromDevice_fields, &message, NULL, 0);
}

static int attach(struct device *device)
{
    static device_ToDevice message; // ->attach points into it
    int error;

    error = receive_attach(device, &message);
    if (error < 0)
        return error;
    error = map_memory(device);
    if (error < 0)
        return error;
    error = prepare_queues(device);
    if (error < 0)
        return error;
    error = event_loop_init(&device->loop);
    if (error < 0)
        return error;
    error = device->ops->attach(device, &message.message.attach);
    if (error < 0)
        return error;
    error = device_transport_watch(device);
    if (error < 0)
        return error;
    return lock_down(device);
}

int main(void)
{
    static struct device device = {
        .ops = &device_ops, .attach = &nothing, .channel = {.fd = CHANNEL_FD}};
    int error;

    // 1. Receive Attach, map, allocate, lock down.
    error = attach(&device);
    if (error == -EPIPE)
        return 0; // the coordinator is gone, which is no fault of ours; the warden tells of it
    if (error < 0) {
        log_error("%s: cannot attach: %s", device.id[0] != '\0' ? device.id : "device",
                  strerror(-error));
        return 1;
    }
    // 2. From here on the guest may be heard.
    error = say_hello(&device);
    if (error == 0)
        error = event_loop_run(&device.loop);
    // 3. The coordinator has closed the channel, or something of ours broke.
    return error < 0;
}
