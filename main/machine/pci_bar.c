// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Where BARs answer. The guest may write any address at any time (PCI 3.0, 6.2.5.1): a BAR is put
// on the bus only inside the windows that PCI owns, so that it can never stand before memory, the
// interrupt controllers, ECAM or the fixed ports, and only where no other BAR answers.
#include "main/machine/pci.h"

#include "ipc/cleanup.h"

#include <errno.h>
#include <string.h>

#define BAR_IS_IO 0x1u
#define BAR_IS_MEMORY64 0x4u
#define IO_FLAGS 0x3u
#define MEMORY_FLAGS 0xfu
#define IO_SIZE_MIN 4u
#define IO_SIZE_MAX 256u
#define MEMORY_SIZE_MIN 4096u
#define MEMORY_SIZE_MAX 0x100000u

static uint32_t register_of(const struct pci_function *function, unsigned bar)
{
    return (uint32_t)bus_image_read(function->config, sizeof(function->config), PCI_BAR0 + 4 * bar,
                                    4);
}

static void put_register(uint8_t *bytes, unsigned bar, uint32_t value)
{
    memcpy(&bytes[PCI_BAR0 + 4 * bar], &value, sizeof(value));
}

static bool contains(const struct address_range *range, uint64_t start, uint64_t size)
{
    return start >= range->start && size <= range->size &&
           start - range->start <= range->size - size;
}

static enum exit_space space_of(const struct pci_bar *bar)
{
    return bar->kind == PCI_BAR_IO ? EXIT_PIO : EXIT_MMIO;
}

// Whether the guest lets the BAR decode at an address where it may; which one, in *address.
static bool wanted(const struct pci_bar *bar, uint64_t *address)
{
    const struct pci_function *function = bar->function;
    const struct pci_bus *pci = function->pci;
    uint16_t command = function->config[PCI_COMMAND];

    if (bar->kind == PCI_BAR_IO) {
        *address = register_of(function, bar->index) & ~IO_FLAGS;
        return (command & PCI_COMMAND_IO) && contains(&pci->ports.window, *address, bar->size);
    }
    *address = (register_of(function, bar->index) & ~MEMORY_FLAGS) |
               (uint64_t)register_of(function, bar->index + 1u) << 32;
    return (command & PCI_COMMAND_MEMORY) &&
           (contains(&pci->memory32.window, *address, bar->size) ||
            contains(&pci->memory64, *address, bar->size));
}

static uint64_t window_read(void *context, uint64_t offset, unsigned length)
{
    const struct pci_bar *bar = context;
    const struct pci_function *function = bar->function;

    return function->ops->bar_read(function->context, bar->index, offset, length);
}

static void window_write(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    const struct pci_bar *bar = context;
    const struct pci_function *function = bar->function;

    function->ops->bar_write(function->context, bar->index, offset, length, value);
}

static const struct bus_ops window_ops = {
    .name = "BAR",
    .read = window_read,
    .write = window_write,
};

static void unmap(struct pci_bar *bar)
{
    struct pci_function *function = bar->function;

    if (function->ops->bar_unmap)
        function->ops->bar_unmap(function->context, bar->index);
    bus_remove(function->pci->bus, space_of(bar), bar->address, bar);
    bar->mapped = false;
}

// What answers there already keeps the place; the BAR is tried again with the next change.
static void try_map(struct pci_bar *bar)
{
    struct bus_window window = {.size = bar->size, .ops = &window_ops, .context = bar};

    if (!wanted(bar, &window.start))
        return;
    if (bus_add(bar->function->pci->bus, space_of(bar), &window) < 0)
        return;
    bar->address = window.start;
    bar->mapped = true;
}

void pci_function_remap(struct pci_function *function)
{
    struct pci_bus *pci = function->pci;
    uint64_t address;

    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &function->bars[i];

        if (bar->mapped && (!wanted(bar, &address) || address != bar->address))
            unmap(bar);
    }
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
        for (unsigned i = 0; pci->functions[slot] && i < PCI_BARS; i++) {
            struct pci_bar *bar = &pci->functions[slot]->bars[i];

            if (bar->kind != PCI_BAR_NONE && !bar->mapped)
                try_map(bar);
        }
}

static bool number_is_free(const struct pci_function *function, unsigned bar,
                           enum pci_bar_kind kind)
{
    if (bar >= PCI_BARS || function->bars[bar].kind != PCI_BAR_NONE ||
        (bar > 0 && function->bars[bar - 1].kind == PCI_BAR_MEMORY64))
        return false;
    return kind == PCI_BAR_IO ||
           (bar + 1 < PCI_BARS && function->bars[bar + 1].kind == PCI_BAR_NONE);
}

static bool size_is_valid(enum pci_bar_kind kind, uint64_t size)
{
    if ((size & (size - 1)) != 0)
        return false;
    if (kind == PCI_BAR_IO)
        return size >= IO_SIZE_MIN && size <= IO_SIZE_MAX;
    return kind == PCI_BAR_MEMORY64 && size >= MEMORY_SIZE_MIN && size <= MEMORY_SIZE_MAX;
}

int pci_function_add_bar(struct pci_function *function, unsigned bar, enum pci_bar_kind kind,
                         uint64_t size)
{
    struct address_space *space =
        kind == PCI_BAR_IO ? &function->pci->ports : &function->pci->memory32;
    uint32_t size_bits = ~(uint32_t)(size - 1);
    uint64_t start;
    int error;

    if (!size_is_valid(kind, size) || !number_is_free(function, bar, kind))
        return -EINVAL;
    error = address_space_take(space, size, size, &start);
    if (error < 0)
        return error;
    function->bars[bar] =
        (struct pci_bar){.kind = kind, .size = size, .index = (uint8_t)bar, .function = function};
    if (kind == PCI_BAR_IO) {
        // Ports have 16 bits: the register's upper half is always 0.
        put_register(function->config, bar, (uint32_t)start | BAR_IS_IO);
        put_register(function->writable, bar, size_bits & 0xfffcu);
    } else {
        put_register(function->config, bar, (uint32_t)start | BAR_IS_MEMORY64);
        put_register(function->writable, bar, size_bits);
        put_register(function->writable, bar + 1, UINT32_MAX);
    }
    return 0;
}
