// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The control queues (virtio 1.2, 5.3.6.2): the driver says what it is ready for, the device
// announces its ports. The guest chooses each field; port numbers are checked, all else is ignored.
#include "devices/console/console.h"

// One kick serves at most this many requests, then the loop looks at other events first.
#define REQUESTS_PER_TURN 64

static void add_event(struct console *console, uint32_t id, enum console_event event,
                      uint16_t value)
{
    unsigned at = (console->event_first + console->event_count) % CONSOLE_EVENTS_MAX;

    if (console->event_count == CONSOLE_EVENTS_MAX)
        return; // a driver that asks again and again without giving buffers
    console->events[at] = (struct console_control){.id = id, .event = event, .value = value};
    console->event_count++;
}

static void on_request(struct console *console, const struct console_control *request)
{
    if (request->event == CONSOLE_DEVICE_READY && request->value == 1)
        for (unsigned i = 0; i < console->port_count; i++)
            add_event(console, i, CONSOLE_DEVICE_ADD, 1);
    if (request->event == CONSOLE_PORT_READY && request->value == 1 &&
        request->id < console->port_count) {
        add_event(console, request->id, CONSOLE_CONSOLE_PORT, 1);
        add_event(console, request->id, CONSOLE_PORT_OPEN, 1);
    }
}

void console_control_requests(struct console *console)
{
    static struct virtqueue_chain chain;
    struct virtqueue *queue = &console->device->queues[CONSOLE_QUEUE_CONTROL_TX];
    unsigned served = 0;

    virtqueue_kicks_off(queue);
    while (served++ < REQUESTS_PER_TURN && virtqueue_pop(queue, &chain) > 0) {
        struct console_control request;

        if (guest_vector_read(&chain.readable, 0, &request, sizeof(request)) == sizeof(request))
            on_request(console, &request);
        virtqueue_push(queue, chain.head, 0);
    }
    virtqueue_notify(queue);
    if (queue->fault != NULL)
        device_guest_fault(console->device, CONSOLE_QUEUE_CONTROL_TX, queue->fault);
    else if (virtqueue_kicks_on(queue))
        device_again(console->device, CONSOLE_QUEUE_CONTROL_TX);
    console_control_flush(console);
}

static void flush_some(struct console *console, struct virtqueue *queue)
{
    static struct virtqueue_chain chain;

    while (console->event_count > 0 && virtqueue_pop(queue, &chain) > 0) {
        const struct console_control *event = &console->events[console->event_first];
        size_t put = guest_vector_write(&chain.writable, 0, event, sizeof(*event));

        virtqueue_push(queue, chain.head, (uint32_t)put);
        console->event_first = (console->event_first + 1) % CONSOLE_EVENTS_MAX;
        console->event_count--;
    }
    virtqueue_notify(queue);
}

void console_control_flush(struct console *console)
{
    struct virtqueue *queue = &console->device->queues[CONSOLE_QUEUE_CONTROL_RX];

    flush_some(console, queue);
    while (console->event_count > 0 && virtqueue_kicks_on(queue))
        flush_some(console, queue);
    if (queue->fault != NULL)
        device_guest_fault(console->device, CONSOLE_QUEUE_CONTROL_RX, queue->fault);
}
