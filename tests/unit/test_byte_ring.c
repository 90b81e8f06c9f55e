// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Byte rings: bytes arrive in order and once, nobody sleeps through them, and a hostile peer
// reaches nothing outside the ring.
#include "ipc/byte_ring.h"

// The group first, as cmocka wants it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct byte_ring ring;

static int clear(void **state)
{
    memset(&ring, 0, sizeof(ring));
    return 0;
}

static void bytes_come_out_as_they_went_in(void **state)
{
    uint8_t in[300], out[300];
    uint8_t next = 0, expected = 0;
    bool wake;

    // Wraps around the array many times, and the indices around 2^32.
    ring.head = ring.tail = UINT32_MAX - 10000;
    for (unsigned round = 0; round < 1000; round++) {
        size_t length = round % sizeof(in) + 1;

        for (size_t i = 0; i < length; i++)
            in[i] = next++;
        assert_int_equal(byte_ring_put(&ring, in, length, &wake), length);
        assert_int_equal(byte_ring_used(&ring), length);
        assert_int_equal(byte_ring_get(&ring, out, sizeof(out), &wake), length);
        for (size_t i = 0; i < length; i++)
            assert_int_equal(out[i], expected++);
    }
}

static void a_full_ring_takes_no_more(void **state)
{
    uint8_t bytes[BYTE_RING_SIZE + 1] = {0};
    bool wake;

    assert_true(byte_ring_has_room(&ring));
    assert_int_equal(byte_ring_put(&ring, bytes, sizeof(bytes), &wake), BYTE_RING_SIZE);
    assert_int_equal(byte_ring_put(&ring, bytes, 1, &wake), 0);
    assert_false(wake);
    assert_false(byte_ring_has_room(&ring));
    assert_int_equal(byte_ring_used(&ring), BYTE_RING_SIZE);
    assert_int_equal(byte_ring_get(&ring, bytes, 1, &wake), 1);
    assert_true(wake); // the producer waits for room, and is told once
    assert_int_equal(byte_ring_get(&ring, bytes, 1, &wake), 1);
    assert_false(wake);
    assert_true(byte_ring_has_room(&ring));
}

static void only_a_sleeping_consumer_is_woken(void **state)
{
    uint8_t byte = 7;
    bool wake;

    byte_ring_put(&ring, &byte, 1, &wake);
    assert_false(wake);
    assert_false(byte_ring_sleep(&ring)); // there is a byte
    byte_ring_put(&ring, &byte, 1, &wake);
    assert_false(wake);
    byte_ring_get(&ring, &byte, 1, &wake);
    byte_ring_get(&ring, &byte, 1, &wake);
    assert_true(byte_ring_sleep(&ring));
    byte_ring_put(&ring, &byte, 1, &wake);
    assert_true(wake);
    byte_ring_put(&ring, &byte, 1, &wake);
    assert_false(wake);
}

// Every kind of impossible index; address sanitizer and the guard bytes watch the borders.
static void hostile_indices_stay_inside(void **state)
{
    static const uint32_t values[] = {
        0,          1,          BYTE_RING_SIZE - 1, BYTE_RING_SIZE, BYTE_RING_SIZE + 1,
        0x7fffffff, 0x80000000, 0xfffff000,         0xffffffff,
    };
    enum { COUNT = sizeof(values) / sizeof(values[0]) };
    struct {
        uint8_t before[64];
        struct byte_ring ring;
        uint8_t after[64];
    } guarded;
    uint8_t bytes[2 * BYTE_RING_SIZE] = {0};
    bool wake;

    memset(&guarded, 0xa5, sizeof(guarded));
    for (unsigned i = 0; i < COUNT * COUNT; i++) {
        uint32_t used = values[i / COUNT] - values[i % COUNT];

        guarded.ring.head = values[i / COUNT];
        guarded.ring.tail = values[i % COUNT];
        assert_int_equal(byte_ring_used(&guarded.ring), used > BYTE_RING_SIZE ? 0 : used);
        assert_int_equal(byte_ring_has_room(&guarded.ring), used < BYTE_RING_SIZE);
        assert_true(byte_ring_put(&guarded.ring, bytes, sizeof(bytes), &wake) <= BYTE_RING_SIZE);
        guarded.ring.head = values[i / COUNT];
        assert_int_equal(byte_ring_get(&guarded.ring, bytes, sizeof(bytes), &wake),
                         used > BYTE_RING_SIZE ? 0 : used);
        byte_ring_sleep(&guarded.ring);
    }
    for (unsigned i = 0; i < sizeof(guarded.before); i++)
        assert_true(guarded.before[i] == 0xa5 && guarded.after[i] == 0xa5);
}

#define STREAM_BYTES 2000000u

struct stream {
    int consumer_fd;
    int producer_fd;
    unsigned wrong;
};

static void wait_for(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0)
        abort();
}

static void tell(int fd)
{
    const uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) < 0)
        abort();
}

static void *consume(void *context)
{
    struct stream *stream = context;
    uint8_t bytes[100];
    uint32_t taken = 0;
    bool wake;

    while (taken < STREAM_BYTES) {
        size_t count = byte_ring_get(&ring, bytes, sizeof(bytes), &wake);

        for (size_t i = 0; i < count; i++)
            stream->wrong += bytes[i] != (uint8_t)(taken++ * 7);
        if (wake)
            tell(stream->producer_fd);
        if (count == 0 && byte_ring_sleep(&ring))
            wait_for(stream->consumer_fd);
    }
    return NULL;
}

// Both sides sleep whenever they can: a lost wake-up would hang, which alarm(2) turns into a
// failure.
static void nobody_sleeps_through_bytes_or_room(void **state)
{
    struct stream stream = {.consumer_fd = eventfd(0, 0), .producer_fd = eventfd(0, 0)};
    uint32_t put = 0;
    pthread_t thread;
    uint8_t bytes[150];
    bool wake;

    alarm(60);
    assert_int_equal(pthread_create(&thread, NULL, consume, &stream), 0);
    while (put < STREAM_BYTES) {
        size_t length = put % sizeof(bytes) + 1;
        size_t count;

        if (length > STREAM_BYTES - put)
            length = STREAM_BYTES - put;
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)((put + i) * 7);
        count = byte_ring_put(&ring, bytes, length, &wake);
        put += (uint32_t)count;
        if (wake)
            tell(stream.consumer_fd);
        if (count == 0 && !byte_ring_has_room(&ring))
            wait_for(stream.producer_fd);
    }
    pthread_join(thread, NULL);
    alarm(0);
    assert_int_equal(stream.wrong, 0);
    close(stream.consumer_fd);
    close(stream.producer_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bytes_come_out_as_they_went_in, clear),
        cmocka_unit_test_setup(a_full_ring_takes_no_more, clear),
        cmocka_unit_test_setup(only_a_sleeping_consumer_is_woken, clear),
        cmocka_unit_test_setup(hostile_indices_stay_inside, clear),
        cmocka_unit_test_setup(nobody_sleeps_through_bytes_or_room, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
