// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Power: the sleep and reset registers of hardware-reduced ACPI, the PC's reset control register,
// and the event that is the power button. Registers only (rule 1).
//
// Sources: ACPI 6.5, 4.8.3.7 (sleep registers), 4.8.3.6 (reset register), 5.6.9 (generic event
// device); Intel ICH9 data sheet, 13.7.5 (reset control, 0xcf9).
#pragma once

#include "main/machine/machine.h"

struct power {
    const struct machine_host *host;
    uint8_t events; // MACHINE_GED_...: pending, the guest has not read them yet
    uint8_t reset_control;
};

void power_init(struct power *power, const struct machine_host *host);
// Adds the sleep, reset and event registers to the bus. 0 or a negative errno.
int power_attach(struct power *power, struct bus *bus);
// Power-on state.
void power_reset(struct power *power);

// The user presses the power button: the guest gets MACHINE_GED_POWER_BUTTON and an interrupt on
// MACHINE_IRQ_GED, high until it has read the event. Under the machine's lock.
void power_button_press(struct power *power);

// Port 0xcf9, one byte, which lies inside PCI's address register (0xcf8, four bytes): whoever has
// that window passes accesses of one byte at offset 1 on to these.
uint8_t power_reset_control_read(const struct power *power);
void power_reset_control_write(struct power *power, uint8_t value);
