// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A block device under load and through its changes of state: many requests, many queues, reset
// while requests are in flight, and death at any moment, after which a new process does what the
// old one had taken and not given back.
#include "tests/device/block_fixture.h"

#include "ipc/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
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
    for (unsigned round = 0; round < 60; round++) {
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
    print_message("    %u of %u requests were in flight at the time\n", again, 60 * 80);
    assert_true(again > 0);
    block_test_close(&test);
}

// ----------------------------------------------------------------------------- the system calls

// Follows the process with ptrace for a while; counts calls of its main thread by number.
struct call_count {
    pid_t pid;
    unsigned calls[512];
    unsigned total;
};

static void follow(struct call_count *count, int until_fd)
{
    bool entry = false;

    for (;;) {
        struct pollfd done = {.fd = until_fd, .events = POLLIN};
        struct user_info {
            unsigned char op, pad[3];
            uint32_t arch;
            uint64_t instruction, stack, number, arguments[6];
        } info;
        int status;
        pid_t pid = waitpid(count->pid, &status, __WALL | WNOHANG);

        if (pid == 0) {
            if (poll(&done, 1, 0) == 1)
                return;
            continue;
        }
        assert_true(pid == count->pid && WIFSTOPPED(status));
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            entry = !entry;
            // PTRACE_GET_SYSCALL_INFO; op 1 is an entry.
            if (ptrace((enum __ptrace_request)0x420e, pid, sizeof(info), &info) > 0 &&
                info.op == 1 && info.number < array_size(count->calls)) {
                count->calls[info.number]++;
                count->total++;
            }
        }
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
    }
}

// One thousand reads, one after the other, each kicked and each interrupted for: three system calls
// (the wait, the transfer, the interrupt), and no others.
static void a_request_costs_three_system_calls(void **state)
{
    enum { REQUESTS = 1000 };
    const struct block_test_options options = {.features = F(VIRTIO_F_EVENT_IDX)};
    struct call_count count = {0};
    struct block_test test;
    uint64_t at;
    int pipe_fds[2];
    pid_t driver;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 1, GUEST_PAGE_SIZE);
    block_test_image_fill(&test, 0, BLOCK_TEST_SECTORS, 1);
    const struct block_io io = page_io(BLOCK_T_IN, 3, at);
    assert_int_equal(block_test_do(&test, 0, &io), BLOCK_S_OK);
    assert_int_equal(pipe(pipe_fds), 0);
    count.pid = test.harness.jailed.pid;
    assert_int_equal(
        ptrace(PTRACE_SEIZE, count.pid, NULL, (void *)(uintptr_t)PTRACE_O_TRACESYSGOOD), 0);
    assert_int_equal(ptrace(PTRACE_INTERRUPT, count.pid, NULL, NULL), 0);
    assert_int_equal(waitpid(count.pid, NULL, __WALL), count.pid);
    driver = fork();
    assert_true(driver >= 0);
    if (driver == 0) {
        for (unsigned i = 0; i < REQUESTS; i++)
            if (block_test_do(&test, 0, &io) != BLOCK_S_OK)
                _exit(1);
        _exit(write(pipe_fds[1], "", 1) == 1 ? 0 : 1);
    }
    ptrace(PTRACE_SYSCALL, count.pid, NULL, NULL);
    follow(&count, pipe_fds[0]);
    print_message("    %u calls for %u requests:", count.total, REQUESTS);
    for (unsigned i = 0; i < array_size(count.calls); i++)
        if (count.calls[i] > 0)
            print_message(" %u of %u,", count.calls[i], i);
    print_message("\n");
    // A few more where a thread of the test was slow, and the process had gone to sleep meanwhile.
    assert_true(count.total <= 3 * REQUESTS + REQUESTS / 50);
    assert_true(count.calls[SYS_write] <= REQUESTS + REQUESTS / 100);
    kill(driver, SIGKILL);
    waitpid(driver, NULL, 0);
    harness_kill(&test.harness);
    harness_destroy(&test.harness);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    close(test.image_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST_BOTH(many_requests_at_once),
        BLOCK_TEST_BOTH(more_than_there_is_room_for),
        BLOCK_TEST_BOTH(reset_with_requests_in_flight),
        BLOCK_TEST_BOTH(killed_at_any_moment_nothing_is_lost),
        cmocka_unit_test_prestate(a_request_costs_three_system_calls, &block_test_uring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
