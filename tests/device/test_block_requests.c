// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What a block device promises to a driver that keeps the rules, and to one that asks for what
// cannot be: every request type, its data, its status, the number of bytes written.
#include "tests/device/block_fixture.h"

#include "ipc/cleanup.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define F(bit) (UINT64_C(1) << (bit))

static struct harness_piece data(uint64_t address, uint32_t length, bool writable)
{
    return (struct harness_piece){.address = address, .length = length, .writable = writable};
}

static void configuration_says_what_the_image_is(void **state)
{
    const struct block_test_options options = {.queues = 4};
    struct block_test test;
    struct block_configuration image;

    block_test_open(&test, state, &options);
    assert_int_equal(test.harness.hello.config.size, sizeof(image));
    memcpy(&image, test.harness.hello.config.bytes, sizeof(image));
    assert_int_equal(image.capacity, BLOCK_TEST_SECTORS);
    assert_int_equal(image.seg_max, 126);
    assert_int_equal(image.blk_size, 512);
    assert_int_equal(image.physical_block_exp, 3);
    assert_int_equal(image.num_queues, 4);
    assert_int_equal(image.max_discard_seg, 1);
    assert_int_equal(image.max_write_zeroes_seg, 1);
    assert_int_equal(image.write_zeroes_may_unmap, 1);
    assert_int_equal(test.harness.hello.features, F(BLOCK_F_SEG_MAX) | F(BLOCK_F_BLK_SIZE) |
                                                      F(BLOCK_F_FLUSH) | F(BLOCK_F_TOPOLOGY) |
                                                      F(BLOCK_F_MQ) | F(BLOCK_F_DISCARD) |
                                                      F(BLOCK_F_WRITE_ZEROES));
    block_test_close(&test);
}

static void read_returns_the_image(void **state)
{
    const struct block_test_options options = {0};
    struct block_test test;
    uint64_t low, high;

    block_test_open(&test, state, &options);
    low = harness_buffer(&test.harness, 0, 16384);
    high = harness_buffer(&test.harness, 1, 16384);
    block_test_image_fill(&test, 100, 64, 3);
    for (unsigned scattered = 0; scattered < 2; scattered++) {
        const struct block_io io = {
            .type = BLOCK_T_IN,
            .sector = 100,
            .data = {data(low, scattered ? 512 : 1024, true), data(high + 511, 1024, true),
                     data(low + 4096, 8192, true), data(high + 8192, 7, true)},
            .count = scattered ? 3 : 1,
        };
        uint8_t expected[9728];

        memset(harness_at(&test.harness, low), 0, 16384);
        assert_int_equal(block_test_do(&test, 0, &io), BLOCK_S_OK);
        block_test_fill(expected, sizeof(expected), 100, 3);
        assert_int_equal(test.length, scattered ? sizeof(expected) + 1 : 1025);
        assert_memory_equal(harness_at(&test.harness, low), expected, scattered ? 512 : 1024);
        if (scattered) {
            assert_memory_equal(harness_at(&test.harness, high + 511), expected + 512, 1024);
            assert_memory_equal(harness_at(&test.harness, low + 4096), expected + 1536, 8192);
        }
    }
    block_test_close(&test);
}

// One with the write-back cache, one without, in one and in several pieces.
static void write_changes_the_image(void **state)
{
    for (unsigned through = 0; through < 2; through++) {
        const struct block_test_options options = {.write_through = through != 0};
        struct block_test test;
        uint64_t low, high;

        block_test_open(&test, state, &options);
        low = harness_buffer(&test.harness, 0, 65536);
        high = harness_buffer(&test.harness, 1, 65536);
        for (unsigned scattered = 0; scattered < 2; scattered++) {
            const struct block_io io = {
                .type = BLOCK_T_OUT,
                .sector = 7 + scattered * 200,
                .data = {data(low, 65536, false), data(high, 512, false)},
                .count = 1 + scattered,
            };

            block_test_fill(harness_at(&test.harness, low), 65536, io.sector, 9);
            block_test_fill(harness_at(&test.harness, high), 512, io.sector + 128, 9);
            assert_int_equal(block_test_do(&test, 0, &io), BLOCK_S_OK);
            assert_int_equal(test.length, 1);
            block_test_image_expect(&test, io.sector, 128 + scattered, 9);
        }
        block_test_image_expect_zero(&test, 0, 7);
        block_test_image_expect_zero(&test, 135, 72);
        block_test_close(&test);
    }
}

static void flush_and_identity(void **state)
{
    const struct block_test_options options = {0};
    struct block_test test;
    char id[24] = "";
    uint64_t at;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 1, 4096);
    struct block_io flush = {.type = BLOCK_T_FLUSH};
    struct block_io get_id = {.type = BLOCK_T_GET_ID, .data = {data(at, 20, true)}, .count = 1};
    assert_int_equal(block_test_do(&test, 0, &flush), BLOCK_S_OK);
    assert_int_equal(test.length, 1);
    assert_int_equal(block_test_do(&test, 0, &get_id), BLOCK_S_OK);
    assert_int_equal(test.length, 21);
    memcpy(id, harness_at(&test.harness, at), 20);
    assert_string_equal(id, BLOCK_TEST_SERIAL);
    // A short buffer gets what fits, and not a byte more.
    memset(harness_at(&test.harness, at), 0x55, 20);
    get_id.data[0].length = 3;
    assert_int_equal(block_test_do(&test, 0, &get_id), BLOCK_S_OK);
    assert_memory_equal(harness_at(&test.harness, at), "a sUUU", 6);
    block_test_close(&test);
}

static void discard_gives_space_back(void **state)
{
    const struct block_test_options options = {0};
    struct block_test test;
    struct stat before, after;

    block_test_open(&test, state, &options);
    block_test_image_fill(&test, 0, 4096, 1);
    fsync(test.image_fd);
    fstat(test.image_fd, &before);
    assert_int_equal(block_test_range(&test, BLOCK_T_DISCARD, 1024, 2048, 0), BLOCK_S_OK);
    fsync(test.image_fd);
    fstat(test.image_fd, &after);
    assert_true(after.st_blocks + 2048 <= before.st_blocks);
    assert_int_equal(after.st_size, before.st_size);
    block_test_image_expect(&test, 0, 1024, 1);
    block_test_image_expect(&test, 3072, 1024, 1);
    block_test_close(&test);
}

// On a file system that can zero a range, on one that cannot, with and without unmap and cache.
static void write_zeroes_makes_zeroes(void **state)
{
    for (unsigned variant = 0; variant < 8; variant++) {
        const struct block_test_options options = {
            .memfd = (variant & 1) != 0,
            .write_through = (variant & 2) != 0,
            .no_discard = (variant & 4) != 0,
        };
        struct block_test test;

        block_test_open(&test, state, &options);
        block_test_image_fill(&test, 0, 8192, 1);
        assert_int_equal(block_test_range(&test, BLOCK_T_WRITE_ZEROES, 1001, 4503, 0), BLOCK_S_OK);
        assert_int_equal(block_test_range(&test, BLOCK_T_WRITE_ZEROES, 6000, 128, 1), BLOCK_S_OK);
        block_test_image_expect(&test, 0, 1001, 1);
        block_test_image_expect_zero(&test, 1001, 4503);
        block_test_image_expect(&test, 5504, 496, 1);
        block_test_image_expect_zero(&test, 6000, 128);
        block_test_image_expect(&test, 6128, 2064, 1);
        block_test_close(&test);
    }
}

static void ranges_that_cannot_be_are_refused(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t sectors, flags;
        uint8_t status;
    } rows[] = {
        {BLOCK_T_DISCARD, 0, 8, 1, BLOCK_S_UNSUPP}, // unmap is not for discard
        {BLOCK_T_DISCARD, 0, 8, 0x80000000, BLOCK_S_UNSUPP},
        {BLOCK_T_WRITE_ZEROES, 0, 8, 2, BLOCK_S_UNSUPP}, // a flag that is not known
        {BLOCK_T_DISCARD, BLOCK_TEST_SECTORS - 7, 8, 0, BLOCK_S_IOERR},
        {BLOCK_T_WRITE_ZEROES, BLOCK_TEST_SECTORS, 1, 0, BLOCK_S_IOERR},
        {BLOCK_T_WRITE_ZEROES, UINT64_MAX, 1, 0, BLOCK_S_IOERR},
        {BLOCK_T_WRITE_ZEROES, UINT64_MAX - 7, 8, 0, BLOCK_S_IOERR}, // the sum is zero
        {BLOCK_T_DISCARD, UINT64_MAX / 512, 8, 0, BLOCK_S_IOERR},
        {BLOCK_T_DISCARD, 0, UINT32_MAX, 0, BLOCK_S_IOERR}, // more than max_discard_sectors
        {BLOCK_T_DISCARD, 0, 0, 0, BLOCK_S_OK},
    };
    const struct block_test_options options = {0};
    struct block_test test;

    block_test_open(&test, state, &options);
    block_test_image_fill(&test, 0, BLOCK_TEST_SECTORS, 1);
    for (size_t i = 0; i < array_size(rows); i++)
        assert_int_equal(
            block_test_range(&test, rows[i].type, rows[i].sector, rows[i].sectors, rows[i].flags),
            rows[i].status);
    block_test_image_expect(&test, 0, BLOCK_TEST_SECTORS, 1);
    block_test_close(&test);
}

static void sectors_outside_the_disk_are_refused(void **state)
{
    static const struct {
        uint64_t sector;
        uint32_t length;
        uint8_t status;
    } rows[] = {
        {BLOCK_TEST_SECTORS - 1, 512, BLOCK_S_OK},
        {BLOCK_TEST_SECTORS - 1, 1024, BLOCK_S_IOERR},
        {BLOCK_TEST_SECTORS, 512, BLOCK_S_IOERR},
        {UINT64_MAX, 512, BLOCK_S_IOERR},
        {UINT64_MAX - 1, 1024, BLOCK_S_IOERR},
        {UINT64_MAX / 512 + 1, 512, BLOCK_S_IOERR}, // times 512 wraps to 0
        {UINT64_C(1) << 63, 512, BLOCK_S_IOERR},
        {0, 511, BLOCK_S_IOERR},
        {0, 513, BLOCK_S_IOERR},
        {0, 1, BLOCK_S_IOERR},
    };
    const struct block_test_options options = {0};
    struct block_test test;
    uint64_t at;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 0, 4096);
    memset(harness_at(&test.harness, at), 0x77, 4096);
    for (size_t i = 0; i < 2 * array_size(rows); i++) {
        bool in = i % 2 == 0;
        const struct block_io io = {
            .type = in ? BLOCK_T_IN : BLOCK_T_OUT,
            .sector = rows[i / 2].sector,
            .data = {data(at, rows[i / 2].length, in)},
            .count = 1,
        };

        assert_int_equal(block_test_do(&test, 0, &io), rows[i / 2].status);
        if (rows[i / 2].status != BLOCK_S_OK)
            assert_int_equal(test.length, 1);
    }
    block_test_image_expect_zero(&test, 0, BLOCK_TEST_SECTORS - 1);
    block_test_close(&test);
}

static void wrong_directions_and_types_are_refused(void **state)
{
    const struct block_test_options options = {0};
    struct block_test test;
    uint64_t at;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 0, 4096);
    const struct {
        struct block_io io;
        uint8_t status;
    } rows[] = {
        {{.type = BLOCK_T_IN, .data = {data(at, 512, false)}, .count = 1}, BLOCK_S_IOERR},
        {{.type = BLOCK_T_OUT, .data = {data(at, 512, true)}, .count = 1}, BLOCK_S_IOERR},
        {{.type = BLOCK_T_FLUSH, .data = {data(at, 512, true)}, .count = 1}, BLOCK_S_IOERR},
        {{.type = BLOCK_T_GET_ID, .data = {data(at, 20, false)}, .count = 1}, BLOCK_S_IOERR},
        {{.type = BLOCK_T_GET_ID}, BLOCK_S_IOERR},
        {{.type = BLOCK_T_DISCARD}, BLOCK_S_IOERR},
        {{.type = BLOCK_T_DISCARD, .data = {data(at, 32, false)}, .count = 1}, BLOCK_S_IOERR},
        {{.type = BLOCK_T_WRITE_ZEROES, .data = {data(at, 15, false)}, .count = 1}, BLOCK_S_IOERR},
        {{.type = 2}, BLOCK_S_UNSUPP},
        {{.type = 0x80000000}, BLOCK_S_UNSUPP},
        {{.type = UINT32_MAX, .data = {data(at, 512, true)}, .count = 1}, BLOCK_S_UNSUPP},
    };

    for (size_t i = 0; i < array_size(rows); i++)
        assert_int_equal(block_test_do(&test, 0, &rows[i].io), rows[i].status);
    block_test_close(&test);
}

static void read_only_stays_as_it_is(void **state)
{
    const struct block_test_options options = {.readonly = true};
    struct block_test test;
    uint64_t at;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 0, 4096);
    assert_int_equal(test.harness.hello.features &
                         (F(BLOCK_F_RO) | F(BLOCK_F_DISCARD) | F(BLOCK_F_WRITE_ZEROES)),
                     F(BLOCK_F_RO));
    block_test_image_fill(&test, 0, 64, 5);
    struct block_io io = {.type = BLOCK_T_OUT, .data = {data(at, 4096, false)}, .count = 1};
    assert_int_equal(block_test_do(&test, 0, &io), BLOCK_S_IOERR);
    assert_int_equal(block_test_range(&test, BLOCK_T_WRITE_ZEROES, 0, 8, 0), BLOCK_S_IOERR);
    assert_int_equal(block_test_range(&test, BLOCK_T_DISCARD, 0, 8, 0), BLOCK_S_UNSUPP);
    io = (struct block_io){.type = BLOCK_T_IN, .data = {data(at, 4096, true)}, .count = 1};
    assert_int_equal(block_test_do(&test, 0, &io), BLOCK_S_OK);
    block_test_image_expect(&test, 0, 64, 5);
    block_test_close(&test);
}

// The image got shorter behind our back, as when a disk goes away: an error, not a dead device.
static void image_errors_are_the_guests_to_handle(void **state)
{
    const struct block_test_options options = {0};
    struct block_test test;
    uint64_t at;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 0, 8192);
    assert_int_equal(ftruncate(test.image_fd, 4096), 0);
    struct block_io io = {
        .type = BLOCK_T_IN, .sector = 8, .data = {data(at, 512, true)}, .count = 1};
    assert_int_equal(block_test_do(&test, 0, &io), BLOCK_S_IOERR);
    // The first half is there: a short read, then nothing.
    io = (struct block_io){.type = BLOCK_T_IN, .data = {data(at, 8192, true)}, .count = 1};
    assert_int_equal(block_test_do(&test, 0, &io), BLOCK_S_IOERR);
    io.data[0].length = 4096;
    assert_int_equal(block_test_do(&test, 0, &io), BLOCK_S_OK);
    block_test_close(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST_BOTH(configuration_says_what_the_image_is),
        BLOCK_TEST_BOTH(read_returns_the_image),
        BLOCK_TEST_BOTH(write_changes_the_image),
        BLOCK_TEST_BOTH(flush_and_identity),
        BLOCK_TEST_BOTH(discard_gives_space_back),
        BLOCK_TEST_BOTH(write_zeroes_makes_zeroes),
        BLOCK_TEST_BOTH(ranges_that_cannot_be_are_refused),
        BLOCK_TEST_BOTH(sectors_outside_the_disk_are_refused),
        BLOCK_TEST_BOTH(wrong_directions_and_types_are_refused),
        BLOCK_TEST_BOTH(read_only_stays_as_it_is),
        BLOCK_TEST_BOTH(image_errors_are_the_guests_to_handle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
