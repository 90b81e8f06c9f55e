// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// First-fit allocator of address ranges (MMIO windows, ports, BARs): power-on places for what the
// guest may move later. Fixed room, no heap.
#pragma once

#include <stdint.h>

#define ADDRESS_SPACE_RANGES_MAX 128

struct address_range {
    uint64_t start;
    uint64_t size;
};

struct address_space {
    struct address_range window; // what may be given out
    unsigned count;
    struct address_range taken[ADDRESS_SPACE_RANGES_MAX]; // sorted, disjoint
};

// An empty space over [start, start + size). -EINVAL for size 0 or wrap-around.
int address_space_init(struct address_space *space, uint64_t start, uint64_t size);
// Takes `size` bytes aligned to `alignment` (a power of two) anywhere. 0 with *start, -EINVAL,
// -ENOSPC.
int address_space_take(struct address_space *space, uint64_t size, uint64_t alignment,
                       uint64_t *start);
// Takes exactly this range. -EEXIST when it overlaps one that is taken, -ERANGE outside the window.
int address_space_take_at(struct address_space *space, uint64_t start, uint64_t size);
// Gives back the range that starts here. -ENOENT.
int address_space_give(struct address_space *space, uint64_t start);
