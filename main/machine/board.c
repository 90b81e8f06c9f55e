// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// See board.h.
#include "main/machine/board.h"

#include "main/machine/layout.h"

int board_init(struct board *board, const struct machine_host *host, struct byte_ring_pair *rings,
               int serial_peer_fd, uint64_t memory_top)
{
    int error = 0;

    board->host = *host;
    serial_init(&board->serial, host->hypervisor, rings, serial_peer_fd);
    rtc_init(&board->rtc, NULL);
    i8042_init(&board->i8042, &board->host);
    pvpanic_init(&board->pvpanic, &board->host);
    power_init(&board->power, &board->host);
    error = error ? error : serial_attach(&board->serial, &board->bus);
    error = error ? error : rtc_attach(&board->rtc, &board->bus);
    error = error ? error : i8042_attach(&board->i8042, &board->bus);
    error = error ? error : pvpanic_attach(&board->pvpanic, &board->bus);
    error = error ? error : power_attach(&board->power, &board->bus);
    error = error ? error
                  : pci_bus_init(&board->pci, &board->bus, &board->host,
                                 machine_mmio64_base(memory_top));
    return error;
}

void board_reset(struct board *board)
{
    serial_reset(&board->serial);
    rtc_reset(&board->rtc);
    power_reset(&board->power);
    pci_bus_reset(&board->pci);
}
