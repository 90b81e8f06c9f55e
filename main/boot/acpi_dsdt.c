// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The DSDT: the PCI host bridge with its windows, the machine's few devices, and how to power off.
// Sees no byte of guest or user.
#include "main/boot/acpi.h"
#include "main/boot/aml.h"
#include "main/machine/layout.h"

#include <errno.h>

// PCI Firmware 3.0, 4.5.1: what _OSC answers in its first DWORD, and the one control that we grant
// (PCI Express capability structures). Hot-plug, power events and error reports have no hardware.
#define OSC_UNRECOGNISED_UUID 0x04u
#define OSC_UNRECOGNISED_REVISION 0x08u
#define OSC_CAPABILITIES_MASKED 0x10u
#define OSC_CONTROL_EXPRESS_CAPABILITY 0x10u

#define POWER_BUTTON_PRESSED 0x80u // 4.8.3.1.1.2: notification of a control-method button

// Or (target, value, target) with a constant.
static void or_into(struct aml *aml, const char *target, uint64_t value)
{
    aml_op(aml, AML_OR);
    aml_name(aml, target);
    aml_integer(aml, value);
    aml_name(aml, target);
}

static void create_dword_field(struct aml *aml, unsigned offset, const char *name)
{
    aml_op(aml, AML_CREATE_DWORD_FIELD);
    aml_op(aml, AML_ARG(3));
    aml_integer(aml, offset);
    aml_name(aml, name);
}

// For the UUID of PCI host bridges: mask the third DWORD (control), and say so if that changed it.
static void osc_host_bridge(struct aml *aml)
{
    size_t condition;

    create_dword_field(aml, 8, "CDW3");
    aml_op(aml, AML_STORE);
    aml_name(aml, "CDW3");
    aml_op(aml, AML_LOCAL0);
    aml_op(aml, AML_AND);
    aml_name(aml, "CDW3");
    aml_integer(aml, OSC_CONTROL_EXPRESS_CAPABILITY);
    aml_name(aml, "CDW3");

    condition = aml_begin(aml, AML_IF);
    aml_op(aml, AML_LNOTEQUAL);
    aml_name(aml, "CDW3");
    aml_op(aml, AML_LOCAL0);
    or_into(aml, "CDW1", OSC_CAPABILITIES_MASKED);
    aml_end(aml, condition);

    condition = aml_begin(aml, AML_IF);
    aml_op(aml, AML_LNOTEQUAL);
    aml_op(aml, AML_ARG(1));
    aml_integer(aml, 1);
    or_into(aml, "CDW1", OSC_UNRECOGNISED_REVISION);
    aml_end(aml, condition);
}

// Method (_OSC, 4): UUID, revision, count, buffer.
static void osc_method(struct aml *aml)
{
    // 33DB4D5B-1FF7-401C-9657-7441C03DD766, in the byte order of ToUUID (19.6.136).
    static const uint8_t host_bridge_uuid[16] = {0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
                                                 0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66};
    size_t method = aml_begin_method(aml, "_OSC", 4);
    size_t branch;

    create_dword_field(aml, 0, "CDW1");
    branch = aml_begin(aml, AML_IF);
    aml_op(aml, AML_LEQUAL);
    aml_op(aml, AML_ARG(0));
    aml_buffer(aml, host_bridge_uuid, sizeof(host_bridge_uuid));
    osc_host_bridge(aml);
    aml_end(aml, branch);

    branch = aml_begin(aml, AML_ELSE);
    or_into(aml, "CDW1", OSC_UNRECOGNISED_UUID);
    aml_end(aml, branch);

    aml_op(aml, AML_RETURN);
    aml_op(aml, AML_ARG(3));
    aml_end(aml, method);
}

static void host_bridge(struct aml *aml, uint64_t mmio64_base)
{
    size_t device = aml_begin_named(aml, AML_DEVICE, "PCI0");
    struct aml_resources resources;

    aml_name_eisa_id(aml, "_HID", "PNP0A08");
    aml_name_eisa_id(aml, "_CID", "PNP0A03");
    aml_name_integer(aml, "_UID", 0);
    aml_name_integer(aml, "_SEG", 0);
    aml_name_integer(aml, "_BBN", 0);
    // No INTx, so no _PRT. DMA of devices is coherent on x86 without _CCA.
    aml_resources_init(&resources);
    aml_resource_bus_window(&resources, 0, 0);
    aml_resource_ports(&resources, MACHINE_PORT_PCI_ADDRESS, 8);
    aml_resource_port_window(&resources, MACHINE_PCI_IO_BASE, MACHINE_PCI_IO_SIZE);
    aml_resource_memory32_window(&resources, (uint32_t)MACHINE_PCI_MMIO32_BASE,
                                 (uint32_t)MACHINE_PCI_MMIO32_SIZE);
    aml_resource_memory64_window(&resources, mmio64_base, MACHINE_PCI_MMIO64_SIZE);
    aml_name_crs(aml, &resources);
    osc_method(aml);
    aml_end(aml, device);
}

// What is taken but has no driver: ECAM (MCFG alone does not reserve it, PCI Firmware 3.0, 4.1.2)
// and the power registers.
static void motherboard(struct aml *aml)
{
    size_t device = aml_begin_named(aml, AML_DEVICE, "MBRD");
    struct aml_resources resources;

    aml_name_eisa_id(aml, "_HID", "PNP0C02");
    aml_name_integer(aml, "_UID", 0);
    aml_resources_init(&resources);
    aml_resource_memory32(&resources, (uint32_t)MACHINE_ECAM_BASE, (uint32_t)MACHINE_ECAM_SIZE);
    aml_resource_ports(&resources, MACHINE_PORT_SLEEP_CONTROL,
                       MACHINE_PORT_GED + 1 - MACHINE_PORT_SLEEP_CONTROL);
    aml_name_crs(aml, &resources);
    aml_end(aml, device);
}

static void serial(struct aml *aml)
{
    size_t device = aml_begin_named(aml, AML_DEVICE, "COM1");
    struct aml_resources resources;

    aml_name_eisa_id(aml, "_HID", "PNP0501");
    aml_name_integer(aml, "_UID", 1);
    aml_resources_init(&resources);
    aml_resource_ports(&resources, MACHINE_PORT_SERIAL, 8);
    aml_resource_interrupt(&resources, MACHINE_IRQ_SERIAL);
    aml_name_crs(aml, &resources);
    aml_end(aml, device);
}

static void rtc(struct aml *aml)
{
    size_t device = aml_begin_named(aml, AML_DEVICE, "RTC_");
    struct aml_resources resources;

    aml_name_eisa_id(aml, "_HID", "PNP0B00");
    aml_resources_init(&resources);
    aml_resource_ports(&resources, MACHINE_PORT_RTC, 2);
    aml_resource_interrupt(&resources, MACHINE_IRQ_RTC);
    aml_name_crs(aml, &resources);
    aml_end(aml, device);
}

static void panic_port(struct aml *aml)
{
    size_t device = aml_begin_named(aml, AML_DEVICE, "PEVT");
    struct aml_resources resources;

    aml_name_string(aml, "_HID", "QEMU0001"); // the identifier that pvpanic drivers know
    aml_resources_init(&resources);
    aml_resource_ports(&resources, MACHINE_PORT_PVPANIC, 1);
    aml_name_crs(aml, &resources);
    aml_end(aml, device);
}

static void power_button(struct aml *aml)
{
    size_t device = aml_begin_named(aml, AML_DEVICE, "PWRB");

    aml_name_eisa_id(aml, "_HID", "PNP0C0C");
    aml_end(aml, device);
}

// The generic event device (5.6.9): reading the port says what happened and clears it.
static void event_device(struct aml *aml)
{
    size_t device = aml_begin_named(aml, AML_DEVICE, "GED_");
    struct aml_resources resources;
    size_t method;
    size_t branch;

    aml_name_string(aml, "_HID", "ACPI0013");
    aml_resources_init(&resources);
    aml_resource_interrupt(&resources, MACHINE_IRQ_GED);
    aml_name_crs(aml, &resources);
    aml_port_field(aml, "EVTR", MACHINE_PORT_GED, "EVTS");

    method = aml_begin_method(aml, "_EVT", 1);
    aml_op(aml, AML_STORE);
    aml_name(aml, "EVTS");
    aml_op(aml, AML_LOCAL0);
    branch = aml_begin(aml, AML_IF);
    aml_op(aml, AML_AND);
    aml_op(aml, AML_LOCAL0);
    aml_integer(aml, MACHINE_GED_POWER_BUTTON);
    aml_op(aml, AML_ZERO); // no target
    aml_op(aml, AML_NOTIFY);
    aml_name(aml, "PWRB");
    aml_integer(aml, POWER_BUTTON_PRESSED);
    aml_end(aml, branch);
    aml_end(aml, method);
    aml_end(aml, device);
}

// 7.4.2: the sleep type of power-off. Only the first element counts with sleep registers.
static void power_off(struct aml *aml)
{
    size_t package;

    aml_op(aml, AML_NAME);
    aml_name(aml, "_S5_");
    package = aml_begin(aml, AML_PACKAGE);
    aml_byte(aml, 4);
    aml_integer(aml, MACHINE_SLEEP_TYPE_S5);
    for (unsigned i = 1; i < 4; i++)
        aml_integer(aml, 0);
    aml_end(aml, package);
}

ssize_t acpi_dsdt(const struct acpi_machine *machine, uint8_t *bytes, size_t room)
{
    struct aml aml = {.bytes = bytes, .room = room};
    size_t scope = aml_begin_named(&aml, AML_SCOPE, "\\_SB_");

    host_bridge(&aml, machine->mmio64_base);
    motherboard(&aml);
    if (machine->has_serial)
        serial(&aml);
    if (machine->has_rtc)
        rtc(&aml);
    panic_port(&aml);
    power_button(&aml);
    event_device(&aml);
    aml_end(&aml, scope);
    power_off(&aml);
    return aml.full ? -ENOSPC : (ssize_t)aml.length;
}
