// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Promises of the virtqueue: chains are read once and whole; each rule that a driver can break is
// noticed, and breaks nothing; interrupts and kicks are asked for as virtio 1.2, 2.7.7 and 2.7.10
// say.
#include "tests/unit/ring_fixture.h"

#include <errno.h>

#define INDIRECT (UINT64_C(1) << VIRTIO_F_INDIRECT_DESC)
#define EVENT_IDX (UINT64_C(1) << VIRTIO_F_EVENT_IDX)
#define TABLE RING_DESCRIPTORS

static void a_chain_is_read_whole(void **state)
{
    struct ring_fixture *ring = *state;
    char text[8] = {0};

    ring_start(ring, 0);
    poke(ring, RING_DATA, "abcd", 4);
    describe(ring, TABLE, 3, RING_DATA, 2, RING_DESC_NEXT, 5);
    describe(ring, TABLE, 5, RING_DATA + 2, 2, RING_DESC_NEXT, 1);
    describe(ring, TABLE, 1, RING_DATA + 64, 16, RING_DESC_WRITE, 0);
    make_available(ring, 0, 3);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 1);
    assert_int_equal(ring->chain.head, 3);
    assert_int_equal(guest_vector_bytes(&ring->chain.readable), 4);
    assert_int_equal(guest_vector_bytes(&ring->chain.writable), 16);
    assert_int_equal(guest_vector_read(&ring->chain.readable, 0, text, sizeof(text)), 4);
    assert_string_equal(text, "abcd");
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 0);
}

static void a_chain_does_not_change_after_it_was_read(void **state)
{
    struct ring_fixture *ring = *state;

    ring_start(ring, 0);
    describe(ring, TABLE, 0, RING_DATA, 16, RING_DESC_WRITE, 0);
    make_available(ring, 0, 0);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 1);
    describe(ring, TABLE, 0, UINT64_MAX, UINT32_MAX, 0, 0);
    assert_int_equal(guest_vector_bytes(&ring->chain.writable), 16);
    assert_int_equal(guest_vector_write(&ring->chain.writable, 0, "0123456789abcdef", 16), 16);
}

static void an_indirect_table_is_followed(void **state)
{
    struct ring_fixture *ring = *state;

    ring_start(ring, INDIRECT);
    describe(ring, RING_DATA, 0, RING_DATA + 256, 8, RING_DESC_NEXT, 1);
    describe(ring, RING_DATA, 1, RING_DATA + 512, 9, RING_DESC_WRITE, 0);
    describe(ring, TABLE, 0, RING_DATA, 32, RING_DESC_INDIRECT, 0);
    make_available(ring, 0, 0);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 1);
    assert_int_equal(guest_vector_bytes(&ring->chain.readable), 8);
    assert_int_equal(guest_vector_bytes(&ring->chain.writable), 9);
}

struct broken {
    const char *name;
    uint64_t features;
    int error;
    void (*make)(struct ring_fixture *ring);
};

static void make_loop(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_DATA, 1, RING_DESC_NEXT, 1);
    describe(ring, TABLE, 1, RING_DATA, 1, RING_DESC_NEXT, 0);
}

static void make_next_outside(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_DATA, 1, RING_DESC_NEXT, RING_SIZE);
}

static void make_zero_length(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_DATA, 0, 0, 0);
}

static void make_outside_memory(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_MEMORY, 1, 0, 0);
}

static void make_over_the_end(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_MEMORY - 1, 2, 0, 0);
}

static void make_wrapping(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, UINT64_MAX - 7, 16, 0, 0);
}

static void make_four_gib(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_DATA, UINT32_MAX, RING_DESC_WRITE, 0);
}

static void make_read_after_write(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_DATA, 1, RING_DESC_WRITE | RING_DESC_NEXT, 1);
    describe(ring, TABLE, 1, RING_DATA, 1, 0, 0);
}

static void make_indirect(struct ring_fixture *ring)
{
    describe(ring, RING_DATA, 0, RING_DATA, 1, 0, 0);
    describe(ring, TABLE, 0, RING_DATA, 16, RING_DESC_INDIRECT, 0);
}

static void make_indirect_with_next(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_DATA, 16, RING_DESC_INDIRECT | RING_DESC_NEXT, 1);
}

static void make_nested_indirect(struct ring_fixture *ring)
{
    describe(ring, RING_DATA, 0, RING_DATA, 16, RING_DESC_INDIRECT, 0);
    describe(ring, TABLE, 0, RING_DATA, 16, RING_DESC_INDIRECT, 0);
}

static void make_odd_table(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_DATA, 17, RING_DESC_INDIRECT, 0);
}

static void make_empty_table(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_DATA, 0, RING_DESC_INDIRECT, 0);
}

static void make_table_outside(struct ring_fixture *ring)
{
    describe(ring, TABLE, 0, RING_MEMORY - 16, 32, RING_DESC_INDIRECT, 0);
}

static void make_loop_in_table(struct ring_fixture *ring)
{
    describe(ring, RING_DATA, 0, RING_DATA, 1, RING_DESC_NEXT, 0);
    describe(ring, TABLE, 0, RING_DATA, 16, RING_DESC_INDIRECT, 0);
}

static void every_broken_chain_is_noticed(void **state)
{
    static const struct broken cases[] = {
        {"loop", 0, -ELOOP, make_loop},
        {"next outside", 0, -EINVAL, make_next_outside},
        {"zero length", 0, -EFAULT, make_zero_length},
        {"outside memory", 0, -EFAULT, make_outside_memory},
        {"over the end", 0, -EFAULT, make_over_the_end},
        {"wrapping", 0, -EFAULT, make_wrapping},
        {"4 GiB", 0, -EFAULT, make_four_gib},
        {"read after write", 0, -EINVAL, make_read_after_write},
        {"indirect not negotiated", 0, -EINVAL, make_indirect},
        {"indirect with next", INDIRECT, -EINVAL, make_indirect_with_next},
        {"nested indirect", INDIRECT, -EINVAL, make_nested_indirect},
        {"odd table", INDIRECT, -EINVAL, make_odd_table},
        {"empty table", INDIRECT, -EINVAL, make_empty_table},
        {"table outside", INDIRECT, -EFAULT, make_table_outside},
        {"loop in table", INDIRECT, -ELOOP, make_loop_in_table},
    };
    struct ring_fixture *ring = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ring_start(ring, cases[i].features);
        cases[i].make(ring);
        make_available(ring, 0, 0);
        if (virtqueue_pop(&ring->queue, &ring->chain) != cases[i].error)
            fail_msg("%s: not noticed, or as something else", cases[i].name);
        assert_non_null(ring->queue.fault);
        // The queue is dead until it is started again.
        assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 0);
    }
}

static void a_wrong_available_ring_is_noticed(void **state)
{
    struct ring_fixture *ring = *state;

    ring_start(ring, 0);
    make_available(ring, 0, RING_SIZE);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), -EINVAL);

    ring_start(ring, 0);
    poke16(ring, RING_AVAILABLE + 2, RING_SIZE + 1);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), -EINVAL);

    ring_start(ring, 0);
    describe(ring, TABLE, 0, RING_DATA, 1, 0, 0);
    make_available(ring, 0, 0);
    make_available(ring, 1, 0);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 1);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), -EINVAL);
}

static void a_ring_in_a_wrong_place_is_refused(void **state)
{
    static const uint64_t bad[] = {RING_MEMORY, RING_MEMORY - 16, UINT64_MAX - 15,
                                   UINT64_MAX & ~15ull};
    struct ring_fixture *ring = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct virtqueue_config config = ring_config(0);

        config.descriptor_area = guest_address(bad[i] & ~15ull);
        assert_true(virtqueue_start(&ring->queue, &config, false) < 0);
        config = ring_config(0);
        config.driver_area = guest_address(bad[i] & ~1ull);
        assert_true(virtqueue_start(&ring->queue, &config, false) < 0);
        config = ring_config(0);
        config.device_area = guest_address(bad[i] & ~3ull);
        assert_true(virtqueue_start(&ring->queue, &config, false) < 0);
        assert_false(ring->queue.running);
    }
}

static void an_unaligned_ring_and_a_bad_size_are_refused(void **state)
{
    static const uint16_t sizes[] = {0, 3, 512, 65535};
    struct ring_fixture *ring = *state;
    struct virtqueue_config config = ring_config(0);

    config.descriptor_area.value += 8;
    assert_int_equal(virtqueue_start(&ring->queue, &config, false), -EINVAL);
    config = ring_config(0);
    config.driver_area.value += 1;
    assert_int_equal(virtqueue_start(&ring->queue, &config, false), -EINVAL);
    config = ring_config(0);
    config.device_area.value += 2;
    assert_int_equal(virtqueue_start(&ring->queue, &config, false), -EINVAL);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        config = ring_config(0);
        config.size = sizes[i];
        assert_int_equal(virtqueue_start(&ring->queue, &config, false), -EINVAL);
    }
}

static bool was_called(struct ring_fixture *ring)
{
    uint64_t count;

    return read(ring->call_fd, &count, sizeof(count)) == sizeof(count);
}

static void a_used_entry_says_what_was_written(void **state)
{
    struct ring_fixture *ring = *state;
    struct ring_used_element element;

    ring_start(ring, 0);
    describe(ring, TABLE, 2, RING_DATA, 8, RING_DESC_WRITE, 0);
    make_available(ring, 0, 2);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 1);
    virtqueue_push(&ring->queue, ring->chain.head, 7);
    guest_read(ring->memory, guest_address(RING_USED + 4), &element, sizeof(element));
    assert_int_equal(element.id, 2);
    assert_int_equal(element.length, 7);
    assert_int_equal(peek16(ring, RING_USED + 2), 1);
    virtqueue_notify(&ring->queue);
    assert_true(was_called(ring));
}

static void no_interrupt_is_sent_where_none_is_wanted(void **state)
{
    struct ring_fixture *ring = *state;

    ring_start(ring, 0);
    poke16(ring, RING_AVAILABLE, RING_AVAIL_NO_INTERRUPT);
    describe(ring, TABLE, 0, RING_DATA, 8, RING_DESC_WRITE, 0);
    make_available(ring, 0, 0);
    virtqueue_pop(&ring->queue, &ring->chain);
    virtqueue_push(&ring->queue, 0, 0);
    virtqueue_notify(&ring->queue);
    assert_false(was_called(ring));
}

static void push_one(struct ring_fixture *ring, uint16_t position)
{
    make_available(ring, position, 0);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 1);
    virtqueue_push(&ring->queue, 0, 0);
    virtqueue_notify(&ring->queue);
}

static void the_event_index_is_honoured(void **state)
{
    struct ring_fixture *ring = *state;
    uint64_t used_event = RING_AVAILABLE + 4 + 2 * RING_SIZE;

    ring_start(ring, EVENT_IDX);
    describe(ring, TABLE, 0, RING_DATA, 8, RING_DESC_WRITE, 0);
    poke16(ring, used_event, 0);
    push_one(ring, 0);
    assert_true(was_called(ring)); // 0 -> 1 passes 0
    push_one(ring, 1);
    assert_false(was_called(ring)); // 1 -> 2 does not
    poke16(ring, used_event, 2);
    push_one(ring, 2);
    assert_true(was_called(ring));
    poke16(ring, used_event, 0xffff);
    for (uint32_t i = 3; i < 0xffff; i++)
        push_one(ring, (uint16_t)i);
    assert_false(was_called(ring));
    push_one(ring, 0xffff);
    assert_true(was_called(ring)); // over the wrap
}

static void kicks_are_asked_for_before_sleep(void **state)
{
    struct ring_fixture *ring = *state;

    ring_start(ring, 0);
    virtqueue_kicks_off(&ring->queue);
    assert_int_equal(peek16(ring, RING_USED), RING_USED_NO_NOTIFY);
    assert_false(virtqueue_kicks_on(&ring->queue));
    assert_int_equal(peek16(ring, RING_USED), 0);
    describe(ring, TABLE, 0, RING_DATA, 8, RING_DESC_WRITE, 0);
    make_available(ring, 0, 0);
    assert_true(virtqueue_kicks_on(&ring->queue)); // one came meanwhile
    ring_start(ring, EVENT_IDX);
    make_available(ring, 0, 0);
    virtqueue_pop(&ring->queue, &ring->chain);
    assert_false(virtqueue_kicks_on(&ring->queue));
    assert_int_equal(peek16(ring, RING_USED + 4 + 8 * RING_SIZE), 1);
}

static void nothing_is_popped_while_draining(void **state)
{
    struct ring_fixture *ring = *state;

    ring_start(ring, 0);
    describe(ring, TABLE, 0, RING_DATA, 8, RING_DESC_WRITE, 0);
    make_available(ring, 0, 0);
    ring->queue.draining = true;
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 0);
    assert_false(virtqueue_kicks_on(&ring->queue));
}

static void a_successor_does_what_was_in_flight(void **state)
{
    struct ring_fixture *ring = *state;
    const struct virtqueue_config config = ring_config(0);
    struct virtqueue heir;

    ring_start(ring, 0);
    for (uint16_t i = 0; i < 4; i++) {
        describe(ring, TABLE, i, RING_DATA + 64 * i, 8, RING_DESC_WRITE, 0);
        make_available(ring, i, i);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 1);
    virtqueue_push(&ring->queue, 1, 8); // 0 and 2 stay in flight, 3 was not taken
    heir = ring->queue;
    assert_int_equal(virtqueue_start(&heir, &config, true), 0);
    assert_int_equal(virtqueue_pop(&heir, &ring->chain), 1);
    assert_int_equal(ring->chain.head, 0);
    assert_int_equal(virtqueue_pop(&heir, &ring->chain), 1);
    assert_int_equal(ring->chain.head, 2);
    assert_int_equal(virtqueue_pop(&heir, &ring->chain), 1);
    assert_int_equal(ring->chain.head, 3);
    assert_int_equal(virtqueue_pop(&heir, &ring->chain), 0);
    virtqueue_push(&heir, 0, 0);
    assert_int_equal(peek16(ring, RING_USED + 2), 2);
    virtqueue_notify(&heir);
    assert_true(was_called(ring)); // it cannot know whether its predecessor did
}

static void a_published_request_is_not_done_again(void **state)
{
    struct ring_fixture *ring = *state;
    const struct virtqueue_config config = ring_config(0);

    ring_start(ring, 0);
    describe(ring, TABLE, 5, RING_DATA, 8, RING_DESC_WRITE, 0);
    make_available(ring, 0, 5);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 1);
    virtqueue_push(&ring->queue, 5, 8);
    // As if the process had died between the used index and the end of its book-keeping.
    ring->queue.inflight->descriptors[5].inflight = 1;
    ring->queue.inflight->used_index = 0;
    assert_int_equal(virtqueue_start(&ring->queue, &config, true), 0);
    assert_int_equal(virtqueue_pop(&ring->queue, &ring->chain), 0);
}

static void a_foreign_inflight_record_is_refused(void **state)
{
    struct ring_fixture *ring = *state;
    const struct virtqueue_config config = ring_config(0);

    ring_start(ring, 0);
    ring->queue.inflight->size = 16;
    assert_int_equal(virtqueue_start(&ring->queue, &config, true), -EINVAL);
    assert_false(ring->queue.running);
}

int main(void)
{
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, ring_setup, ring_teardown)
    const struct CMUnitTest tests[] = {
        RING_TEST(a_chain_is_read_whole),
        RING_TEST(a_chain_does_not_change_after_it_was_read),
        RING_TEST(an_indirect_table_is_followed),
        RING_TEST(every_broken_chain_is_noticed),
        RING_TEST(a_wrong_available_ring_is_noticed),
        RING_TEST(a_ring_in_a_wrong_place_is_refused),
        RING_TEST(an_unaligned_ring_and_a_bad_size_are_refused),
        RING_TEST(a_used_entry_says_what_was_written),
        RING_TEST(no_interrupt_is_sent_where_none_is_wanted),
        RING_TEST(the_event_index_is_honoured),
        RING_TEST(kicks_are_asked_for_before_sleep),
        RING_TEST(nothing_is_popped_while_draining),
        RING_TEST(a_successor_does_what_was_in_flight),
        RING_TEST(a_published_request_is_not_done_again),
        RING_TEST(a_foreign_inflight_record_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
