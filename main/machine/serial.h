// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A 16550A serial port: registers only (rule 1). Its bytes pass through a pair of rings to the
// process that holds the terminal. A full ring shows to the guest as a busy transmitter, so nothing
// is lost and nobody waits (rule 2). Bytes cost no system call: the peer is signalled only when it
// sleeps.
//
// Register model: National Semiconductor PC16550D data sheet (1995), section 8. Line speed and
// format are stored and have no effect.
#pragma once

#include "ipc/byte_ring.h"
#include "main/machine/machine.h"

#define SERIAL_FIFO_SIZE 16u // PC16550D, 8.0

struct serial_fifo {
    uint8_t bytes[SERIAL_FIFO_SIZE];
    uint8_t first;
    uint8_t count;
};

struct serial {
    struct hypervisor *hypervisor;
    struct byte_ring_pair *rings; // not owned; NULL: output vanishes, there is no input
    int peer_fd; // eventfd, non-blocking, not owned: wakes the process behind the rings

    struct serial_fifo receive;
    struct serial_fifo transmit; // holds what did not fit into the ring
    uint8_t interrupt_enable;
    uint8_t fifo_control;
    uint8_t line_control;
    uint8_t line_errors; // overrun, until the line status is read
    uint8_t modem_control;
    uint8_t modem_deltas; // of the modem status, until it is read
    uint8_t scratch;
    uint8_t divisor[2];
    bool transmit_interrupt; // pending since the transmitter ran empty
    bool line;               // level of MACHINE_IRQ_SERIAL as last told to the hypervisor
};

// `rings` is memory shared with the peer, in which everything may change at any time.
void serial_init(struct serial *serial, struct hypervisor *hypervisor, struct byte_ring_pair *rings,
                 int peer_fd);
// Adds its ports to the bus. 0 or a negative errno.
int serial_attach(struct serial *serial, struct bus *bus);
// Power-on state. Bytes in the rings stay.
void serial_reset(struct serial *serial);
// The peer signalled: there are bytes, or there is room again. Under the machine's lock.
void serial_pump(struct serial *serial);
