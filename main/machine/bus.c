// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The bus: sorted windows and a binary search. Trusted with the table of who answers where; touches
// no guest memory. Addresses, widths and values come from the guest.
#include "main/machine/bus.h"

#include "ipc/cleanup.h"

#include <errno.h>
#include <string.h>

// Index of the first window that ends after `address`, or the count when there is none.
static unsigned first_ending_after(const struct bus_window *windows, unsigned count,
                                   uint64_t address)
{
    unsigned low = 0, high = count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (address - windows[middle].start < windows[middle].size ||
            address < windows[middle].start)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int bus_add(struct bus *bus, enum exit_space space, const struct bus_window *window)
{
    struct bus_window *windows = bus->spaces[space].windows;
    unsigned count = bus->spaces[space].count;
    unsigned at;

    // The last byte must have an address: a window may end exactly at 2^64.
    if (window->size == 0 || window->size - 1 > UINT64_MAX - window->start)
        return -EINVAL;
    at = first_ending_after(windows, count, window->start);
    if (at < count && windows[at].start <= window->start + (window->size - 1))
        return -EEXIST;
    if (count == BUS_WINDOWS_MAX)
        return -ENOSPC;
    memmove(&windows[at + 1], &windows[at], (count - at) * sizeof(*windows));
    windows[at] = *window;
    bus->spaces[space].count = count + 1;
    return 0;
}

void bus_remove(struct bus *bus, enum exit_space space, uint64_t start, const void *context)
{
    struct bus_window *windows = bus->spaces[space].windows;
    unsigned count = bus->spaces[space].count;
    unsigned at = first_ending_after(windows, count, start);

    if (at == count || windows[at].start != start || windows[at].context != context)
        return;
    memmove(&windows[at], &windows[at + 1], (count - at - 1) * sizeof(*windows));
    bus->spaces[space].count = count - 1;
}

static bool length_is_valid(unsigned length)
{
    return length == 1 || length == 2 || length == 4 || length == 8;
}

// The window that contains the whole access, or NULL.
static const struct bus_window *find(const struct bus *bus, const struct exit_access *access)
{
    const struct bus_window *window;
    unsigned count, at;

    if (!length_is_valid(access->length) || (unsigned)access->space >= array_size(bus->spaces))
        return NULL;
    count = bus->spaces[access->space].count;
    at = first_ending_after(bus->spaces[access->space].windows, count, access->address);
    if (at == count)
        return NULL;
    window = &bus->spaces[access->space].windows[at];
    if (access->address < window->start ||
        window->size - (access->address - window->start) < access->length)
        return NULL;
    return window;
}

void bus_access(struct bus *bus, const struct exit_access *access)
{
    const struct bus_window *found = find(bus, access);
    struct bus_window window;
    uint64_t value = 0;

    if (!found) {
        if (!access->write)
            memset(access->data, 0xff, access->length);
        return;
    }
    window = *found; // the handler may move windows
    if (access->write) {
        memcpy(&value, access->data, access->length);
        window.ops->write(window.context, access->address - window.start, access->length, value);
    } else {
        value = window.ops->read(window.context, access->address - window.start, access->length);
        memcpy(access->data, &value, access->length);
    }
}

uint64_t bus_image_read(const void *image, size_t size, uint64_t offset, unsigned length)
{
    uint64_t value = 0;

    if (offset >= size)
        return 0;
    if (length > sizeof(value))
        length = sizeof(value);
    if (length > size - offset)
        length = (unsigned)(size - offset);
    memcpy(&value, (const uint8_t *)image + offset, length);
    return value;
}
