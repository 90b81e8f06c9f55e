// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Host addresses of guest memory: for files in memory/ and nobody else (rule 8, kept by make lint).
#pragma once

#include "memory/guest_memory.h"

#include <assert.h>
#include <stdbool.h>

struct guest_memory {
    unsigned count;
    struct {
        struct guest_region guest;
        uint8_t *host;
    } regions[GUEST_REGIONS_MAX];
};

// Host address of [address, address + length), or NULL when any byte is outside memory or length is
// 0. The range lies in one region as a whole.
static inline void *guest_memory_host(const struct guest_memory *memory, guest_addr address,
                                      uint64_t length)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_region *region = &memory->regions[i].guest;
        uint64_t offset = address.value - region->guest_address;

        // The subtraction may wrap: then offset is huge and the comparison fails.
        if (offset < region->size && length != 0 && length <= region->size - offset)
            return memory->regions[i].host + offset;
    }
    return NULL;
}
