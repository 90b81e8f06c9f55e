// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Power: the sleep and reset registers of hardware-reduced ACPI, and the event that is the power
// button. Registers only (rule 1).
//
// Sources: ACPI 6.5, 4.8.3.7 (sleep registers), 4.8.3.6 (reset register), 5.6.9 (generic event
// device). Port 0xcf9, which lies inside PCI's ports, is pci_bus.c's.
#pragma once

#include "main/machine/machine.h"

struct power {
    const struct machine_host *host;
    uint8_t events; // MACHINE_GED_...: pending, the guest has not read them yet
};

void power_init(struct power *power, const struct machine_host *host);
// Adds the sleep, reset and event registers to the bus. 0 or a negative errno.
int power_attach(struct power *power, struct bus *bus);
// Power-on state.
void power_reset(struct power *power);

// The user presses the power button: the guest gets MACHINE_GED_POWER_BUTTON and an interrupt on
// MACHINE_IRQ_GED, high until it has read the event. Under the machine's lock.
void power_button_press(struct power *power);
