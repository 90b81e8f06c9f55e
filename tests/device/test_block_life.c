// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A block device under load and through its changes of state: many requests, many queues, reset
// while requests are in flight, and death at any moment, after which a new process does what the
// old one had taken and not given back.
#include "tests/device/block_fixture.h"

#include "ipc/cleanup.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define F(bit) (UINT64_C(1) << (bit))
#define PAGE_SECTORS (GUEST_PAGE_SIZE / BLOCK_SECTOR_SIZE)
#define PAGES (BLOCK_TEST_SECTORS / PAGE_SECTORS)

static struct block_io page_io(uint32_t type, uint64_t page, uint64_t address)
{
    return (struct block_io){
        .type = type,
        .sector = page * PAGE_SECTORS,
        .data = {{.address = address, .length = GUEST_PAGE_SIZE, .writable = type == BLOCK_T_IN}},
        .count = 1,
    };
}

static void offer_page(struct block_test *test, unsigned queue, unsigned slot, uint32_t type,
                       uint64_t page, uint64_t address)
{
    const struct block_io io = page_io(type, page, address);

    harness_offer(&test->harness.queues[queue], block_test_chain(test, queue, slot, &io));
}

static void many_requests_at_once(void **state)
{
    for (unsigned event_index = 0; event_index < 2; event_index++) {
        const struct block_test_options options = {
            .queue_size = 256,
            .features = event_index ? F(VIRTIO_F_EVENT_IDX) : 0,
        };
        struct block_test test;
        struct harness_queue *queue = &test.harness.queues[0];
        uint64_t at;
        uint32_t length;

        block_test_open(&test, state, &options);
        at = harness_buffer(&test.harness, 1, 80 * GUEST_PAGE_SIZE);
        // Writes, then reads, of 80 different pages: 240 of the ring's 256 descriptors.
        for (unsigned round = 0; round < 20; round++) {
            for (unsigned i = 0; i < 80; i++) {
                uint8_t *page = harness_at(&test.harness, at + i * GUEST_PAGE_SIZE);

                block_test_fill(page, GUEST_PAGE_SIZE, i * 8, (uint8_t)round);
                offer_page(&test, 0, i, BLOCK_T_OUT, i, at + i * GUEST_PAGE_SIZE);
            }
            harness_kick(queue);
            for (unsigned i = 0; i < 80; i++)
                harness_wait(queue, &length);
            memset(harness_at(&test.harness, at), 0, 80 * GUEST_PAGE_SIZE);
            for (unsigned i = 0; i < 80; i++) {
                assert_int_equal(block_test_status(&test, i), BLOCK_S_OK);
                offer_page(&test, 0, i, BLOCK_T_IN, i, at + i * GUEST_PAGE_SIZE);
            }
            harness_kick(queue);
            for (unsigned i = 0; i < 80; i++)
                harness_wait(queue, &length);
            for (unsigned i = 0; i < 80; i++) {
                uint8_t expected[GUEST_PAGE_SIZE];

                assert_int_equal(block_test_status(&test, i), BLOCK_S_OK);
                block_test_fill(expected, sizeof(expected), i * 8, (uint8_t)round);
                assert_memory_equal(harness_at(&test.harness, at + i * GUEST_PAGE_SIZE), expected,
                                    sizeof(expected));
            }
        }
        block_test_close(&test);
    }
}

// All sixteen queues full: more requests than the process has room for, in pieces.
static void more_than_there_is_room_for(void **state)
{
    const struct block_test_options options = {.queues = 16, .queue_size = 64};
    struct block_test test;
    uint64_t at;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 1, 2 * GUEST_PAGE_SIZE);
    block_test_image_fill(&test, 0, 16, 1);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 256; i++) {
            // Two pieces that are not neighbours: each request needs a vector.
            const struct block_io io = {
                .type = BLOCK_T_IN,
                .data = {{.address = at, .length = 512, .writable = true},
                         {.address = at + 1024, .length = 512, .writable = true}},
                .count = 2,
            };
            struct harness_queue *queue = &test.harness.queues[i % 16];

            harness_offer(queue, block_test_chain(&test, i % 16, i, &io));
        }
        for (unsigned i = 0; i < 16; i++)
            harness_kick(&test.harness.queues[i]);
        for (unsigned i = 0; i < 256; i++) {
            uint32_t length;

            harness_wait(&test.harness.queues[i % 16], &length);
            assert_int_equal(length, 1025);
        }
        for (unsigned i = 0; i < 256; i++)
            assert_int_equal(block_test_status(&test, i), BLOCK_S_OK);
    }
    block_test_close(&test);
}

static void reset_with_requests_in_flight(void **state)
{
    const struct block_test_options options = {.queues = 2};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];
    const struct block_io flush = {.type = BLOCK_T_FLUSH};
    uint64_t at;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 1, 64 * GUEST_PAGE_SIZE);
    for (unsigned round = 0; round < 50; round++) {
        uint8_t *pages = harness_at(&test.harness, at);

        for (unsigned i = 0; i < 64; i++)
            offer_page(&test, 0, i, i % 2 != 0 ? BLOCK_T_OUT : BLOCK_T_IN, round * 64 + i,
                       at + i * GUEST_PAGE_SIZE);
        harness_offer(&test.harness.queues[1], block_test_chain(&test, 1, 100, &flush));
        harness_kick_always(&test.harness.queues[1]);
        harness_kick_always(queue);
        // Alternately the whole device and one of its queues.
        if (round % 2 == 0) {
            harness_reset(&test.harness);
        } else {
            harness_queue_reset(&test.harness, 0);
        }
        // After Done nothing may write here any more.
        memset(pages, 0x5a, 64 * GUEST_PAGE_SIZE);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        for (unsigned i = 0; i < 64 * GUEST_PAGE_SIZE; i++)
            assert_int_equal(pages[i], 0x5a);
        if (round % 2 == 0) {
            harness_start(&test.harness, false);
        } else {
            uint32_t length;

            harness_wait(&test.harness.queues[1], &length);
            harness_queue_start(&test.harness, 0);
        }
        assert_int_equal(block_test_do(&test, 0, &flush), BLOCK_S_OK);
    }
    block_test_close(&test);
}

// A guest that never lets the device rest does not keep it from hearing the coordinator.
static void a_busy_guest_does_not_drown_the_coordinator(void **state)
{
    const struct block_test_options options = {0};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];
    struct timespec start, end;
    uint64_t at;
    pid_t driver;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 1, GUEST_PAGE_SIZE);
    driver = fork();
    assert_true(driver >= 0);
    if (driver == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0; i < 80; i++)
            offer_page(&test, 0, i, BLOCK_T_IN, i, at);
        for (;;) {
            uint32_t length;
            uint16_t head;

            harness_kick(queue);
            if (harness_poll(queue, &head, &length))
                offer_page(&test, 0, 0, BLOCK_T_IN, 0, at);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned i = 0; i < 50; i++)
        harness_ping(&test.harness);
    clock_gettime(CLOCK_MONOTONIC, &end);
    // Milliseconds each, where nothing else runs; the bound is for a machine that is full.
    assert_true(end.tv_sec - start.tv_sec < 15);
    harness_await_done(&test.harness, harness_post_reset(&test.harness));
    kill(driver, SIGKILL);
    waitpid(driver, NULL, 0);
    block_test_close(&test);
}

// ------------------------------------------------------------------------------ death and after

// Takes what came back: every request once, its slot known by its head.
struct ledger {
    unsigned slot_of[256]; // by head
    unsigned completions[BLOCK_TEST_SLOTS];
};

static void collect(struct block_test *test, struct ledger *ledger, bool wait, unsigned *open)
{
    struct harness_queue *queue = &test->harness.queues[0];

    while (*open > 0) {
        uint32_t length;
        uint16_t head;

        if (wait)
            head = harness_wait(queue, &length);
        else if (!harness_poll(queue, &head, &length))
            return;
        ledger->completions[ledger->slot_of[head]]++;
        assert_int_equal(block_test_status(test, ledger->slot_of[head]), BLOCK_S_OK);
        (*open)--;
    }
}

#define ROUNDS 40u

static void killed_at_any_moment_nothing_is_lost(void **state)
{
    const struct block_test_options options = {.features = F(VIRTIO_F_EVENT_IDX)};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];
    unsigned again = 0;
    uint64_t at;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 1, 80 * GUEST_PAGE_SIZE);
    srandom(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct ledger ledger = {0};
        unsigned open = 80;

        for (unsigned i = 0; i < 80; i++) {
            const struct block_io io = page_io(BLOCK_T_OUT, i, at + i * GUEST_PAGE_SIZE);
            uint16_t head = block_test_chain(&test, 0, i, &io);

            block_test_fill(harness_at(&test.harness, at + i * GUEST_PAGE_SIZE), GUEST_PAGE_SIZE,
                            i * 8, (uint8_t)(round + 1));
            ledger.slot_of[head] = i;
            harness_offer(queue, head);
            if (i % 20 == 19)
                harness_kick(queue);
        }
        for (long spins = random() % 30000; spins > 0; spins--)
            __builtin_ia32_pause();
        collect(&test, &ledger, false, &open);
        harness_kill(&test.harness);
        collect(&test, &ledger, false, &open);
        again += open;
        harness_spawn(&test.harness);
        harness_start(&test.harness, true);
        collect(&test, &ledger, true, &open);
        // Exactly once each, and nothing else.
        for (unsigned i = 0; i < 80; i++)
            assert_int_equal(ledger.completions[i], 1);
        harness_ping(&test.harness);
        assert_int_equal(atomic_load(&queue->used->index), queue->last_used);
        block_test_image_expect(&test, 0, 80 * PAGE_SECTORS, (uint8_t)(round + 1));
    }
    print_message("    %u of %u requests were in flight at the time\n", again, ROUNDS * 80);
    assert_true(again > 0);
    block_test_close(&test);
}

// The coordinator said Start, the process died before it heard: the next one is told to resume what
// never began, or began in another life of the driver.
static void killed_before_it_began(void **state)
{
    const struct block_test_options options = {.not_started = true};
    const struct block_io flush = {.type = BLOCK_T_FLUSH};
    struct block_test test;
    struct harness_queue *queue = &test.harness.queues[0];
    uint32_t length;

    block_test_open(&test, state, &options);
    for (unsigned life = 0; life < 3; life++) {
        harness_offer(queue, block_test_chain(&test, 0, 0, &flush));
        harness_kill(&test.harness);
        harness_spawn(&test.harness);
        harness_start(&test.harness, true);
        harness_wait(queue, &length);
        assert_int_equal(block_test_status(&test, 0), BLOCK_S_OK);
        assert_int_equal(block_test_do(&test, 0, &flush), BLOCK_S_OK);
        harness_reset(&test.harness);
    }
    harness_start(&test.harness, false);
    block_test_close(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST_BOTH(many_requests_at_once),
        BLOCK_TEST_BOTH(more_than_there_is_room_for),
        BLOCK_TEST_BOTH(reset_with_requests_in_flight),
        BLOCK_TEST_BOTH(a_busy_guest_does_not_drown_the_coordinator),
        BLOCK_TEST_BOTH(killed_at_any_moment_nothing_is_lost),
        BLOCK_TEST_BOTH(killed_before_it_began),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
