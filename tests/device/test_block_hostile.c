// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A driver that breaks the rules of the ring: the queue stops and the coordinator is told, the
// process lives on, and after a reset it serves as if nothing had been. Requests that are merely
// malformed end with an error.
#include "tests/device/block_fixture.h"

#include "ipc/cleanup.h"

#include <stdatomic.h>
#include <string.h>

#define F(bit) (UINT64_C(1) << (bit))
#define OUTSIDE (HARNESS_HIGH + HARNESS_REGION_SIZE)
#define LOW_END HARNESS_REGION_SIZE

// One ring fault: something is done to queue 0, which is then kicked.
struct ring_fault {
    const char *name;
    void (*make)(struct block_test *test, struct harness_queue *queue, uint16_t head);
};

static uint16_t *last_offer(struct harness_queue *queue)
{
    return &queue->available->ring[(queue->next_available - 1) & (queue->size - 1)];
}

#define FAULT(name, ...)                                                                           \
    static void name(struct block_test *test, struct harness_queue *queue, uint16_t head)          \
    {                                                                                              \
        struct harness_descriptor *first = &queue->descriptors[head];                              \
        (void)test;                                                                                \
        (void)first;                                                                               \
        __VA_ARGS__                                                                                \
    }

FAULT(head_outside, *last_offer(queue) = queue->size;)
FAULT(head_far_outside, *last_offer(queue) = 0xffff;)
FAULT(index_runs_ahead,
      atomic_store(&queue->available->index, (uint16_t)(queue->next_available + queue->size));)
FAULT(index_runs_back,
      atomic_store(&queue->available->index, (uint16_t)(queue->next_available - 2));)
FAULT(next_outside, first->next = queue->size;)
FAULT(next_far_outside, first->next = 0xffff;)
FAULT(loop_of_one, first->next = head;)
FAULT(loop_of_two, queue->descriptors[first->next].flags = HARNESS_NEXT | HARNESS_WRITE;
      queue->descriptors[first->next].next = first->next;)
FAULT(address_outside, first->address = OUTSIDE;)
FAULT(address_in_the_hole, first->address = LOW_END;)
FAULT(address_over_the_end, first->address = LOW_END - 15;)
FAULT(address_wraps, first->address = UINT64_MAX - 7;)
FAULT(address_and_length_wrap, first->address = UINT64_MAX - 0xfffffffe;
      first->length = 0xffffffff;)
FAULT(length_zero, first->length = 0;)
FAULT(length_of_four_gigabytes, first->length = 0xffffffff;)
FAULT(status_outside, queue->descriptors[first->next].address = OUTSIDE - 0;)
FAULT(readable_after_writable, first->flags |= HARNESS_WRITE;
      queue->descriptors[first->next].flags = 0;)
FAULT(no_status, first->flags = 0;)
FAULT(indirect_not_negotiated, first->flags = HARNESS_INDIRECT;)

static const struct ring_fault ring_faults[] = {
#define ROW(name)                                                                                  \
    {                                                                                              \
#name, name                                                                                \
    }
    ROW(head_outside),
    ROW(head_far_outside),
    ROW(index_runs_ahead),
    ROW(index_runs_back),
    ROW(next_outside),
    ROW(next_far_outside),
    ROW(loop_of_one),
    ROW(loop_of_two),
    ROW(address_outside),
    ROW(address_in_the_hole),
    ROW(address_over_the_end),
    ROW(address_wraps),
    ROW(address_and_length_wrap),
    ROW(length_zero),
    ROW(length_of_four_gigabytes),
    ROW(status_outside),
    ROW(readable_after_writable),
    ROW(no_status),
    ROW(indirect_not_negotiated),
};

static void expect_healthy(struct block_test *test)
{
    const struct block_io flush = {.type = BLOCK_T_FLUSH};

    harness_reset(&test->harness);
    harness_start(&test->harness, false);
    assert_int_equal(block_test_do(test, 0, &flush), BLOCK_S_OK);
}

static void ring_faults_stop_the_queue_and_nothing_else(void **state)
{
    const struct block_test_options options = {.queues = 2};
    const struct block_io flush = {.type = BLOCK_T_FLUSH};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];

    block_test_open(&test, state, &options);
    for (size_t i = 0; i < array_size(ring_faults); i++) {
        uint16_t head = block_test_chain(&test, 0, 0, &flush);

        print_message("    %s\n", ring_faults[i].name);
        harness_offer(queue, head);
        ring_faults[i].make(&test, queue, head);
        harness_kick_always(queue);
        harness_await_fault(&test.harness, 0);
        assert_int_equal(block_test_status(&test, 0), 0xff);
        // A dead queue stays dead, the other one lives.
        harness_kick_always(queue);
        assert_int_equal(block_test_do(&test, 1, &flush), BLOCK_S_OK);
        expect_healthy(&test);
    }
    block_test_close(&test);
}

static void a_head_that_is_in_flight_is_refused(void **state)
{
    const struct block_test_options options = {0};
    const struct block_io flush = {.type = BLOCK_T_FLUSH};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];
    uint16_t head;

    block_test_open(&test, state, &options);
    head = block_test_chain(&test, 0, 0, &flush);
    harness_offer(queue, head);
    harness_offer(queue, head);
    harness_kick_always(queue);
    harness_await_fault(&test.harness, 0);
    expect_healthy(&test);
    block_test_close(&test);
}

static void indirect_tables(void **state)
{
    const struct block_test_options options = {.features = F(VIRTIO_F_INDIRECT_DESC)};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];
    struct harness_descriptor *entries;
    struct harness_piece pieces[128];
    uint64_t table, at;
    uint16_t head;

    block_test_open(&test, state, &options);
    table = harness_buffer(&test.harness, 0, 8192);
    at = harness_buffer(&test.harness, 1, 1 << 20);
    entries = harness_at(&test.harness, table);
    block_test_image_fill(&test, 0, 126, 8);
    // As many segments as seg_max says, each its own page.
    *(struct block_header *)harness_at(&test.harness, test.slots) =
        (struct block_header){.type = BLOCK_T_IN};
    pieces[0] = (struct harness_piece){.address = test.slots, .length = 16};
    for (unsigned i = 1; i <= 126; i++)
        pieces[i] = (struct harness_piece){
            .address = at + (126 - i) * 4096, .length = 512, .writable = true};
    pieces[127] = (struct harness_piece){.address = test.slots + 16, .length = 1, .writable = true};
    head = harness_chain_indirect(&test.harness, queue, table, pieces, 128);
    assert_int_equal(harness_request(queue, head), 126 * 512 + 1);
    assert_int_equal(block_test_status(&test, 0), BLOCK_S_OK);
    for (unsigned i = 1; i <= 126; i++) {
        uint8_t expected[512];

        block_test_fill(expected, sizeof(expected), i - 1, 8);
        assert_memory_equal(harness_at(&test.harness, at + (126 - i) * 4096), expected, 512);
    }
    for (unsigned fault = 0; fault < 6; fault++) {
        head = harness_chain_indirect(&test.harness, queue, table, pieces, 2);
        struct harness_descriptor *direct = &queue->descriptors[head];

        if (fault == 0)
            entries[0].flags = HARNESS_INDIRECT; // a table in a table
        else if (fault == 1)
            direct->length = 17;
        else if (fault == 2)
            direct->length = 0;
        else if (fault == 3)
            direct->flags |= HARNESS_NEXT;
        else if (fault == 4)
            entries[0].next = 2; // behind the table's end
        else
            direct->address = UINT64_MAX - 15;
        harness_offer(queue, head);
        harness_kick_always(queue);
        harness_await_fault(&test.harness, 0);
        expect_healthy(&test);
    }
    block_test_close(&test);
}

static void more_segments_than_allowed_are_refused(void **state)
{
    const struct block_test_options options = {0};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];
    struct harness_piece pieces[200];

    block_test_open(&test, state, &options);
    for (unsigned i = 0; i < array_size(pieces); i++)
        pieces[i] = (struct harness_piece){.address = test.slots, .length = 16, .writable = i > 0};
    harness_offer(queue, harness_chain(queue, pieces, array_size(pieces)));
    harness_kick_always(queue);
    harness_await_fault(&test.harness, 0);
    expect_healthy(&test);
    block_test_close(&test);
}

static void headers_in_pieces(void **state)
{
    const struct block_test_options options = {0};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];
    uint64_t at;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 1, 4096);
    block_test_image_fill(&test, 40, 1, 8);
    for (unsigned length = 0; length <= 16; length++) {
        struct harness_piece pieces[18];
        unsigned count = 0;
        const struct block_header header = {.type = BLOCK_T_IN, .sector = 40};

        memcpy(harness_at(&test.harness, test.slots), &header, sizeof(header));
        // One byte a descriptor, backwards in memory for none of them to be neighbours.
        for (unsigned i = 0; i < length; i++) {
            *(uint8_t *)harness_at(&test.harness, test.slots + 256 - 2 * i) =
                ((const uint8_t *)&header)[i];
            pieces[count++] =
                (struct harness_piece){.address = test.slots + 256 - 2 * i, .length = 1};
        }
        // Data and status are one piece.
        pieces[count++] = (struct harness_piece){.address = at, .length = 513, .writable = true};
        memset(harness_at(&test.harness, at), 0xff, 513);
        harness_request(queue, harness_chain(queue, pieces, count));
        assert_int_equal(*(uint8_t *)harness_at(&test.harness, at + 512),
                         length == 16 ? BLOCK_S_OK : BLOCK_S_IOERR);
    }
    block_test_close(&test);
}

static void rings_at_impossible_places_are_refused(void **state)
{
    static const device_Queue places[] = {
        {.size = 256, .descriptor_area = OUTSIDE, .driver_area = 0x102000, .device_area = 0x104000},
        {.size = 256, .descriptor_area = 0x100000, .driver_area = OUTSIDE, .device_area = 0x104000},
        {.size = 256, .descriptor_area = 0x100000, .driver_area = 0x102000, .device_area = OUTSIDE},
        {.size = 256,
         .descriptor_area = OUTSIDE - 16,
         .driver_area = 0x102000,
         .device_area = 0x104000},
        {.size = 256,
         .descriptor_area = LOW_END - 4080,
         .driver_area = 0x102000,
         .device_area = 0x104000},
        {.size = 256,
         .descriptor_area = UINT64_MAX - 15,
         .driver_area = 0x102000,
         .device_area = 0x104000},
        {.size = 256,
         .descriptor_area = 0x100008,
         .driver_area = 0x102000,
         .device_area = 0x104000},
        {.size = 256,
         .descriptor_area = 0x100000,
         .driver_area = 0x102001,
         .device_area = 0x104000},
        {.size = 256,
         .descriptor_area = 0x100000,
         .driver_area = 0x102000,
         .device_area = 0x104002},
        {.size = 0, .descriptor_area = 0x100000, .driver_area = 0x102000, .device_area = 0x104000},
        {.size = 255,
         .descriptor_area = 0x100000,
         .driver_area = 0x102000,
         .device_area = 0x104000},
        {.size = 65536,
         .descriptor_area = 0x100000,
         .driver_area = 0x102000,
         .device_area = 0x104000},
        {.size = 65537,
         .descriptor_area = 0x100000,
         .driver_area = 0x102000,
         .device_area = 0x104000},
    };
    const struct block_test_options options = {.not_started = true};
    struct block_test test;
    device_Queue good;

    block_test_open(&test, state, &options);
    good = test.harness.queues[0].where;
    for (size_t i = 0; i < array_size(places); i++) {
        test.harness.queues[0].where = places[i];
        harness_start(&test.harness, false);
        harness_await_fault(&test.harness, 0);
        harness_kick_always(&test.harness.queues[0]);
        test.harness.queues[0].where = good;
        expect_healthy(&test);
        harness_reset(&test.harness);
    }
    block_test_close(&test);
}

// All three parts of the ring, and the data, in one place: nonsense in, but only the guest is hurt.
static void overlapping_rings_hurt_only_the_guest(void **state)
{
    const struct block_test_options options = {.not_started = true};
    struct block_test test;
    device_Queue good;

    block_test_open(&test, state, &options);
    good = test.harness.queues[0].where;
    test.harness.queues[0].where.driver_area = good.descriptor_area;
    test.harness.queues[0].where.device_area = good.descriptor_area;
    for (unsigned value = 0; value < 256; value++) {
        memset(test.harness.queues[0].descriptors, (int)value, 8192);
        harness_start(&test.harness, false);
        harness_kick_always(&test.harness.queues[0]);
        harness_reset(&test.harness);
    }
    test.harness.queues[0].where = good;
    expect_healthy(&test);
    block_test_close(&test);
}

static void kicks_before_start_do_nothing(void **state)
{
    const struct block_test_options options = {.not_started = true};
    const struct block_io flush = {.type = BLOCK_T_FLUSH};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];
    uint32_t length;

    block_test_open(&test, state, &options);
    harness_offer(queue, block_test_chain(&test, 0, 0, &flush));
    for (unsigned i = 0; i < 1000; i++)
        harness_kick_always(queue);
    harness_ping(&test.harness);
    assert_int_equal(block_test_status(&test, 0), 0xff);
    // What was made available before DRIVER_OK is served at Start.
    harness_start(&test.harness, false);
    harness_wait(queue, &length);
    assert_int_equal(block_test_status(&test, 0), BLOCK_S_OK);
    block_test_close(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST_BOTH(ring_faults_stop_the_queue_and_nothing_else),
        BLOCK_TEST_BOTH(a_head_that_is_in_flight_is_refused),
        BLOCK_TEST_BOTH(indirect_tables),
        BLOCK_TEST_BOTH(more_segments_than_allowed_are_refused),
        BLOCK_TEST_BOTH(headers_in_pieces),
        BLOCK_TEST_BOTH(rings_at_impossible_places_are_refused),
        BLOCK_TEST_BOTH(overlapping_rings_hurt_only_the_guest),
        BLOCK_TEST_BOTH(kicks_before_start_do_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
