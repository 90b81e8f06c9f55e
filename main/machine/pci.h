// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// PCI as the guest sees it: one root bus with 32 slots of one function each, a host bridge in slot
// 0, configuration through ports 0xcf8/0xcfc and through ECAM, and BARs that the guest may size,
// move and switch off at any time. Nothing here reads guest memory; everything runs under the
// machine's lock and returns without waiting.
//
// pci_bus.c: configuration mechanisms. pci_config.c: one function's 256 bytes. pci_bar.c: where
// BARs answer. Sources: PCI Local Bus 3.0, chapter 6 and 3.2.2.3.2; PCI Express Base 3.0, 7.2.2.
#pragma once

#include "main/machine/machine.h"
#include "memory/address_space.h"

#include <stdbool.h>
#include <stdint.h>

#define PCI_SLOTS 32u
#define PCI_BARS 6u
#define PCI_CONFIG_SIZE 256u // bytes a function keeps; the rest of its 4 KiB of ECAM reads as zero

// Configuration header (PCI 3.0, 6.1), as far as others than pci_config.c name it.
enum pci_register {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_CAPABILITIES = 0x34,
    PCI_HEADER_END = 0x40,
};

enum pci_command {
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2, // kept, without effect: device processes do not ask
    PCI_COMMAND_INTX_OFF = 1 << 10,
};

enum pci_capability_id { PCI_CAPABILITY_VENDOR = 0x09, PCI_CAPABILITY_MSIX = 0x11 };

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEMORY64 };

struct pci_function;

// How a function answers. `bar` is the number of the BAR's (first) register, 0..5. Offsets are
// inside the BAR, lengths 1, 2, 4 or 8, alignment is the guest's choice.
struct pci_function_ops {
    const char *name;
    uint64_t (*bar_read)(void *context, unsigned bar, uint64_t offset, unsigned length);
    void (*bar_write)(void *context, unsigned bar, uint64_t offset, unsigned length,
                      uint64_t value);
    // The BAR is about to stop answering at bars[bar].address: undo what was connected there.
    void (*bar_unmap)(void *context, unsigned bar);
    // The guest reads these bytes of configuration space: bring them up to date. May be NULL.
    void (*config_read)(void *context, unsigned offset, unsigned length);
    // The guest wrote these bytes; the masks are already applied. May be NULL.
    void (*config_written)(void *context, unsigned offset, unsigned length);
};

struct pci_bar {
    enum pci_bar_kind kind;
    uint64_t size;    // a power of two
    uint64_t address; // where it answers, when mapped
    bool mapped;
    uint8_t index;
    struct pci_function *function;
};

struct pci_function {
    const struct pci_function_ops *ops;
    void *context;
    struct pci_bus *pci;
    unsigned slot;
    unsigned capability_last; // where the list of capabilities ends; 0: it is empty
    unsigned capability_free; // first byte that no capability uses
    struct pci_bar bars[PCI_BARS];
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE]; // bits that the guest may change
    uint8_t power_on[PCI_CONFIG_SIZE];
};

struct pci_bus {
    struct bus *bus;
    const struct machine_host *host;
    uint32_t address;      // CONFIG_ADDRESS
    uint8_t reset_control; // port 0xcf9
    struct address_space memory32;
    struct address_space ports;
    struct address_range memory64; // may be used by the guest; nothing is placed there at power-on
    struct pci_function *functions[PCI_SLOTS];
    struct pci_function host_bridge;
};

// An empty bus with its host bridge, answering on `bus` at the places of layout.h. The 64-bit
// window is [memory64_start, memory64_start + MACHINE_PCI_MMIO64_SIZE), above the guest's memory.
// `bus` and `host` stay the caller's and must live as long. A write to port 0xcf9 that asks for a
// reset is MACHINE_EVENT_RESET. 0, -EINVAL, or what bus_add says.
int pci_bus_init(struct pci_bus *pci, struct bus *bus, const struct machine_host *host,
                 uint64_t memory64_start);
// CONFIG_ADDRESS as at power-on. Functions are reset by their owners.
void pci_bus_reset(struct pci_bus *pci);

struct pci_identity {
    uint16_t vendor;
    uint16_t device;
    uint16_t subsystem_vendor;
    uint16_t subsystem;
    uint8_t revision;
    uint32_t class_code; // base class, subclass, interface
};

// Puts a function without BARs and capabilities into `slot` (1..31). -EINVAL, -EEXIST. Then
// pci_function_add_bar and _add_capability, and last pci_function_seal.
int pci_function_init(struct pci_function *function, struct pci_bus *pci, unsigned slot,
                      const struct pci_identity *identity, const struct pci_function_ops *ops,
                      void *context);
// Adds BAR `bar` with a power-on place of its own; decoding stays off until the guest switches it
// on. A 64-bit BAR takes two registers. -EINVAL for a bad number or size, -ENOSPC.
int pci_function_add_bar(struct pci_function *function, unsigned bar, enum pci_bar_kind kind,
                         uint64_t size);
// Appends a capability: `body` is what follows the two bytes of identifier and next pointer.
// `writable` are the guest's bits in `body`, or NULL for none. Its offset, or -ENOSPC.
int pci_function_add_capability(struct pci_function *function, enum pci_capability_id id,
                                const void *body, const void *writable, unsigned length);
// What configuration space holds now is its power-on state.
void pci_function_seal(struct pci_function *function);
// Back to the power-on state: decoding off, BARs at their first places.
void pci_function_reset(struct pci_function *function);

// One access to configuration space, `offset` 0..4095 and any length up to 8. Bytes beyond
// PCI_CONFIG_SIZE read as zero; an access that passes byte 4095 reads as ones.
uint64_t pci_function_read(struct pci_function *function, unsigned offset, unsigned length);
void pci_function_write(struct pci_function *function, unsigned offset, unsigned length,
                        uint64_t value);

// Maps and unmaps BARs of all functions after `function` changed its command or BARs: a BAR answers
// while its decoding is on, it lies inside a window that PCI owns, and nothing else answers there.
// One that does not get its place waits until it is free.
void pci_function_remap(struct pci_function *function);
