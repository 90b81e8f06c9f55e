// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The ACPI tables beside the DSDT, one after the other behind the RSDP. Sees no byte of guest or
// user.
#include "main/boot/acpi.h"

#include "main/boot/acpi_tables.h"
#include "main/machine/layout.h"
#include "vcpu/hypervisor.h"

#include <errno.h>
#include <string.h>

#define TABLE_ALIGNMENT 16u
#define SPACE_SYSTEM_IO 1u

// Tables that were written; `length` includes the room for the RSDP, which comes last.
struct area {
    uint64_t base;
    uint8_t *bytes;
    size_t room;
    size_t length;
    bool full;
};

// The byte that makes the sum of all of them 0.
static uint8_t checksum(const uint8_t *bytes, size_t length)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

static struct acpi_header header(const char *signature, uint8_t revision, size_t length)
{
    struct acpi_header made = {
        .length = (uint32_t)length,
        .revision = revision,
        .oem_id = {'B', 'L', 'K', 'H', 'D', ' '},
        .oem_table_id = {'B', 'U', 'L', 'K', 'H', 'E', 'A', 'D'},
        .oem_revision = 1,
        .creator_id = {'B', 'L', 'K', 'H'},
        .creator_revision = 1,
    };

    memcpy(made.signature, signature, sizeof(made.signature));
    return made;
}

// Appends a table with its checksum. Its guest-physical address.
static uint64_t append(struct area *area, const void *table, size_t length)
{
    size_t at = (area->length + TABLE_ALIGNMENT - 1) & ~(size_t)(TABLE_ALIGNMENT - 1);
    uint8_t *bytes = area->bytes + at;

    if (area->full || at > area->room || length > area->room - at) {
        area->full = true;
        return 0;
    }
    memset(area->bytes + area->length, 0, at - area->length);
    memcpy(bytes, table, length);
    bytes[offsetof(struct acpi_header, checksum)] = checksum(bytes, length);
    area->length = at + length;
    return area->base + at;
}

static struct acpi_register port_register(uint16_t port)
{
    return (struct acpi_register){
        .space = SPACE_SYSTEM_IO,
        .bit_width = 8,
        .access_size = 1,
        .address = port,
    };
}

static uint64_t add_dsdt(struct area *area, const struct acpi_machine *machine)
{
    struct {
        struct acpi_header header;
        uint8_t aml[ACPI_TABLES_MAX - sizeof(struct acpi_header)];
    } table;
    ssize_t length = acpi_dsdt(machine, table.aml, sizeof(table.aml));

    if (length < 0) {
        area->full = true;
        return 0;
    }
    table.header = header("DSDT", 2, sizeof(table.header) + (size_t)length);
    return append(area, &table, table.header.length);
}

// 4.1: a hardware-reduced machine has none of the fixed registers, and no FACS.
static uint64_t add_fadt(struct area *area, const struct acpi_machine *machine, uint64_t dsdt)
{
    const struct acpi_fadt table = {
        .header = header("FACP", 6, sizeof(table)),
        .power_profile = ACPI_PROFILE_DESKTOP,
        .boot_architecture =
            (uint16_t)(ACPI_FADT_VGA_ABSENT | (machine->has_rtc ? 0 : ACPI_FADT_RTC_ABSENT)),
        .flags = ACPI_FADT_WBINVD | ACPI_FADT_PROC_C1 | ACPI_FADT_POWER_BUTTON |
                 ACPI_FADT_SLEEP_BUTTON | ACPI_FADT_FIXED_RTC | ACPI_FADT_RESET_REGISTER |
                 ACPI_FADT_HARDWARE_REDUCED,
        .reset = port_register(MACHINE_PORT_RESET),
        .reset_value = MACHINE_RESET_VALUE,
        .minor_revision = 3,
        .dsdt = dsdt,
        .sleep_control = port_register(MACHINE_PORT_SLEEP_CONTROL),
        .sleep_status = port_register(MACHINE_PORT_SLEEP_STATUS),
    };

    return append(area, &table, sizeof(table));
}

static uint64_t add_madt(struct area *area, const struct acpi_machine *machine)
{
    struct {
        struct acpi_madt madt;
        struct acpi_madt_ioapic ioapic;
        struct acpi_madt_nmi nmi;
        struct acpi_madt_cpu cpus[VCPUS_MAX];
    } ACPI_PACKED table = {
        .madt = {.local_apic = (uint32_t)MACHINE_LAPIC_BASE},
        .ioapic =
            {
                .type = 1,
                .length = sizeof(table.ioapic),
                .address = (uint32_t)MACHINE_IOAPIC_BASE,
            },
        .nmi = {.type = 4, .length = sizeof(table.nmi), .uid = 0xff, .lint = 1},
    };
    size_t length = offsetof(__typeof__(table), cpus) + machine->cpus * sizeof(table.cpus[0]);

    for (unsigned i = 0; i < machine->cpus; i++)
        table.cpus[i] = (struct acpi_madt_cpu){
            .length = sizeof(table.cpus[0]),
            .uid = (uint8_t)i,
            .apic_id = (uint8_t)i,
            .flags = 1,
        };
    table.madt.header = header("APIC", 5, length);
    return append(area, &table, length);
}

static uint64_t add_mcfg(struct area *area)
{
    const struct acpi_mcfg table = {
        .header = header("MCFG", 1, sizeof(table)),
        .base = MACHINE_ECAM_BASE,
        .last_bus = (uint8_t)(MACHINE_ECAM_SIZE / (1u << 20) - 1), // 1 MiB for each bus
    };

    return append(area, &table, sizeof(table));
}

static void write_rsdp(struct area *area, uint64_t xsdt)
{
    struct acpi_rsdp rsdp = {
        .signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
        .oem_id = {'B', 'L', 'K', 'H', 'D', ' '},
        .revision = 2,
        .length = sizeof(rsdp),
        .xsdt = xsdt,
    };

    rsdp.checksum = checksum((const uint8_t *)&rsdp, offsetof(struct acpi_rsdp, length));
    rsdp.extended_checksum = checksum((const uint8_t *)&rsdp, sizeof(rsdp));
    memcpy(area->bytes, &rsdp, sizeof(rsdp));
}

ssize_t acpi_build(const struct acpi_machine *machine, uint64_t base, uint8_t *bytes, size_t room)
{
    struct area area = {.base = base, .bytes = bytes, .room = room};
    struct {
        struct acpi_header header;
        uint64_t tables[3];
    } ACPI_PACKED xsdt;
    uint64_t address;

    if (machine->cpus == 0 || machine->cpus > VCPUS_MAX)
        return -EINVAL;
    if (room < sizeof(struct acpi_rsdp))
        return -ENOSPC;
    area.length = sizeof(struct acpi_rsdp);
    xsdt.header = header("XSDT", 1, sizeof(xsdt));
    xsdt.tables[0] = add_fadt(&area, machine, add_dsdt(&area, machine));
    xsdt.tables[1] = add_madt(&area, machine);
    xsdt.tables[2] = add_mcfg(&area);
    address = append(&area, &xsdt, sizeof(xsdt));
    if (area.full)
        return -ENOSPC;
    write_rsdp(&area, address);
    return (ssize_t)area.length;
}
