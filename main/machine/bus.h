// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The bus: which register window answers a port or memory access. Windows are sorted; a look-up is
// a binary search. The guest chooses address, width and value of each access; a window's handler
// sees only offsets inside it. Accesses that no window answers read as all ones and ignore writes.
// Access to the bus is serialised by the machine's lock.
#pragma once

#include "vcpu/hypervisor.h"

#include <stdbool.h>
#include <stdint.h>

#define BUS_WINDOWS_MAX 160

// `offset` is from the window's start, `length` 1, 2, 4 or 8, and offset + length does not pass the
// window's end.
struct bus_ops {
    const char *name;
    uint64_t (*read)(void *context, uint64_t offset, unsigned length);
    void (*write)(void *context, uint64_t offset, unsigned length, uint64_t value);
};

struct bus_window {
    uint64_t start;
    uint64_t size;
    const struct bus_ops *ops;
    void *context;
};

struct bus {
    struct {
        unsigned count;
        struct bus_window windows[BUS_WINDOWS_MAX];
    } spaces[2]; // by enum exit_space
};

// Adds a window; *window is copied. -EEXIST when it overlaps another (the guest may place BARs
// anywhere: the later one is not reachable), -ENOSPC, -EINVAL for size 0 or wrap-around.
int bus_add(struct bus *bus, enum exit_space space, const struct bus_window *window);
// Removes the window of this context at `start`. Nothing happens when there is none.
void bus_remove(struct bus *bus, enum exit_space space, uint64_t start, const void *context);

// Answers one access, whole. One that no window contains entirely, or whose length is not 1, 2, 4
// or 8, reads as ones and writes nothing.
void bus_access(struct bus *bus, const struct exit_access *access);

// What a read of `length` (up to 8) bytes at `offset` of a little-endian image of registers gives;
// bytes past its end are zero. Any offset.
uint64_t bus_image_read(const void *image, size_t size, uint64_t offset, unsigned length);
// The value that a read of `length` (1..8) bytes gives when nothing answers.
static inline uint64_t bus_ones(unsigned length)
{
    return length >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * length)) - 1;
}
