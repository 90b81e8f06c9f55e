// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Guest memory as a process sees it: one sealed memfd, mapped shared, in at most GUEST_REGIONS_MAX
// regions (below and above the PCI hole). Only files in memory/ know host addresses of guest memory
// (rule 8).
#pragma once

#include <stdint.h>

#define GUEST_REGIONS_MAX 4
#define GUEST_PAGE_SIZE 4096u

// A guest-physical address. A struct, so that there is no arithmetic by accident.
typedef struct {
    uint64_t value;
} guest_addr;

static inline guest_addr guest_address(uint64_t value)
{
    return (guest_addr){.value = value};
}

struct guest_region {
    uint64_t guest_address; // page aligned
    uint64_t size;          // bytes, page aligned, > 0
    uint64_t offset;        // into the memfd, page aligned
};

struct guest_memory; // opaque: one per process, statically allocated

// Creates the memfd for `size` bytes, close-on-exec, sealed against shrinking, growing and further
// sealing. Descriptor (owned by the caller) or a negative errno.
int guest_memory_create(uint64_t size);

// The regions of a machine with `size` bytes: below `hole_start`, and from 4 GiB on. Number of
// regions (1 or 2).
unsigned guest_memory_layout(uint64_t size, uint64_t hole_start,
                             struct guest_region regions[GUEST_REGIONS_MAX]);

// Maps `regions` of `fd` (not owned; may be closed afterwards). Checks that they are aligned,
// ascending, disjoint, inside the file, and that the file is sealed against shrinking (a shrunk
// file would be SIGBUS). The mapping is not inherited by fork and is left out of core dumps. *out
// points to static storage. 0 or a negative errno.
int guest_memory_map(int fd, const struct guest_region *regions, unsigned count,
                     struct guest_memory **out);
void guest_memory_unmap(struct guest_memory *memory);

unsigned guest_memory_regions(const struct guest_memory *memory,
                              struct guest_region regions[GUEST_REGIONS_MAX]);

// Host address of region `index`, for vcpu/ to register with the hypervisor and for nobody else
// (lint: rule 8).
void *guest_memory_host_base(const struct guest_memory *memory, unsigned index);
