// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A block process with an image of its own, for tests: each test gets a new one, once with each
// engine.
#pragma once

#include "devices/block/layout.h"
#include "tests/device/harness.h"

#define BLOCK_TEST_SECTORS UINT64_C(32768) // 16 MiB
#define BLOCK_TEST_SERIAL "a serial number"
#define BLOCK_TEST_SLOTS 256u

struct block_test {
    struct harness harness;
    bool workers;
    int image_fd;    // owned
    uint64_t slots;  // guest address: a header, status and range for each request, 64 bytes
    uint32_t length; // of the last used entry
};

// What differs from test to test; zero is the ordinary case.
struct block_test_options {
    unsigned queues;     // 0: one
    uint16_t queue_size; // 0: 256
    bool readonly;
    bool no_discard;
    bool memfd;         // an image without ZERO_RANGE
    uint64_t features;  // besides VERSION_1 and FLUSH
    bool write_through; // without FLUSH
    bool not_started;
};

struct block_io {
    uint32_t type;
    uint64_t sector;
    struct harness_piece data[4];
    unsigned count;
};

// The engine comes from cmocka's *state: BLOCK_TEST_BOTH makes one test of each.
void block_test_open(struct block_test *test, void **state,
                     const struct block_test_options *options);
void block_test_close(struct block_test *test);

extern bool block_test_uring, block_test_workers;
#define BLOCK_TEST_BOTH(function)                                                                  \
    {#function " (io_uring)", function, NULL, NULL, &block_test_uring},                            \
    {                                                                                              \
#function " (workers)", function, NULL, NULL, &block_test_workers                          \
    }

// Chains header, data and status of one request in `slot` (0..BLOCK_TEST_SLOTS - 1). Its head.
uint16_t block_test_chain(struct block_test *test, unsigned queue, unsigned slot,
                          const struct block_io *io);
// The status byte of a slot; 0xff until the device has written it.
uint8_t block_test_status(struct block_test *test, unsigned slot);
// Does one request in slot 0 and waits: its status; test->length is what the device says it wrote.
uint8_t block_test_do(struct block_test *test, unsigned queue, const struct block_io *io);
uint8_t block_test_range(struct block_test *test, uint32_t type, uint64_t sector, uint32_t sectors,
                         uint32_t flags);

// Bytes that tell where they belong and what wrote them.
void block_test_fill(void *to, size_t length, uint64_t sector, uint8_t salt);
// Writes the pattern to the image; checks it there.
void block_test_image_fill(struct block_test *test, uint64_t sector, uint32_t sectors,
                           uint8_t salt);
void block_test_image_expect(struct block_test *test, uint64_t sector, uint32_t sectors,
                             uint8_t salt);
void block_test_image_expect_zero(struct block_test *test, uint64_t sector, uint32_t sectors);
