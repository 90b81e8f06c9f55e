// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Promises of guest memory: nothing outside the regions is ever touched, whatever address and
// length are asked for; vectors hold exactly the bytes that were added.
#include "tests/unit/ring_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static void the_layout_leaves_the_hole_free(void **state)
{
    struct guest_region regions[GUEST_REGIONS_MAX];

    assert_int_equal(guest_memory_layout(1 << 20, 0xc0000000, regions), 1);
    assert_int_equal(guest_memory_layout(0x140000000, 0xc0000000, regions), 2);
    assert_true(regions[0].size == 0xc0000000);
    assert_true(regions[1].guest_address == 0x100000000 && regions[1].offset == 0xc0000000);
    assert_true(regions[1].size == 0x80000000);
}

static void the_file_is_sealed(void **state)
{
    int fd = guest_memory_create(1 << 20);

    assert_true(ftruncate(fd, 4096) < 0);
    assert_true(ftruncate(fd, 2 << 20) < 0);
    assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
    close(fd);
}

static void regions_that_make_no_sense_are_refused(void **state)
{
    static const struct guest_region bad[] = {
        {.guest_address = 0, .size = 0, .offset = 0},
        {.guest_address = 1, .size = 4096, .offset = 0},
        {.guest_address = 0, .size = 4097, .offset = 0},
        {.guest_address = 0, .size = 4096, .offset = 1},
        {.guest_address = 0, .size = 2 << 20, .offset = 0},
        {.guest_address = 0, .size = 4096, .offset = 1 << 20},
        {.guest_address = UINT64_MAX - 4095, .size = 8192, .offset = 0},
        {.guest_address = 0, .size = 8192, .offset = UINT64_MAX - 4095},
    };
    static const struct guest_region overlap[] = {
        {.guest_address = 0, .size = 8192, .offset = 0},
        {.guest_address = 4096, .size = 8192, .offset = 8192},
    };
    int fd = guest_memory_create(1 << 20);
    int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct guest_memory *memory;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(guest_memory_map(fd, &bad[i], 1, &memory), -EINVAL);
    assert_int_equal(guest_memory_map(fd, overlap, 2, &memory), -EINVAL);
    assert_int_equal(guest_memory_map(fd, overlap, 0, &memory), -EINVAL);
    assert_int_equal(ftruncate(unsealed, 1 << 20), 0);
    assert_int_equal(guest_memory_map(unsealed, overlap, 1, &memory), -EPERM);
    close(unsealed);
    close(fd);
}

static void two_regions(struct guest_memory **memory)
{
    static const struct guest_region regions[] = {
        {.guest_address = 0, .size = 8192, .offset = 0},
        {.guest_address = 0x100000000, .size = 4096, .offset = 8192},
    };
    int fd = guest_memory_create(3 * 4096);

    assert_int_equal(guest_memory_map(fd, regions, 2, memory), 0);
    close(fd);
}

static void only_memory_can_be_read_and_written(void **state)
{
    static const struct {
        uint64_t address;
        uint64_t length;
        int ok;
    } cases[] = {
        {0, 1, 1},           {0, 8192, 1},           {0, 8193, 0},
        {8191, 1, 1},        {8191, 2, 0},           {8192, 1, 0},
        {0, 0, 0},           {0x100000000, 4096, 1}, {0x0ffffffff, 2, 0},
        {0x100000fff, 1, 1}, {0x100000fff, 2, 0},    {0x100001000, 1, 0},
        {UINT64_MAX, 1, 0},  {UINT64_MAX, 2, 0},     {UINT64_MAX - 4095, 8192, 0},
        {1, UINT64_MAX, 0},
    };
    struct guest_memory *memory;
    static uint8_t bytes[8192];

    two_regions(&memory);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        guest_addr at = guest_address(cases[i].address);
        int wanted = cases[i].ok ? 0 : -EFAULT;

        assert_int_equal(guest_range_ok(memory, at, cases[i].length), cases[i].ok);
        if (cases[i].length > sizeof(bytes))
            continue;
        assert_int_equal(guest_read(memory, at, bytes, cases[i].length), wanted);
        assert_int_equal(guest_write(memory, at, bytes, cases[i].length), wanted);
        assert_int_equal(guest_zero(memory, at, cases[i].length), wanted);
    }
    guest_memory_unmap(memory);
}

static void a_vector_holds_what_was_added(void **state)
{
    struct guest_memory *memory;
    struct guest_vector vector;
    struct guest_vector part;
    char text[16] = {0};
    int count;

    two_regions(&memory);
    guest_vector_clear(&vector);
    assert_int_equal(guest_vector_add(&vector, memory, guest_address(100), 3), 0);
    assert_int_equal(guest_vector_add(&vector, memory, guest_address(0x100000000), 5), 0);
    assert_int_equal(guest_vector_add(&vector, memory, guest_address(8000), 2), 0);
    assert_int_equal(guest_vector_bytes(&vector), 10);
    assert_int_equal(guest_vector_write(&vector, 0, "0123456789abc", 13), 10);
    assert_int_equal(guest_vector_read(&vector, 2, text, 16), 8);
    assert_string_equal(text, "23456789");
    assert_int_equal(guest_vector_slice(&part, &vector, 2, 7), 0);
    assert_int_equal(guest_vector_bytes(&part), 7);
    guest_vector_iovecs(&part, &count);
    assert_int_equal(count, 3);
    memset(text, 0, sizeof(text));
    assert_int_equal(guest_vector_read(&part, 0, text, 16), 7);
    assert_string_equal(text, "2345678");
    assert_int_equal(guest_vector_zero(&part, 1, 2), 2);
    memset(text, 0, sizeof(text));
    guest_vector_read(&vector, 0, text, 16);
    assert_memory_equal(text,
                        "012\0\0"
                        "56789",
                        10);
    assert_int_equal(guest_vector_slice(&part, &vector, 11, 0), -EINVAL);
    assert_int_equal(guest_vector_slice(&part, &vector, 4, 7), -EINVAL);
    assert_int_equal(guest_vector_slice(&part, &vector, UINT64_MAX, 2), -EINVAL);
    assert_int_equal(guest_vector_read(&vector, 10, text, 1), 0);
    assert_int_equal(guest_vector_read(&vector, UINT64_MAX, text, 1), 0);
    guest_memory_unmap(memory);
}

static void a_vector_has_bounds(void **state)
{
    struct guest_memory *memory;
    struct guest_vector vector;

    two_regions(&memory);
    guest_vector_clear(&vector);
    for (unsigned i = 0; i < GUEST_PIECES_MAX; i++)
        assert_int_equal(guest_vector_add(&vector, memory, guest_address(0), 1), 0);
    assert_int_equal(guest_vector_add(&vector, memory, guest_address(0), 1), -E2BIG);
    guest_vector_clear(&vector);
    assert_int_equal(guest_vector_add(&vector, memory, guest_address(8000), 4096), -EFAULT);
    assert_int_equal(guest_vector_bytes(&vector), 0);
    guest_memory_unmap(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_leaves_the_hole_free),
        cmocka_unit_test(the_file_is_sealed),
        cmocka_unit_test(regions_that_make_no_sense_are_refused),
        cmocka_unit_test(only_memory_can_be_read_and_written),
        cmocka_unit_test(a_vector_holds_what_was_added),
        cmocka_unit_test(a_vector_has_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
