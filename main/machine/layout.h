// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Where things are in the guest's address spaces: the contract between the coordinator (which
// answers there), the loader (which describes it in ACPI) and the tests.
#pragma once

#include <stdint.h>

// Memory: [0, MACHINE_HOLE_START) and from 4 GiB on.
#define MACHINE_HOLE_START 0xc0000000ull
#define MACHINE_ECAM_BASE 0xe0000000ull // 256 buses are promised, bus 0 is there
#define MACHINE_ECAM_SIZE 0x00100000ull // one bus: 1 MiB
#define MACHINE_PCI_MMIO32_BASE 0xc0000000ull
#define MACHINE_PCI_MMIO32_SIZE 0x20000000ull
#define MACHINE_PCI_MMIO64_SIZE                                                                    \
    0x1000000000ull // 64 GiB right above memory, aligned to its size's 1/64 (1 GiB)
#define MACHINE_PCI_IO_BASE 0xc000
#define MACHINE_PCI_IO_SIZE 0x4000
#define MACHINE_IOAPIC_BASE 0xfec00000ull
#define MACHINE_LAPIC_BASE 0xfee00000ull

// Ports.
#define MACHINE_PORT_SERIAL 0x3f8 // 16550, 8 ports, IRQ 4
#define MACHINE_PORT_RTC 0x70     // 2 ports
#define MACHINE_PORT_I8042 0x60   // 0x60 and 0x64: reset only
#define MACHINE_PORT_PVPANIC 0x505
#define MACHINE_PORT_SLEEP_CONTROL 0x600 // ACPI hardware-reduced sleep registers, one byte each
#define MACHINE_PORT_SLEEP_STATUS 0x601
#define MACHINE_PORT_RESET 0x602 // FADT RESET_REG: write MACHINE_RESET_VALUE
#define MACHINE_PORT_GED 0x604 // generic event device: a read returns and clears the pending events
#define MACHINE_PORT_PCI_ADDRESS 0xcf8
#define MACHINE_PORT_PCI_DATA 0xcfc

#define MACHINE_RESET_VALUE 0x01
#define MACHINE_SLEEP_TYPE_S5                                                                      \
    5 // SLP_TYP in _S5, written with SLP_EN (bit 5) to the sleep control register
#define MACHINE_GED_POWER_BUTTON 0x01
#define MACHINE_IRQ_SERIAL 4
#define MACHINE_IRQ_RTC 8
#define MACHINE_IRQ_GED 5

// PCI: 00:00.0 is the host bridge, devices follow from 00:01.0 in the order of the configuration.
#define MACHINE_PCI_FUNCTIONS_MAX 31

// Base of the 64-bit BAR window: right above memory that ends at `top_of_memory` (exclusive), never
// below 4 GiB, on a GiB boundary.
static inline uint64_t machine_mmio64_base(uint64_t top_of_memory)
{
    const uint64_t gib = UINT64_C(1) << 30;
    const uint64_t lowest = UINT64_C(4) << 30;

    return top_of_memory <= lowest ? lowest : (top_of_memory + gib - 1) & ~(gib - 1);
}
