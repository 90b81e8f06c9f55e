// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The board: every register of the machine in one struct, soldered together. Registers only (rule
// 1); all calls are made under the machine's lock or before the vCPUs run.
#pragma once

#include "main/machine/i8042.h"
#include "main/machine/pci.h"
#include "main/machine/power.h"
#include "main/machine/pvpanic.h"
#include "main/machine/rtc.h"
#include "main/machine/serial.h"

struct board {
    struct machine_host host;
    struct bus bus;
    struct pci_bus pci;
    struct serial serial;
    struct rtc rtc;
    struct i8042 i8042;
    struct pvpanic pvpanic;
    struct power power;
};

// Puts the fixed devices on the bus. `rings` (NULL: no serial back end) and `serial_peer_fd` are
// the serial port's, not owned. `memory_top` is the end of guest memory. 0 or a negative errno.
int board_init(struct board *board, const struct machine_host *host, struct byte_ring_pair *rings,
               int serial_peer_fd, uint64_t memory_top);

// Power-on state of everything but the PCI functions, which their owners reset.
void board_reset(struct board *board);
