// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// One port: bytes between its two virtqueues and its terminal, pipe or file. The guest's bytes go
// from its memory to the descriptor without a copy and are not looked at.
#include "devices/console/console.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

// One turn of the loop moves at most so many chains and bytes of a port: others come first then. A
// guest with two processors could else keep us at it for ever.
#define CHAINS_PER_TURN 64
#define BYTES_PER_TURN (UINT64_C(1) << 20)

static struct virtqueue *queue_of(const struct console_port *port, unsigned index)
{
    return &port->console->device->queues[index];
}

static void report_fault(const struct console_port *port, unsigned index)
{
    if (queue_of(port, index)->fault != NULL)
        device_guest_fault(port->console->device, index, queue_of(port, index)->fault);
}

// Watches are for one event: a hang-up, which cannot be masked, would else wake us for ever.
static void watch_input(const struct console_port *port)
{
    if (port->input_source >= 0)
        event_loop_modify(&port->console->device->loop, port->input_source, EPOLLIN | EPOLLONESHOT);
}

// Gives waiting input to the guest; whether all of it is given.
static bool give_input(struct console_port *port)
{
    static struct virtqueue_chain chain;
    struct virtqueue *queue = queue_of(port, port->rx);

    for (unsigned i = 0; i < CHAINS_PER_TURN && port->input_done < port->input_used; i++) {
        size_t put;

        if (virtqueue_pop(queue, &chain) <= 0)
            break;
        put = guest_vector_write(&chain.writable, 0, port->input + port->input_done,
                                 port->input_used - port->input_done);
        port->input_done += (unsigned)put;
        virtqueue_push(queue, chain.head, (uint32_t)put);
    }
    virtqueue_notify(queue);
    report_fault(port, port->rx);
    return port->input_done == port->input_used;
}

void console_port_receive(struct console_port *port)
{
    if (give_input(port))
        watch_input(port);
    else if (virtqueue_kicks_on(queue_of(port, port->rx)))
        device_again(port->console->device, port->rx);
}

static void on_input(void *context, uint32_t events)
{
    struct console_port *port = context;
    bool quit = false;
    ssize_t got;

    if (port->input_done < port->input_used)
        return; // the driver's next buffer turns it on again
    got = read(port->input_fd, port->input, sizeof(port->input));
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) {
            watch_input(port);
            return;
        }
        event_loop_remove(&port->console->device->loop, port->input_source);
        port->input_source = -1;
        return;
    }
    port->input_done = 0;
    port->input_used = (unsigned)terminal_filter(&port->escape, port->input, (size_t)got, &quit);
    if (quit)
        device_quit(port->console->device);
    console_port_receive(port);
}

// Writes the rest of the current chain, as far as the turn's budget goes. Whether it is finished
// (written, or lost with the reader). If not, and budget is left, the reader is slow.
static bool write_chain(struct console_port *port, uint64_t *budget)
{
    static struct guest_vector rest;
    uint64_t bytes = guest_vector_bytes(&port->output.readable);

    while (port->output_fd >= 0 && port->output_done<bytes && * budget> 0) {
        uint64_t left = bytes - port->output_done;
        const struct iovec *pieces;
        int count;
        ssize_t put;

        guest_vector_slice(&rest, &port->output.readable, port->output_done,
                           left < *budget ? left : *budget);
        pieces = guest_vector_iovecs(&rest, &count);
        put = writev(port->output_fd, pieces, count);
        if (put < 0 && errno == EAGAIN && port->output_source >= 0) {
            event_loop_modify(&port->console->device->loop, port->output_source,
                              EPOLLOUT | EPOLLONESHOT);
            return false;
        }
        if (put <= 0)
            return true;
        port->output_done += (uint64_t)put;
        *budget -= (uint64_t)put;
    }
    return port->output_fd < 0 || port->output_done == bytes;
}

// Moves the turn's share. Whether the reader is slow: then the rest waits for EPOLLOUT.
static bool transmit_some(struct console_port *port)
{
    struct virtqueue *queue = queue_of(port, port->tx);
    uint64_t budget = BYTES_PER_TURN;

    for (unsigned i = 0; i < CHAINS_PER_TURN && budget > 0; i++) {
        if (!port->output_pending && virtqueue_pop(queue, &port->output) <= 0)
            return false;
        port->output_pending = true;
        if (!write_chain(port, &budget))
            return budget > 0;
        port->output_pending = false;
        port->output_done = 0;
        virtqueue_push(queue, port->output.head, 0);
    }
    return false;
}

void console_port_transmit(struct console_port *port)
{
    struct virtqueue *queue = queue_of(port, port->tx);
    bool blocked;

    virtqueue_kicks_off(queue);
    blocked = transmit_some(port);
    virtqueue_notify(queue);
    if (!blocked && (virtqueue_kicks_on(queue) || port->output_pending))
        device_again(port->console->device, port->tx);
    report_fault(port, port->tx);
}

static void on_output(void *context, uint32_t events)
{
    struct console_port *port = context;

    if (queue_of(port, port->tx)->running)
        console_port_transmit(port);
}

void console_port_stop(struct console_port *port, unsigned queue)
{
    if (queue != DEVICE_ALL_QUEUES && queue != port->tx)
        return;
    port->output_pending = false;
    port->output_done = 0;
}

int console_port_attach(struct console_port *port, bool has_input, bool has_output)
{
    struct device *device = port->console->device;

    port->input_fd = has_input ? device_take(device, device_DescriptorRole_ROLE_INPUT) : -1;
    port->output_fd = has_output ? device_take(device, device_DescriptorRole_ROLE_OUTPUT) : -1;
    if ((has_input && port->input_fd < 0) || (has_output && port->output_fd < 0))
        return -EPROTO;
    // Input is watched once the driver has given buffers. A regular file cannot be watched: it
    // never blocks.
    port->input_source = -1;
    port->output_source = -1;
    if (has_input)
        port->input_source =
            event_loop_add(&device->loop, port->input_fd, EPOLLONESHOT, on_input, port);
    if (has_output)
        port->output_source =
            event_loop_add(&device->loop, port->output_fd, EPOLLONESHOT, on_output, port);
    return 0;
}
