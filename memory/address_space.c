// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// First-fit allocator of address ranges. Plain arithmetic on numbers that the coordinator chooses;
// no memory is touched.
#include "memory/address_space.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static uint64_t last_of(const struct address_range *range)
{
    return range->start + (range->size - 1);
}

int address_space_init(struct address_space *space, uint64_t start, uint64_t size)
{
    if (size == 0 || size - 1 > UINT64_MAX - start)
        return -EINVAL;
    *space = (struct address_space){.window = {.start = start, .size = size}};
    return 0;
}

static int insert(struct address_space *space, unsigned at, uint64_t start, uint64_t size)
{
    if (space->count == ADDRESS_SPACE_RANGES_MAX)
        return -ENOSPC;
    memmove(&space->taken[at + 1], &space->taken[at], (space->count - at) * sizeof(*space->taken));
    space->taken[at] = (struct address_range){.start = start, .size = size};
    space->count++;
    return 0;
}

// Whether `size` bytes fit at or after `from`, aligned, not passing `last`; where in *start.
static bool fits(uint64_t from, uint64_t last, uint64_t size, uint64_t alignment, uint64_t *start)
{
    uint64_t aligned;

    if (from > UINT64_MAX - (alignment - 1))
        return false;
    aligned = (from + (alignment - 1)) & ~(alignment - 1);
    if (aligned > last || last - aligned < size - 1)
        return false;
    *start = aligned;
    return true;
}

int address_space_take(struct address_space *space, uint64_t size, uint64_t alignment,
                       uint64_t *start)
{
    uint64_t from = space->window.start;
    uint64_t last = last_of(&space->window);
    unsigned at;

    if (size == 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
        return -EINVAL;
    for (at = 0; at < space->count; at++) {
        const struct address_range *next = &space->taken[at];

        if (next->start > from && fits(from, next->start - 1, size, alignment, start))
            return insert(space, at, *start, size);
        if (last_of(next) == last)
            return -ENOSPC;
        from = last_of(next) + 1;
    }
    if (!fits(from, last, size, alignment, start))
        return -ENOSPC;
    return insert(space, at, *start, size);
}

int address_space_take_at(struct address_space *space, uint64_t start, uint64_t size)
{
    unsigned at = 0;

    if (size == 0)
        return -EINVAL;
    if (start < space->window.start || start > last_of(&space->window) ||
        size - 1 > last_of(&space->window) - start)
        return -ERANGE;
    while (at < space->count && last_of(&space->taken[at]) < start)
        at++;
    if (at < space->count && space->taken[at].start <= start + (size - 1))
        return -EEXIST;
    return insert(space, at, start, size);
}

int address_space_give(struct address_space *space, uint64_t start)
{
    for (unsigned at = 0; at < space->count; at++) {
        if (space->taken[at].start != start)
            continue;
        space->count--;
        memmove(&space->taken[at], &space->taken[at + 1],
                (space->count - at) * sizeof(*space->taken));
        return 0;
    }
    return -ENOENT;
}
