// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Layouts of the ACPI tables that we write (ACPI 6.3, section 5.2; MCFG: PCI Firmware 3.0, 4.1.2).
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_PACKED __attribute__((packed))

struct acpi_rsdp { // 5.2.5.3
    char signature[8];
    uint8_t checksum; // of the first 20 bytes
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
} ACPI_PACKED;

struct acpi_header { // 5.2.6
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} ACPI_PACKED;

struct acpi_register { // 5.2.3.2, generic address structure
    uint8_t space;     // 1: system I/O
    uint8_t bit_width;
    uint8_t bit_offset;
    uint8_t access_size; // 1: byte
    uint64_t address;
} ACPI_PACKED;

struct acpi_fadt { // 5.2.9
    struct acpi_header header;
    uint8_t firmware_ctrl_to_reserved[9];
    uint8_t power_profile;
    uint8_t fixed_hardware[109 - 46]; // zero in a hardware-reduced machine
    uint16_t boot_architecture;
    uint8_t reserved;
    uint32_t flags;
    struct acpi_register reset;
    uint8_t reset_value;
    uint16_t arm_boot_architecture;
    uint8_t minor_revision;
    uint64_t firmware_control;
    uint64_t dsdt;
    struct acpi_register fixed_registers[8];
    struct acpi_register sleep_control;
    struct acpi_register sleep_status;
    uint64_t hypervisor_vendor;
} ACPI_PACKED;

#define ACPI_FADT_VGA_ABSENT (1u << 2)   // boot_architecture, table 5-10
#define ACPI_FADT_RTC_ABSENT (1u << 5)   //
#define ACPI_FADT_WBINVD (1u << 0)       // flags, table 5-11: must be set
#define ACPI_FADT_PROC_C1 (1u << 2)      // the halt instruction works on all CPUs
#define ACPI_FADT_POWER_BUTTON (1u << 4) // no fixed power button
#define ACPI_FADT_SLEEP_BUTTON (1u << 5) // no fixed sleep button
#define ACPI_FADT_FIXED_RTC (1u << 6)    // the RTC does not wake
#define ACPI_FADT_RESET_REGISTER (1u << 10)
#define ACPI_FADT_HARDWARE_REDUCED (1u << 20)
#define ACPI_PROFILE_DESKTOP 1u

struct acpi_madt { // 5.2.12
    struct acpi_header header;
    uint32_t local_apic;
    uint32_t flags; // 0: no pair of 8259s
} ACPI_PACKED;

struct acpi_madt_cpu { // 5.2.12.2, type 0
    uint8_t type;
    uint8_t length;
    uint8_t uid;
    uint8_t apic_id;
    uint32_t flags; // 1: enabled
} ACPI_PACKED;

struct acpi_madt_ioapic { // 5.2.12.3, type 1
    uint8_t type;
    uint8_t length;
    uint8_t id;
    uint8_t reserved;
    uint32_t address;
    uint32_t first_gsi;
} ACPI_PACKED;

struct acpi_madt_nmi { // 5.2.12.7, type 4
    uint8_t type;
    uint8_t length;
    uint8_t uid; // 0xff: all
    uint16_t flags;
    uint8_t lint;
} ACPI_PACKED;

struct acpi_mcfg {
    struct acpi_header header;
    uint64_t reserved;
    uint64_t base;
    uint16_t segment;
    uint8_t first_bus;
    uint8_t last_bus;
    uint32_t reserved2;
} ACPI_PACKED;

static_assert(sizeof(struct acpi_rsdp) == 36, "5.2.5.3");
static_assert(offsetof(struct acpi_rsdp, length) == 20, "5.2.5.3");
static_assert(sizeof(struct acpi_header) == 36, "5.2.6");
static_assert(sizeof(struct acpi_register) == 12, "5.2.3.2");
static_assert(offsetof(struct acpi_fadt, power_profile) == 45, "5.2.9");
static_assert(offsetof(struct acpi_fadt, boot_architecture) == 109, "5.2.9");
static_assert(offsetof(struct acpi_fadt, reset) == 116, "5.2.9");
static_assert(offsetof(struct acpi_fadt, dsdt) == 140, "5.2.9");
static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "5.2.9");
static_assert(sizeof(struct acpi_fadt) == 276, "5.2.9");
static_assert(sizeof(struct acpi_madt) == 44, "5.2.12");
static_assert(sizeof(struct acpi_madt_cpu) == 8, "5.2.12.2");
static_assert(sizeof(struct acpi_madt_ioapic) == 12, "5.2.12.3");
static_assert(sizeof(struct acpi_madt_nmi) == 6, "5.2.12.7");
static_assert(sizeof(struct acpi_mcfg) == 60, "PCI Firmware 3.0, 4.1.2");
