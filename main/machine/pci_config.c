// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// One function's configuration space: bytes, and for each byte the bits that the guest may change.
// Offsets, widths and values are the guest's; the meaning of what it wrote is with pci_bar.c and
// with the function's owner.
#include "main/machine/pci.h"

#include <errno.h>
#include <string.h>

#define STATUS_CAPABILITIES 0x10
#define INTERRUPT_LINE 0x3c
#define ECAM_FUNCTION_SIZE 4096u

static void put(uint8_t *to, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

int pci_function_init(struct pci_function *function, struct pci_bus *pci, unsigned slot,
                      const struct pci_identity *identity, const struct pci_function_ops *ops,
                      void *context)
{
    if (slot >= PCI_SLOTS)
        return -EINVAL;
    if (pci->functions[slot])
        return -EEXIST;
    *function = (struct pci_function){
        .ops = ops,
        .context = context,
        .pci = pci,
        .slot = slot,
        .capability_free = PCI_HEADER_END,
    };
    put(&function->config[PCI_VENDOR], identity->vendor, 2);
    put(&function->config[PCI_DEVICE], identity->device, 2);
    put(&function->config[PCI_SUBSYSTEM_VENDOR], identity->subsystem_vendor, 2);
    put(&function->config[PCI_SUBSYSTEM], identity->subsystem, 2);
    put(&function->config[PCI_REVISION], identity->revision, 1);
    put(&function->config[PCI_CLASS], identity->class_code, 3);
    put(&function->writable[PCI_COMMAND],
        PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF, 2);
    put(&function->writable[INTERRUPT_LINE], 0xff, 1); // a note that firmware leaves for drivers
    pci->functions[slot] = function;
    return 0;
}

int pci_function_add_capability(struct pci_function *function, enum pci_capability_id id,
                                const void *body, const void *writable, unsigned length)
{
    unsigned at = function->capability_free;
    unsigned size = (2 + length + 3) & ~3u;

    if (length > PCI_CONFIG_SIZE || size > PCI_CONFIG_SIZE - at)
        return -ENOSPC;
    function->config[at] = (uint8_t)id;
    memcpy(&function->config[at + 2], body, length);
    if (writable)
        memcpy(&function->writable[at + 2], writable, length);
    if (function->capability_last)
        function->config[function->capability_last + 1] = (uint8_t)at;
    else
        function->config[PCI_CAPABILITIES] = (uint8_t)at;
    function->config[PCI_STATUS] |= STATUS_CAPABILITIES;
    function->capability_last = at;
    function->capability_free = at + size;
    return (int)at;
}

void pci_function_seal(struct pci_function *function)
{
    memcpy(function->power_on, function->config, sizeof(function->power_on));
}

void pci_function_reset(struct pci_function *function)
{
    memcpy(function->config, function->power_on, sizeof(function->config));
    pci_function_remap(function);
}

uint64_t pci_function_read(struct pci_function *function, unsigned offset, unsigned length)
{
    if (length > sizeof(uint64_t) || offset > ECAM_FUNCTION_SIZE - length)
        return bus_ones(length);
    if (function->ops->config_read)
        function->ops->config_read(function->context, offset, length);
    return bus_image_read(function->config, sizeof(function->config), offset, length);
}

void pci_function_write(struct pci_function *function, unsigned offset, unsigned length,
                        uint64_t value)
{
    uint8_t before[PCI_HEADER_END];

    if (length > sizeof(value) || offset > ECAM_FUNCTION_SIZE - length)
        return;
    memcpy(before, function->config, sizeof(before));
    for (unsigned i = 0; i < length && offset + i < PCI_CONFIG_SIZE; i++) {
        uint8_t mask = function->writable[offset + i];
        uint8_t byte = (uint8_t)(value >> (8 * i));
        uint8_t *at = &function->config[offset + i];

        *at = (uint8_t)((*at & ~mask) | (byte & mask));
    }
    if (memcmp(before, function->config, sizeof(before)) != 0)
        pci_function_remap(function);
    if (function->ops->config_written)
        function->ops->config_written(function->context, offset, length);
}
