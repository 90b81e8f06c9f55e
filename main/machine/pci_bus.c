// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The ways to configuration space: ports 0xcf8 and 0xcfc (PCI 3.0, 3.2.2.3.2) and ECAM (PCI Express
// 3.0, 7.2.2), and the host bridge. What is not there reads as ones. Decodes fixed-width registers,
// nothing else.
#include "main/machine/pci.h"

#include "main/machine/layout.h"

#include <errno.h>

#define ADDRESS_ENABLE 0x80000000u
#define DATA_OFFSET (MACHINE_PORT_PCI_DATA - MACHINE_PORT_PCI_ADDRESS)
#define PORTS_SIZE 8u
#define RESET_CONTROL_OFFSET 1u // port 0xcf9: reset control of Intel's chipsets
#define RESET_CONTROL_KEPT 0x0au
#define RESET_CONTROL_RESET 0x04u
#define FOUR_GIB (UINT64_C(1) << 32)

// A host bridge without peculiarities that kernels would work around.
static const struct pci_identity host_bridge_identity = {
    .vendor = 0x1b36,
    .device = 0x0008,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .class_code = 0x060000,
};

static const struct pci_function_ops host_bridge_ops = {.name = "host bridge"};

// The function that CONFIG_ADDRESS selects, or NULL.
static struct pci_function *selected(const struct pci_bus *pci)
{
    unsigned bus = (pci->address >> 16) & 0xff;
    unsigned number = (pci->address >> 8) & 7;

    if (!(pci->address & ADDRESS_ENABLE) || bus != 0 || number != 0)
        return NULL;
    return pci->functions[(pci->address >> 11) & (PCI_SLOTS - 1)];
}

static uint64_t ports_read(void *context, uint64_t offset, unsigned length)
{
    struct pci_bus *pci = context;
    struct pci_function *function;

    if (offset == 0 && length == 4)
        return pci->address;
    if (offset == RESET_CONTROL_OFFSET && length == 1)
        return pci->reset_control;
    function = selected(pci);
    if (offset < DATA_OFFSET || !function)
        return bus_ones(length);
    return pci_function_read(function, (pci->address & 0xfc) + (unsigned)(offset - DATA_OFFSET),
                             length);
}

static void ports_write(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    struct pci_bus *pci = context;
    struct pci_function *function;

    if (offset == 0 && length == 4) {
        pci->address = (uint32_t)value;
        return;
    }
    if (offset == RESET_CONTROL_OFFSET && length == 1) {
        pci->reset_control = value & RESET_CONTROL_KEPT;
        if (value & RESET_CONTROL_RESET)
            pci->host->event(pci->host->context, MACHINE_EVENT_RESET);
        return;
    }
    function = selected(pci);
    if (offset >= DATA_OFFSET && function)
        pci_function_write(function, (pci->address & 0xfc) + (unsigned)(offset - DATA_OFFSET),
                           length, value);
}

static const struct bus_ops ports_ops = {
    .name = "PCI ports",
    .read = ports_read,
    .write = ports_write,
};

// The function at an offset of ECAM (bus 0 only), or NULL.
static struct pci_function *at_ecam(const struct pci_bus *pci, uint64_t offset)
{
    return (offset >> 12) & 7 ? NULL : pci->functions[(offset >> 15) & (PCI_SLOTS - 1)];
}

static uint64_t ecam_read(void *context, uint64_t offset, unsigned length)
{
    struct pci_function *function = at_ecam(context, offset);

    return function ? pci_function_read(function, offset & 0xfff, length) : bus_ones(length);
}

static void ecam_write(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    struct pci_function *function = at_ecam(context, offset);

    if (function)
        pci_function_write(function, offset & 0xfff, length, value);
}

static const struct bus_ops ecam_ops = {
    .name = "ECAM",
    .read = ecam_read,
    .write = ecam_write,
};

static int answer(struct pci_bus *pci)
{
    const struct bus_window ports = {
        .start = MACHINE_PORT_PCI_ADDRESS, .size = PORTS_SIZE, .ops = &ports_ops, .context = pci};
    const struct bus_window ecam = {
        .start = MACHINE_ECAM_BASE, .size = MACHINE_ECAM_SIZE, .ops = &ecam_ops, .context = pci};
    int error = bus_add(pci->bus, EXIT_PIO, &ports);

    return error < 0 ? error : bus_add(pci->bus, EXIT_MMIO, &ecam);
}

int pci_bus_init(struct pci_bus *pci, struct bus *bus, const struct machine_host *host,
                 uint64_t memory64_start)
{
    int error;

    if (memory64_start < FOUR_GIB || memory64_start > UINT64_MAX - MACHINE_PCI_MMIO64_SIZE)
        return -EINVAL;
    *pci = (struct pci_bus){
        .bus = bus,
        .host = host,
        .memory64 = {.start = memory64_start, .size = MACHINE_PCI_MMIO64_SIZE},
    };
    error = address_space_init(&pci->memory32, MACHINE_PCI_MMIO32_BASE, MACHINE_PCI_MMIO32_SIZE);
    if (error < 0)
        return error;
    error = address_space_init(&pci->ports, MACHINE_PCI_IO_BASE, MACHINE_PCI_IO_SIZE);
    if (error < 0)
        return error;
    error =
        pci_function_init(&pci->host_bridge, pci, 0, &host_bridge_identity, &host_bridge_ops, NULL);
    if (error < 0)
        return error;
    pci_function_seal(&pci->host_bridge);
    return answer(pci);
}

void pci_bus_reset(struct pci_bus *pci)
{
    pci->address = 0;
    pci->reset_control = 0;
    pci_function_reset(&pci->host_bridge);
}
