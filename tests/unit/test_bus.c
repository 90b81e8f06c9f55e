// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The bus finds the one window that contains an access, and nothing else ever answers.
#include "ipc/cleanup.h"
#include "main/machine/bus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct device {
    struct bus *bus;
    uint64_t start;
    uint64_t offset; // of the last access
    unsigned length;
    uint64_t value; // of the last write, and what reads give
    unsigned accesses;
};

static uint64_t device_read(void *context, uint64_t offset, unsigned length)
{
    struct device *device = context;

    device->accesses++;
    device->offset = offset;
    device->length = length;
    return device->value;
}

static void device_write(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    struct device *device = context;

    device->accesses++;
    device->offset = offset;
    device->length = length;
    device->value = value;
}

static const struct bus_ops device_ops = {
    .name = "device",
    .read = device_read,
    .write = device_write,
};

static int add(struct bus *bus, enum exit_space space, struct device *device, uint64_t start,
               uint64_t size)
{
    const struct bus_window window = {
        .start = start, .size = size, .ops = &device_ops, .context = device};

    device->start = start;
    return bus_add(bus, space, &window);
}

static uint64_t load(struct bus *bus, enum exit_space space, uint64_t address, unsigned length)
{
    uint8_t data[16] = {0};
    uint64_t value;

    bus_access(bus,
               &(struct exit_access){
                   .space = space, .address = address, .length = (uint8_t)length, .data = data});
    for (unsigned i = length; i < sizeof(data); i++)
        assert_int_equal(data[i], 0); // never past the access
    memcpy(&value, data, sizeof(value));
    return value;
}

static void store(struct bus *bus, enum exit_space space, uint64_t address, unsigned length,
                  uint64_t value)
{
    uint8_t data[16] = {0};

    memcpy(data, &value, sizeof(value));
    bus_access(bus, &(struct exit_access){.space = space,
                                          .address = address,
                                          .length = (uint8_t)length,
                                          .write = true,
                                          .data = data});
}

static void access_reaches_its_window(void **state)
{
    struct bus bus = {0};
    struct device memory = {.value = 0x1122334455667788}, port = {.value = 0x99};

    assert_int_equal(add(&bus, EXIT_MMIO, &memory, 0x1000, 0x100), 0);
    assert_int_equal(add(&bus, EXIT_PIO, &port, 0x1000, 1), 0);
    assert_int_equal(load(&bus, EXIT_MMIO, 0x1010, 8), 0x1122334455667788);
    assert_int_equal(memory.offset, 0x10);
    assert_int_equal(load(&bus, EXIT_MMIO, 0x10ff, 1), 0x88);
    assert_int_equal(load(&bus, EXIT_PIO, 0x1000, 1), 0x99);
    store(&bus, EXIT_MMIO, 0x1003, 2, 0xaabbccdd);
    assert_int_equal(memory.value, 0xccdd);
    assert_int_equal(memory.offset, 3);
    assert_int_equal(memory.length, 2);
}

static void nobody_answers_as_ones(void **state)
{
    static const uint64_t addresses[] = {0, 0xfff, 0x1100, 0x10fd, UINT64_MAX, UINT64_MAX - 3};
    struct bus bus = {0};
    struct device device = {.value = 0};

    assert_int_equal(add(&bus, EXIT_MMIO, &device, 0x1000, 0x100), 0);
    for (unsigned i = 0; i < array_size(addresses); i++) {
        store(&bus, EXIT_MMIO, addresses[i], 4, 1);
        assert_int_equal(load(&bus, EXIT_MMIO, addresses[i], 4), 0xffffffff);
    }
    assert_int_equal(load(&bus, EXIT_PIO, 0x1000, 2), 0xffff);
    assert_int_equal(device.accesses, 0);
}

static void odd_lengths_reach_nobody(void **state)
{
    struct bus bus = {0};
    struct device device = {.value = 0};

    assert_int_equal(add(&bus, EXIT_MMIO, &device, 0x1000, 0x100), 0);
    for (unsigned length = 0; length <= 8; length++) {
        if (length == 1 || length == 2 || length == 4 || length == 8)
            continue;
        store(&bus, EXIT_MMIO, 0x1000, length, 1);
        if (length > 0)
            assert_int_equal(load(&bus, EXIT_MMIO, 0x1000, length), bus_ones(length));
    }
    assert_int_equal(device.accesses, 0);
}

static void overlaps_are_refused(void **state)
{
    static const struct {
        uint64_t start, size;
        int result;
    } cases[] = {
        {0x1000, 0x100, -EEXIST},
        {0x0fff, 2, -EEXIST},
        {0x10ff, 1, -EEXIST},
        {0x0, 0x10000, -EEXIST},
        {0x0fff, 1, 0},
        {0x1100, 1, 0},
        {0x2000, 0, -EINVAL},
        {UINT64_MAX, 2, -EINVAL},
        {UINT64_MAX - 7, 8, 0},
        {UINT64_MAX, 1, -EEXIST},
        {0x1101, UINT64_MAX, -EINVAL},
    };
    struct bus bus = {0};
    struct device devices[array_size(cases) + 1] = {0};

    assert_int_equal(add(&bus, EXIT_MMIO, &devices[array_size(cases)], 0x1000, 0x100), 0);
    for (unsigned i = 0; i < array_size(cases); i++)
        assert_int_equal(add(&bus, EXIT_MMIO, &devices[i], cases[i].start, cases[i].size),
                         cases[i].result);
    load(&bus, EXIT_MMIO, UINT64_MAX - 7, 8);
    assert_int_equal(devices[8].accesses, 1);
}

static void only_its_owner_removes_a_window(void **state)
{
    struct bus bus = {0};
    struct device mine = {0}, other = {0};

    assert_int_equal(add(&bus, EXIT_PIO, &mine, 0x10, 4), 0);
    bus_remove(&bus, EXIT_PIO, 0x10, &other);
    bus_remove(&bus, EXIT_PIO, 0x11, &mine);
    bus_remove(&bus, EXIT_MMIO, 0x10, &mine);
    load(&bus, EXIT_PIO, 0x10, 4);
    assert_int_equal(mine.accesses, 1);
    bus_remove(&bus, EXIT_PIO, 0x10, &mine);
    assert_int_equal(load(&bus, EXIT_PIO, 0x10, 4), 0xffffffff);
    assert_int_equal(mine.accesses, 1);
}

static void a_full_bus_refuses(void **state)
{
    struct bus bus = {0};
    struct device device = {0};

    for (unsigned i = 0; i < BUS_WINDOWS_MAX; i++)
        assert_int_equal(add(&bus, EXIT_MMIO, &device, 0x1000 * i, 0x10), 0);
    assert_int_equal(add(&bus, EXIT_MMIO, &device, 0x1000 * BUS_WINDOWS_MAX, 0x10), -ENOSPC);
}

static void removing_write(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    struct device *device = context;

    bus_remove(device->bus, EXIT_MMIO, device->start, device);
    device->accesses++;
}

static void a_handler_may_remove_its_own_window(void **state)
{
    static const struct bus_ops ops = {
        .name = "removing", .read = device_read, .write = removing_write};
    struct bus bus = {0};
    struct device device = {.bus = &bus, .start = 0x1000};
    const struct bus_window window = {.start = 0x1000, .size = 8, .ops = &ops, .context = &device};

    assert_int_equal(bus_add(&bus, EXIT_MMIO, &window), 0);
    store(&bus, EXIT_MMIO, 0x1000, 4, 0);
    store(&bus, EXIT_MMIO, 0x1000, 4, 0);
    assert_int_equal(device.accesses, 1);
}

// Random windows come and go in 256 addresses; a table of owners says who must answer.
static void search_agrees_with_a_table(void **state)
{
    static const unsigned lengths[] = {1, 2, 4, 8};
    struct bus bus = {0};
    struct device devices[16] = {0};
    unsigned sizes[16] = {0};
    int owner[272];

    srand(1);
    memset(owner, -1, sizeof(owner));
    for (unsigned round = 0; round < 20000; round++) {
        unsigned d = (unsigned)rand() % 16;
        unsigned at = (unsigned)rand() % 256, length = lengths[rand() % 4];
        bool whole;

        if (sizes[d]) {
            bus_remove(&bus, EXIT_MMIO, devices[d].start, &devices[d]);
            memset(&owner[devices[d].start], -1, sizes[d] * sizeof(owner[0]));
            sizes[d] = 0;
        } else {
            unsigned start = (unsigned)rand() % 240, size = 1 + (unsigned)rand() % 16;
            int expected = 0;

            for (unsigned i = start; i < start + size; i++)
                if (owner[i] >= 0)
                    expected = -EEXIST;
            assert_int_equal(add(&bus, EXIT_MMIO, &devices[d], start, size), expected);
            for (unsigned i = start; expected == 0 && i < start + size; i++)
                owner[i] = (int)d;
            sizes[d] = expected == 0 ? size : 0;
        }
        whole = owner[at] >= 0;
        for (unsigned i = 1; i < length; i++)
            whole = whole && owner[at + i] == owner[at];
        for (unsigned i = 0; i < 16; i++)
            devices[i].accesses = 0;
        load(&bus, EXIT_MMIO, at, length);
        for (unsigned i = 0; i < 16; i++)
            assert_int_equal(devices[i].accesses, whole && owner[at] == (int)i);
    }
}

static void images_read_as_bytes(void **state)
{
    static const uint8_t image[6] = {1, 2, 3, 4, 5, 6};

    assert_int_equal(bus_image_read(image, 6, 0, 4), 0x04030201);
    assert_int_equal(bus_image_read(image, 6, 1, 1), 2);
    assert_int_equal(bus_image_read(image, 6, 4, 8), 0x0605);
    assert_int_equal(bus_image_read(image, 6, 6, 8), 0);
    assert_int_equal(bus_image_read(image, 6, UINT64_MAX, 8), 0);
    assert_int_equal(bus_image_read(image, 6, 0, 200), 0x060504030201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_reaches_its_window),
        cmocka_unit_test(nobody_answers_as_ones),
        cmocka_unit_test(odd_lengths_reach_nobody),
        cmocka_unit_test(overlaps_are_refused),
        cmocka_unit_test(only_its_owner_removes_a_window),
        cmocka_unit_test(a_full_bus_refuses),
        cmocka_unit_test(a_handler_may_remove_its_own_window),
        cmocka_unit_test(search_agrees_with_a_table),
        cmocka_unit_test(images_read_as_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
