// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The rng process in its jail: buffers are filled with bytes that nobody has seen before, and
// nothing else is touched.
#include "tests/device/harness.h"

#include "ipc/cleanup.h"

#include <string.h>

static void open_rng(struct harness *harness)
{
    harness_init(harness, "rng", 1, 64);
    harness->attach.which_config = device_Attach_rng_tag;
    harness_spawn(harness);
    harness_verify(harness);
    harness_start(harness, false);
}

static bool all_bytes_are(const uint8_t *bytes, size_t length, uint8_t value)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void buffers_are_filled(void **state)
{
    struct harness harness;
    uint64_t at;

    (void)state;
    open_rng(&harness);
    at = harness_buffer(&harness, 1, 65536);
    const struct {
        struct harness_piece pieces[3];
        unsigned count;
        uint32_t filled;
    } rows[] = {
        {{{at, 1, true}}, 1, 1},
        {{{at, 64, true}}, 1, 64},
        {{{at, 4096, true}}, 1, 4096},
        {{{at, 65536, true}}, 1, 4096}, // in part (virtio 1.2, 5.4.6)
        {{{at, 100, true}, {at + 200, 100, true}}, 2, 200},
        {{{at, 64, false}}, 1, 0}, // nothing to fill
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        struct harness_queue *queue = &harness.queues[0];
        uint8_t *bytes = harness_at(&harness, at);

        memset(bytes, 0xee, 65536);
        assert_int_equal(
            harness_request(queue, harness_chain(queue, rows[i].pieces, rows[i].count)),
            rows[i].filled);
        if (rows[i].count == 2) {
            assert_false(all_bytes_are(bytes, 100, 0xee));
            assert_true(all_bytes_are(bytes + 100, 100, 0xee));
            assert_false(all_bytes_are(bytes + 200, 100, 0xee));
            assert_true(all_bytes_are(bytes + 300, 65236, 0xee));
        } else {
            if (rows[i].filled >= 64)
                assert_false(all_bytes_are(bytes, rows[i].filled, 0xee));
            assert_true(all_bytes_are(bytes + rows[i].filled, 65536 - rows[i].filled, 0xee));
        }
    }
    harness_destroy(&harness);
}

static void no_two_answers_are_alike(void **state)
{
    struct harness harness;
    struct harness_queue *queue = &harness.queues[0];
    uint64_t at;

    (void)state;
    open_rng(&harness);
    at = harness_buffer(&harness, 0, 4096);
    for (unsigned i = 0; i < 60; i++)
        harness_offer(queue,
                      harness_chain(queue, &(struct harness_piece){at + i * 64, 64, true}, 1));
    harness_kick(queue);
    for (unsigned i = 0; i < 60; i++) {
        uint32_t length;

        harness_wait(queue, &length);
        assert_int_equal(length, 64);
    }
    for (unsigned i = 0; i < 60; i++)
        for (unsigned j = 0; j < i; j++)
            assert_memory_not_equal(harness_at(&harness, at + i * 64),
                                    harness_at(&harness, at + j * 64), 64);
    harness_destroy(&harness);
}

static void a_broken_ring_stops_the_queue_until_reset(void **state)
{
    struct harness harness;
    struct harness_queue *queue = &harness.queues[0];
    uint64_t at;

    (void)state;
    open_rng(&harness);
    at = harness_buffer(&harness, 0, 4096);
    const struct harness_piece bad[] = {
        {HARNESS_HIGH + HARNESS_REGION_SIZE - 8, 16, true},
        {UINT64_MAX - 7, 16, true},
        {at, 0, true},
    };
    for (size_t i = 0; i < array_size(bad); i++) {
        harness_offer(queue, harness_chain(queue, &bad[i], 1));
        harness_kick_always(queue);
        harness_await_fault(&harness, 0);
        harness_ping(&harness);
        harness_reset(&harness);
        harness_start(&harness, false);
        assert_int_equal(
            harness_request(queue, harness_chain(queue, &(struct harness_piece){at, 16, true}, 1)),
            16);
    }
    harness_destroy(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_are_filled),
        cmocka_unit_test(no_two_answers_are_alike),
        cmocka_unit_test(a_broken_ring_stops_the_queue_until_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
