// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The allocator never gives out a range twice, outside its window or unaligned, and finds room
// while there is some.
#include "memory/address_space.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void first_fit_is_aligned(void **state)
{
    struct address_space space;
    uint64_t start;

    assert_int_equal(address_space_init(&space, 0x1010, 0x3000), 0);
    assert_int_equal(address_space_take(&space, 0x10, 0x1000, &start), 0);
    assert_int_equal(start, 0x2000);
    assert_int_equal(address_space_take(&space, 0x10, 1, &start), 0);
    assert_int_equal(start, 0x1010);
    assert_int_equal(address_space_take(&space, 0x1000, 0x1000, &start), 0);
    assert_int_equal(start, 0x3000);
    assert_int_equal(address_space_take(&space, 0x1000, 0x1000, &start), -ENOSPC);
    assert_int_equal(address_space_give(&space, 0x3000), 0);
    assert_int_equal(address_space_give(&space, 0x3000), -ENOENT);
    assert_int_equal(address_space_take(&space, 0x800, 0x800, &start), 0);
    assert_int_equal(start, 0x1800);
}

static void bad_requests_are_refused(void **state)
{
    struct address_space space;
    uint64_t start;

    assert_int_equal(address_space_init(&space, 0, 0), -EINVAL);
    assert_int_equal(address_space_init(&space, UINT64_MAX, 2), -EINVAL);
    assert_int_equal(address_space_init(&space, 0x1000, 0x1000), 0);
    assert_int_equal(address_space_take(&space, 0, 1, &start), -EINVAL);
    assert_int_equal(address_space_take(&space, 1, 0, &start), -EINVAL);
    assert_int_equal(address_space_take(&space, 1, 3, &start), -EINVAL);
    assert_int_equal(address_space_take(&space, UINT64_MAX, 1, &start), -ENOSPC);
    assert_int_equal(address_space_take(&space, 1, UINT64_C(1) << 63, &start), -ENOSPC);
    assert_int_equal(address_space_take_at(&space, 0x1000, 0), -EINVAL);
    assert_int_equal(address_space_take_at(&space, 0xfff, 2), -ERANGE);
    assert_int_equal(address_space_take_at(&space, 0x1fff, 2), -ERANGE);
    assert_int_equal(address_space_take_at(&space, 0x1800, UINT64_MAX), -ERANGE);
    assert_int_equal(address_space_take_at(&space, 0x2000, 1), -ERANGE);
}

static void the_window_may_end_at_the_last_address(void **state)
{
    struct address_space space;
    uint64_t start;

    assert_int_equal(address_space_init(&space, UINT64_MAX - 0xfff, 0x1000), 0);
    assert_int_equal(address_space_take(&space, 0x1000, 0x1000, &start), 0);
    assert_int_equal(start, UINT64_MAX - 0xfff);
    assert_int_equal(address_space_take(&space, 1, 1, &start), -ENOSPC);
    assert_int_equal(address_space_take(&space, 1, UINT64_C(1) << 63, &start), -ENOSPC);
    assert_int_equal(address_space_give(&space, start), 0);
    assert_int_equal(address_space_take_at(&space, UINT64_MAX, 1), 0);
    assert_int_equal(address_space_take_at(&space, UINT64_MAX, 1), -EEXIST);
}

static void a_full_table_refuses(void **state)
{
    struct address_space space;
    uint64_t start;

    assert_int_equal(address_space_init(&space, 0, 0x1000), 0);
    for (unsigned i = 0; i < ADDRESS_SPACE_RANGES_MAX; i++)
        assert_int_equal(address_space_take(&space, 1, 1, &start), 0);
    assert_int_equal(address_space_take(&space, 1, 1, &start), -ENOSPC);
    assert_int_equal(address_space_take_at(&space, 0x800, 1), -ENOSPC);
}

#define ORACLE_START 0x100u
#define ORACLE_SIZE 200u

// Where first fit finds `size` free aligned addresses, or -1.
static int oracle_fit(const bool *taken, unsigned size, unsigned alignment)
{
    for (unsigned at = 0; at + size <= ORACLE_SIZE; at++) {
        bool is_free = (ORACLE_START + at) % alignment == 0;

        for (unsigned i = 0; is_free && i < size; i++)
            is_free = !taken[at + i];
        if (is_free)
            return (int)at;
    }
    return -1;
}

static void it_agrees_with_a_map(void **state)
{
    struct address_space space;
    bool taken[ORACLE_SIZE] = {false};
    unsigned sizes[ORACLE_SIZE] = {0};

    srand(2);
    assert_int_equal(address_space_init(&space, ORACLE_START, ORACLE_SIZE), 0);
    for (unsigned round = 0; round < 50000; round++) {
        unsigned size = 1 + (unsigned)rand() % 24, at = (unsigned)rand() % ORACLE_SIZE;
        unsigned alignment = 1u << rand() % 6;
        uint64_t start = 0;

        if (rand() % 2) {
            int expected = oracle_fit(taken, size, alignment);

            assert_int_equal(address_space_take(&space, size, alignment, &start),
                             expected < 0 ? -ENOSPC : 0);
            if (expected < 0)
                continue;
            assert_int_equal(start, ORACLE_START + (unsigned)expected);
            memset(&taken[expected], true, size);
            sizes[expected] = size;
        } else if (sizes[at]) {
            assert_int_equal(address_space_give(&space, ORACLE_START + at), 0);
            memset(&taken[at], false, sizes[at]);
            sizes[at] = 0;
        } else {
            int expected = at + size > ORACLE_SIZE ? -ERANGE : 0;

            for (unsigned i = 0; expected == 0 && i < size; i++)
                if (taken[at + i])
                    expected = -EEXIST;
            assert_int_equal(address_space_take_at(&space, ORACLE_START + at, size), expected);
            if (expected != 0)
                continue;
            memset(&taken[at], true, size);
            sizes[at] = size;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_fit_is_aligned),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(the_window_may_end_at_the_last_address),
        cmocka_unit_test(a_full_table_refuses),
        cmocka_unit_test(it_agrees_with_a_map),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
