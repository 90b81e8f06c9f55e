// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Start, stop, reset and configuration writes as the coordinator posts them
// (docs/device-protocol.md), and kicks as the guest gives them. The permit table is what the
// coordinator may say after Attach.
#include "devices/device_transport.h"

#include "ipc/cleanup.h"
#include "ipc/dispatch.h"
#include "ipc/log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void send_message(struct device *device, const device_FromDevice *message)
{
    int error = channel_send(&device->channel, device_FromDevice_fields, message, NULL, 0);

    // A coordinator that is gone or does not read: this process has no purpose any more.
    if (error < 0)
        event_loop_stop(&device->loop);
}

void device_push_config(struct device *device)
{
    device_FromDevice message = {.which_message = device_FromDevice_config_image_tag};

    message.message.config_image.config.size = (pb_size_t)device->config_length;
    memcpy(message.message.config_image.config.bytes, device->config, device->config_length);
    send_message(device, &message);
}

void device_guest_fault(struct device *device, unsigned queue, const char *reason)
{
    static_assert(DEVICE_QUEUES_MAX <= 32, "a bit for each queue");
    device_FromDevice message = {
        .which_message = device_FromDevice_guest_fault_tag,
        .message.guest_fault.queue = queue,
    };

    // Once: a guest that goes on kicking must not flood the channel.
    if ((device->faulted >> queue & 1) != 0)
        return;
    device->faulted |= UINT32_C(1) << queue;
    device->queues[queue].fault = reason;
    strncpy(message.message.guest_fault.reason, reason,
            sizeof(message.message.guest_fault.reason) - 1);
    send_message(device, &message);
}

void device_quit(struct device *device)
{
    const device_FromDevice message = {.which_message = device_FromDevice_quit_tag};

    send_message(device, &message);
}

void device_again(struct device *device, unsigned queue)
{
    static const uint64_t one = 1;

    if (write(device->queues[queue].kick_fd, &one, sizeof(one)) < 0)
        log_warning("queue %u: cannot kick itself", queue);
}

static void send_done(struct device *device, uint32_t serial)
{
    const device_FromDevice message = {
        .which_message = device_FromDevice_done_tag,
        .message.done.serial = serial,
    };

    send_message(device, &message);
}

static void serve(struct device *device, unsigned index)
{
    if (device->started && device->queues[index].running)
        device->ops->kicked(device, index);
}

static void start_queue(struct device *device, const device_Queue *queue, bool resume)
{
    const struct virtqueue_config config = {
        .size = queue->size <= VIRTQUEUE_SIZE_MAX ? (uint16_t)queue->size : 0,
        .descriptor_area = guest_address(queue->descriptor_area),
        .driver_area = guest_address(queue->driver_area),
        .device_area = guest_address(queue->device_area),
        .features = device->driver_features,
    };
    struct virtqueue *to;

    if (queue->index >= device->queue_count)
        return;
    to = &device->queues[queue->index];
    device->faulted &= ~(UINT32_C(1) << queue->index);
    if (virtqueue_start(to, &config, resume) < 0)
        device_guest_fault(device, queue->index, to->fault);
}

static int on_start(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    struct device *device = owner;
    const device_Start *start = message;

    device->driver_features = start->features;
    for (unsigned i = 0; i < start->queues_count; i++)
        start_queue(device, &start->queues[i], start->resume);
    device->started = true;
    if (device->ops->start != NULL)
        device->ops->start(device);
    // Kicks may have come before.
    for (unsigned i = 0; i < device->queue_count; i++)
        serve(device, i);
    return 0;
}

static int on_queue_start(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    struct device *device = owner;
    const device_QueueStart *start = message;

    start_queue(device, &start->queue, false);
    if (start->queue.index < device->queue_count)
        serve(device, start->queue.index);
    return 0;
}

static void forget_queues(struct device *device, unsigned queue)
{
    for (unsigned i = 0; i < device->queue_count; i++)
        if (queue == DEVICE_ALL_QUEUES || queue == i)
            virtqueue_stop(&device->queues[i]);
}

// Answers the first of the waiting stops and takes it off the list.
static void finish_stop(struct device *device)
{
    const struct device_stop stop = device->stops[0];

    forget_queues(device, stop.queue);
    device->stop_count--;
    memmove(&device->stops[0], &device->stops[1], device->stop_count * sizeof(device->stops[0]));
    send_done(device, stop.serial);
}

// Works off stops until one has to wait for requests in flight.
static void run_stops(struct device *device)
{
    while (device->stop_count > 0) {
        if (device->ops->stop != NULL &&
            device->ops->stop(device, device->stops[0].queue) == -EINPROGRESS)
            return;
        finish_stop(device);
    }
}

void device_stopped(struct device *device)
{
    finish_stop(device);
    run_stops(device);
}

static int add_stop(struct device *device, uint32_t serial, unsigned queue)
{
    for (unsigned i = 0; i < device->queue_count; i++)
        if (queue == DEVICE_ALL_QUEUES || queue == i)
            device->queues[i].draining = true;
    if (device->stop_count == array_size(device->stops))
        return -EPROTO;
    device->stops[device->stop_count++] = (struct device_stop){.serial = serial, .queue = queue};
    if (device->stop_count == 1)
        run_stops(device);
    return 0;
}

static int on_reset(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    struct device *device = owner;
    const device_Reset *reset = message;

    device->started = false;
    return add_stop(device, reset->serial, DEVICE_ALL_QUEUES);
}

static int on_queue_reset(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    const device_QueueReset *reset = message;
    struct device *device = owner;

    if (reset->index >= device->queue_count)
        return -EPROTO;
    return add_stop(device, reset->serial, reset->index);
}

static int on_config_write(void *owner, const void *message,
                           struct channel_descriptors *descriptors)
{
    const device_ConfigWrite *config = message;
    struct device *device = owner;

    if (device->ops->config_write != NULL)
        device->ops->config_write(device, config->offset, config->length, config->value);
    return 0;
}

static int on_ping(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    const device_Ping *ping = message;
    const device_FromDevice pong = {
        .which_message = device_FromDevice_pong_tag,
        .message.pong.serial = ping->serial,
    };

    send_message(owner, &pong);
    return 0;
}

enum { STATE_READY, STATE_STARTED };
#define READY (1u << STATE_READY)
#define STARTED (1u << STATE_STARTED)

static const struct permit permits[] = {
    {device_ToDevice_start_tag, READY, 0, 0, "Start", on_start},
    {device_ToDevice_queue_start_tag, STARTED, 0, 0, "QueueStart", on_queue_start},
    {device_ToDevice_reset_tag, READY | STARTED, 0, 0, "Reset", on_reset},
    {device_ToDevice_queue_reset_tag, STARTED, 0, 0, "QueueReset", on_queue_reset},
    {device_ToDevice_config_write_tag, READY | STARTED, 0, 0, "ConfigWrite", on_config_write},
    {device_ToDevice_ping_tag, READY | STARTED, 0, 0, "Ping", on_ping},
};

static void on_channel(void *context, uint32_t events)
{
    struct device *device = context;
    struct channel_descriptors descriptors;
    device_ToDevice message;
    const char *refused = NULL;
    int got = channel_receive(&device->channel, device_ToDevice_fields, &message, &descriptors, 1);

    if (got == -EAGAIN)
        return;
    if (got == 1)
        got = dispatch(permits, array_size(permits), message.which_message,
                       device->started ? STATE_STARTED : STATE_READY, device, &message.message,
                       &descriptors, &refused);
    else if (got == 0)
        got = -EPIPE;
    if (refused != NULL)
        log_error("the coordinator broke the device protocol: %s", refused);
    channel_descriptors_destroy(&descriptors);
    if (got < 0)
        event_loop_stop(&device->loop);
}

static void on_kick(void *context, uint32_t events)
{
    struct device_kick *kick = context;

    serve(kick->device, kick->queue);
}

int device_transport_watch(struct device *device)
{
    int error = event_loop_add(&device->loop, device->channel.fd, EPOLLIN, on_channel, device);

    for (unsigned i = 0; i < device->queue_count && error >= 0; i++) {
        device->kicks[i] = (struct device_kick){.device = device, .queue = i};
        // Edge-triggered: each kick is one wake-up, and the counter need not be read.
        error = event_loop_add(&device->loop, device->queues[i].kick_fd, EPOLLIN | EPOLLET, on_kick,
                               &device->kicks[i]);
    }
    return error < 0 ? error : 0;
}
