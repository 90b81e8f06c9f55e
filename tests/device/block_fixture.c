// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Requests as a driver makes them, and an image to look at behind the device's back.
#include "tests/device/block_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOT_BYTES 64u
#define STATUS_AT 16u
#define RANGE_AT 32u

bool block_test_uring = false, block_test_workers = true;

static int open_image(bool memfd)
{
    int fd = memfd ? -1 : open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        fd = memfd_create("image", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(BLOCK_TEST_SECTORS * BLOCK_SECTOR_SIZE)), 0);
    return fd;
}

void block_test_open(struct block_test *test, void **state,
                     const struct block_test_options *options)
{
    struct harness *harness = &test->harness;

    harness_init(harness, "block", options->queues == 0 ? 1 : options->queues,
                 options->queue_size == 0 ? 256 : options->queue_size);
    test->workers = *(bool *)*state;
    test->image_fd = open_image(options->memfd);
    test->slots = harness_buffer(harness, 0, BLOCK_TEST_SLOTS * SLOT_BYTES);
    harness->features |= options->features;
    if (!options->write_through)
        harness->features |= UINT64_C(1) << BLOCK_F_FLUSH;
    harness->attach.which_config = device_Attach_block_tag;
    harness->attach.config.block = (device_BlockConfig){
        .capacity = BLOCK_TEST_SECTORS,
        .readonly = options->readonly,
        .serial = BLOCK_TEST_SERIAL,
        .block_size = 512,
        .can_discard = !options->no_discard,
        .workers = test->workers,
    };
    harness_back_end(harness, device_DescriptorRole_ROLE_IMAGE, test->image_fd);
    harness_spawn(harness);
    harness_verify(harness);
    if (!options->not_started)
        harness_start(harness, false);
}

void block_test_close(struct block_test *test)
{
    harness_ping(&test->harness);
    harness_destroy(&test->harness);
    close(test->image_fd);
}

uint16_t block_test_chain(struct block_test *test, unsigned queue, unsigned slot,
                          const struct block_io *io)
{
    uint64_t at = test->slots + slot * SLOT_BYTES;
    struct block_header *header = harness_at(&test->harness, at);
    struct harness_piece pieces[6] = {{.address = at, .length = sizeof(*header)}};

    *header = (struct block_header){.type = io->type, .sector = io->sector};
    memcpy(&pieces[1], io->data, io->count * sizeof(pieces[0]));
    pieces[1 + io->count] =
        (struct harness_piece){.address = at + STATUS_AT, .length = 1, .writable = true};
    memset(harness_at(&test->harness, at + STATUS_AT), 0xff, 1);
    return harness_chain(&test->harness.queues[queue], pieces, io->count + 2);
}

uint8_t block_test_status(struct block_test *test, unsigned slot)
{
    return *(volatile uint8_t *)harness_at(&test->harness,
                                           test->slots + slot * SLOT_BYTES + STATUS_AT);
}

uint8_t block_test_do(struct block_test *test, unsigned queue, const struct block_io *io)
{
    test->length =
        harness_request(&test->harness.queues[queue], block_test_chain(test, queue, 0, io));
    return block_test_status(test, 0);
}

uint8_t block_test_range(struct block_test *test, uint32_t type, uint64_t sector, uint32_t sectors,
                         uint32_t flags)
{
    const struct block_range range = {.sector = sector, .sectors = sectors, .flags = flags};
    const struct block_io io = {
        .type = type,
        .data = {{.address = test->slots + RANGE_AT, .length = sizeof(range)}},
        .count = 1,
    };

    memcpy(harness_at(&test->harness, test->slots + RANGE_AT), &range, sizeof(range));
    return block_test_do(test, 0, &io);
}

void block_test_fill(void *to, size_t length, uint64_t sector, uint8_t salt)
{
    uint8_t *bytes = to;

    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)((sector + i / BLOCK_SECTOR_SIZE) * 31 + i * 7 + salt);
}

void block_test_image_fill(struct block_test *test, uint64_t sector, uint32_t sectors, uint8_t salt)
{
    size_t length = (size_t)sectors * BLOCK_SECTOR_SIZE;
    uint8_t *bytes = malloc(length);

    block_test_fill(bytes, length, sector, salt);
    assert_int_equal(pwrite(test->image_fd, bytes, length, (off_t)(sector * BLOCK_SECTOR_SIZE)),
                     length);
    free(bytes);
}

static void expect(struct block_test *test, uint64_t sector, uint32_t sectors,
                   const uint8_t *expected)
{
    size_t length = (size_t)sectors * BLOCK_SECTOR_SIZE;
    uint8_t *bytes = malloc(length);

    assert_int_equal(pread(test->image_fd, bytes, length, (off_t)(sector * BLOCK_SECTOR_SIZE)),
                     length);
    assert_memory_equal(bytes, expected, length);
    free(bytes);
}

void block_test_image_expect(struct block_test *test, uint64_t sector, uint32_t sectors,
                             uint8_t salt)
{
    size_t length = (size_t)sectors * BLOCK_SECTOR_SIZE;
    uint8_t *expected = malloc(length);

    block_test_fill(expected, length, sector, salt);
    expect(test, sector, sectors, expected);
    free(expected);
}

void block_test_image_expect_zero(struct block_test *test, uint64_t sector, uint32_t sectors)
{
    uint8_t *expected = calloc(sectors, BLOCK_SECTOR_SIZE);

    expect(test, sector, sectors, expected);
    free(expected);
}
