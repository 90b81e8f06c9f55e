// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Makes the memory map. Regions come from the warden.
#include "main/boot/boot_map.h"

#include "main/boot/boot_layout.h"
#include "main/machine/layout.h"

#include <assert.h>
#include <errno.h>

static void add(struct boot_map *map, uint64_t start, uint64_t end, enum boot_map_type type)
{
    map->entries[map->count++] = (struct boot_map_entry){
        .start = start,
        .size = end - start,
        .type = type,
    };
}

static_assert(5 + GUEST_REGIONS_MAX <= BOOT_MAP_ENTRIES_MAX, "every map has room");

int boot_map_make(struct boot_map *map, const struct guest_region *regions, unsigned count,
                  struct boot_failure *failure)
{
    if (count == 0 || count > GUEST_REGIONS_MAX || regions[0].guest_address != 0 ||
        regions[0].size <= BOOT_HIGH_MEMORY || regions[0].size > MACHINE_HOLE_START)
        return boot_fail(failure, -EINVAL,
                         "memory does not begin with a region of 1 MiB to 3 GiB; give the VM more "
                         "(--memory)");
    *map = (struct boot_map){.low_end = regions[0].size, .top = regions[0].size};
    add(map, 0, BOOT_EBDA, BOOT_MAP_MEMORY);
    add(map, BOOT_EBDA, BOOT_VGA, BOOT_MAP_RESERVED);
    add(map, BOOT_ACPI, BOOT_ACPI + BOOT_ACPI_ROOM, BOOT_MAP_RESERVED);
    add(map, BOOT_HIGH_MEMORY, map->low_end, BOOT_MAP_MEMORY);
    add(map, MACHINE_ECAM_BASE, MACHINE_ECAM_BASE + MACHINE_ECAM_SIZE, BOOT_MAP_RESERVED);
    for (unsigned i = 1; i < count; i++) {
        map->top = regions[i].guest_address + regions[i].size;
        add(map, regions[i].guest_address, map->top, BOOT_MAP_MEMORY);
    }
    return 0;
}
