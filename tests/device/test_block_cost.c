// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What a request costs the block process, counted by the kernel (ptrace).
#include "tests/device/block_fixture.h"

#include "ipc/cleanup.h"

#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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
    const struct block_test_options options = {.features = UINT64_C(1) << VIRTIO_F_EVENT_IDX};
    struct call_count count = {0};
    struct block_test test;
    uint64_t at;
    int pipe_fds[2];
    pid_t driver;

    block_test_open(&test, state, &options);
    at = harness_buffer(&test.harness, 1, GUEST_PAGE_SIZE);
    block_test_image_fill(&test, 0, BLOCK_TEST_SECTORS, 1);
    const struct block_io io = {
        .type = BLOCK_T_IN,
        .data = {{.address = at, .length = GUEST_PAGE_SIZE, .writable = true}},
        .count = 1,
    };
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
        cmocka_unit_test_prestate(a_request_costs_three_system_calls, &block_test_uring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
