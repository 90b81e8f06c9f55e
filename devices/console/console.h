// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The console's parts: ports (port.c), the control queues (control.c), the device (console.c).
// Trusted with guest memory and with the terminals and files of its ports.
#pragma once

#include "devices/console/protocol.h"
#include "devices/device.h"
#include "devices/terminal.h"

#define CONSOLE_PORTS_MAX 8
#define CONSOLE_QUEUE_CONTROL_RX 2
#define CONSOLE_QUEUE_CONTROL_TX 3
#define CONSOLE_INPUT_MAX 256
#define CONSOLE_EVENTS_MAX 64 // waiting for the driver's buffers; more are dropped

struct console;

struct console_port {
    struct console *console;
    unsigned number;
    unsigned rx; // queue numbers
    unsigned tx;
    int input_fd;  // -1: none
    int output_fd; // -1: none, output vanishes
    int input_source;
    int output_source;
    struct terminal_escape escape;
    unsigned input_used; // bytes read and not yet given to the guest
    unsigned input_done;
    uint8_t input[CONSOLE_INPUT_MAX];
    bool output_pending; // `output` is a chain that is written in part
    uint64_t output_done;
    struct virtqueue_chain output;
};

struct console {
    struct device *device;
    unsigned port_count;
    struct console_config config;
    struct console_port ports[CONSOLE_PORTS_MAX];
    unsigned event_first;
    unsigned event_count;
    struct console_control events[CONSOLE_EVENTS_MAX];
};

// Takes the port's descriptors and watches them. Before lock-down. 0 or a negative errno.
int console_port_attach(struct console_port *port, bool has_input, bool has_output);
// The driver put buffers into the receive queue, or requests into the transmit queue.
void console_port_receive(struct console_port *port);
void console_port_transmit(struct console_port *port);
// The queue (DEVICE_ALL_QUEUES: all) stops: forgets the chain that is written in part.
void console_port_stop(struct console_port *port, unsigned queue);

// Requests in the control transmit queue; buffers in the control receive queue.
void console_control_requests(struct console *console);
void console_control_flush(struct console *console);
