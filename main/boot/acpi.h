// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The ACPI tables of the machine: RSDP, XSDT, FADT (hardware-reduced), MADT, MCFG and DSDT, for the
// registers of main/machine/layout.h. Made from numbers; the same machine gives the same bytes.
//
// Interrupts of the machine's own devices (serial, RTC, generic event device) are edge-triggered,
// active high: who raises one pulses the line.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ACPI_TABLES_MAX 8192u // bytes of all tables together, at most

struct acpi_machine {
    unsigned cpus; // 1..VCPUS_MAX, local APIC identifiers 0..cpus-1
    bool has_serial;
    bool has_rtc;
    uint64_t mmio64_base; // machine_mmio64_base()
};

// Writes the tables for the guest-physical address `base` (16-byte aligned), where the RSDP is,
// into (bytes, room). Number of bytes, -EINVAL for cpus out of range, or -ENOSPC.
ssize_t acpi_build(const struct acpi_machine *machine, uint64_t base, uint8_t *bytes, size_t room);

// Writes the DSDT's definition block (without its table header). Number of bytes, or -ENOSPC.
ssize_t acpi_dsdt(const struct acpi_machine *machine, uint8_t *bytes, size_t room);
