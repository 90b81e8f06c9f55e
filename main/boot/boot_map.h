// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The memory map that the guest's kernel is told (ACPI 6.3, section 15: address range types; the
// same numbers serve e820 and PVH), made from the VM's regions less what a PC reserves.
#pragma once

#include "main/boot/boot_failure.h"
#include "memory/guest_memory.h"

#define BOOT_MAP_ENTRIES_MAX 16

enum boot_map_type { BOOT_MAP_MEMORY = 1, BOOT_MAP_RESERVED = 2 };

struct boot_map_entry {
    uint64_t start;
    uint64_t size;
    enum boot_map_type type;
};

struct boot_map {
    unsigned count;
    struct boot_map_entry entries[BOOT_MAP_ENTRIES_MAX]; // ascending, disjoint
    uint64_t low_end; // first address above memory below the PCI hole
    uint64_t top;     // first address above all memory
};

// 0; or -EINVAL with its line in *failure when the regions cannot be those of a PC (the first one
// must begin at 0, hold more than 1 MiB and end at or below the PCI hole).
int boot_map_make(struct boot_map *map, const struct guest_region *regions, unsigned count,
                  struct boot_failure *failure);
