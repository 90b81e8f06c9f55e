// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The vCPU threads' orders, on the scripted hypervisor: nothing waits for a vCPU, every park is
// told once, and all vCPUs are reset before any of them runs.
#include "vcpu/vcpu.h"

#include "tests/unit/scripted_hypervisor.h"

// The group first, as cmocka wants it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define CPUS 8u
#define PATIENCE_MS 20000

static struct {
    struct hypervisor *hypervisor;
    struct bus bus;
    pthread_mutex_t lock;
    struct machine_host host;
    struct vcpus_setup setup;
    struct vcpus *vcpus;
    unsigned resets_asked; // under the lock
    _Atomic unsigned failures;
    _Atomic unsigned locked_down;
    int lock_down_result;
    char detail[96];
    unsigned writes; // under the lock
    bool early;      // an access came before all vCPUs were reset
} test;

static const struct boot_state boot = {.entry = 0x1000};

static void write_window(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    test.writes++;
    for (unsigned i = 0; i < test.setup.count; i++)
        test.early |= test.hypervisor->vcpus[i].resets == 0;
}

static uint64_t read_window(void *context, uint64_t offset, unsigned length)
{
    return 0x55;
}

static const struct bus_ops window_ops = {"test", read_window, write_window};

static void on_event(void *context, enum machine_event event)
{
    test.resets_asked += event == MACHINE_EVENT_RESET;
}

static void on_failed(void *context, unsigned index, const char *detail)
{
    snprintf(test.detail, sizeof(test.detail), "%u: %s", index, detail);
    test.failures++;
}

static int lock_down(int filter_fd)
{
    assert_int_equal(filter_fd, 77);
    test.locked_down++;
    return test.lock_down_result;
}

static int set_up(void **state)
{
    const struct bus_window window = {.start = 0x80, .size = 8, .ops = &window_ops};

    memset(&test, 0, sizeof(test));
    pthread_mutex_init(&test.lock, NULL);
    test.hypervisor = scripted_hypervisor();
    test.host = (struct machine_host){.event = on_event, .hypervisor = test.hypervisor};
    test.setup = (struct vcpus_setup){
        .hypervisor = test.hypervisor,
        .count = CPUS,
        .bus = &test.bus,
        .lock = &test.lock,
        .host = &test.host,
        .parked_fd = eventfd(0, EFD_NONBLOCK),
        .filter_fd = 77,
        .lock_down = lock_down,
        .failed = on_failed,
    };
    return bus_add(&test.bus, EXIT_PIO, &window);
}

static int tear_down(void **state)
{
    close(test.setup.parked_fd);
    return 0;
}

static void wait_parked(void)
{
    struct pollfd wait = {.fd = test.setup.parked_fd, .events = POLLIN};
    uint64_t count;

    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    assert_int_equal(read(test.setup.parked_fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    assert_true(vcpus_parked(test.vcpus));
}

static void create(void)
{
    assert_int_equal(vcpus_create(&test.setup, &test.vcpus), 0);
    wait_parked();
}

static void park(void)
{
    vcpus_park(test.vcpus);
    wait_parked();
}

static void wait_for(const _Atomic unsigned *counter, unsigned value)
{
    const struct timespec pause = {.tv_nsec = 100000};

    for (unsigned i = 0; *counter < value; i++) {
        assert_true(i < PATIENCE_MS * 10);
        nanosleep(&pause, NULL);
    }
}

static void threads_lock_down_then_park(void **state)
{
    create();
    assert_int_equal(test.locked_down, CPUS);
    assert_int_equal(test.hypervisor->vcpus[0].resets, 0);
    vcpus_destroy(test.vcpus);
}

static void a_thread_that_cannot_lock_down_runs_nothing(void **state)
{
    test.lock_down_result = -EACCES;
    test.setup.count = 1;
    assert_int_equal(vcpus_create(&test.setup, &test.vcpus), 0);
    wait_for(&test.failures, 1);
    assert_false(vcpus_parked(test.vcpus));
    assert_int_equal(vcpus_start(test.vcpus, &boot), -EBUSY);
    assert_string_equal(test.detail, "0: cannot lock a vCPU thread down: Permission denied");
    vcpus_destroy(test.vcpus);
}

static void counts_out_of_range_are_refused(void **state)
{
    test.setup.count = 0;
    assert_int_equal(vcpus_create(&test.setup, &test.vcpus), -EINVAL);
    test.setup.count = VCPUS_MAX + 1;
    assert_int_equal(vcpus_create(&test.setup, &test.vcpus), -EINVAL);
}

static void park_and_resume_do_not_reset(void **state)
{
    create();
    assert_int_equal(vcpus_start(test.vcpus, &boot), 0);
    for (unsigned i = 1; i <= 500; i++) {
        assert_int_equal(vcpus_resume(test.vcpus), -EBUSY);
        vcpus_park(test.vcpus);
        vcpus_park(test.vcpus);
        wait_parked();
        vcpus_park(test.vcpus); // they stand still: nothing is told
        assert_int_equal(vcpus_resume(test.vcpus), 0);
    }
    park();
    assert_int_equal(test.hypervisor->resets, 1);
    for (unsigned i = 0; i < CPUS; i++)
        assert_int_equal(test.hypervisor->vcpus[i].resets, 1);
    assert_int_equal(test.failures, 0);
    vcpus_destroy(test.vcpus);
}

// However soon the next order comes.
static void a_start_that_a_park_overtakes_is_a_start(void **state)
{
    create();
    for (unsigned i = 1; i <= 500; i++) {
        assert_int_equal(vcpus_start(test.vcpus, &boot), 0);
        park();
        for (unsigned cpu = 0; cpu < CPUS; cpu++)
            assert_int_equal(test.hypervisor->vcpus[cpu].resets, i);
    }
    vcpus_destroy(test.vcpus);
}

// Each vCPU's first act is an access, which looks whether all have been reset.
static void all_are_reset_before_one_runs(void **state)
{
    static uint8_t data[8];
    const struct vcpu_exit write = {
        .kind = EXIT_ACCESS,
        .access = {.space = EXIT_PIO, .address = 0x80, .length = 1, .write = true, .data = data}};

    for (unsigned round = 0; round < 50; round++) {
        test.hypervisor = scripted_hypervisor();
        for (unsigned i = 0; i < CPUS; i++) {
            test.hypervisor->vcpus[i].exits = &write;
            test.hypervisor->vcpus[i].count = 1;
        }
        create();
        assert_int_equal(vcpus_start(test.vcpus, &boot), 0);
        for (unsigned i = 0; i < CPUS; i++)
            wait_for(&test.hypervisor->vcpus[i].played, 1);
        park();
        assert_int_equal(test.writes, (round + 1) * CPUS);
        assert_false(test.early);
        vcpus_destroy(test.vcpus);
    }
}

static void reads_are_answered(void **state)
{
    static uint8_t data[2][8];
    const struct vcpu_exit reads[] = {
        {.kind = EXIT_ACCESS, .access = {EXIT_PIO, 0x80, 1, false, data[0]}},
        {.kind = EXIT_ACCESS, .access = {EXIT_MMIO, 0x80, 4, false, data[1]}},
    };

    test.hypervisor->vcpus[0].exits = reads;
    test.hypervisor->vcpus[0].count = 2;
    create();
    assert_int_equal(vcpus_start(test.vcpus, &boot), 0);
    wait_for(&test.hypervisor->vcpus[0].played, 2);
    park();
    assert_int_equal(data[0][0], 0x55);
    assert_memory_equal(data[1], "\xff\xff\xff\xff\0\0\0\0", 8);
    vcpus_destroy(test.vcpus);
}

static void a_triple_fault_asks_for_a_reset_and_waits(void **state)
{
    const struct vcpu_exit halted[] = {{.kind = EXIT_HALTED}, {.kind = EXIT_HALTED}};

    test.hypervisor->vcpus[3].exits = halted;
    test.hypervisor->vcpus[3].count = 2;
    create();
    assert_int_equal(vcpus_start(test.vcpus, &boot), 0);
    wait_for(&test.hypervisor->vcpus[3].played, 1);
    park();
    assert_int_equal(test.resets_asked, 1);
    assert_int_equal(vcpus_start(test.vcpus, &boot), 0);
    wait_for(&test.hypervisor->vcpus[3].played, 2);
    park();
    assert_int_equal(test.resets_asked, 2);
    vcpus_destroy(test.vcpus);
}

static void what_a_vcpu_cannot_do_is_told(void **state)
{
    const struct vcpu_exit failed = {.kind = EXIT_FAILED, .detail = "it is broken"};

    test.hypervisor->vcpus[2].exits = &failed;
    test.hypervisor->vcpus[2].count = 1;
    create();
    assert_int_equal(vcpus_start(test.vcpus, &boot), 0);
    wait_for(&test.failures, 1);
    assert_string_equal(test.detail, "2: it is broken");
    park();
    test.hypervisor->vcpus[1].fail_reset = -EIO;
    assert_int_equal(vcpus_start(test.vcpus, &boot), 0);
    wait_for(&test.failures, 2);
    assert_string_equal(test.detail, "1: cannot reset the vCPU: Input/output error");
    park();
    vcpus_destroy(test.vcpus);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(threads_lock_down_then_park),
        TEST(a_thread_that_cannot_lock_down_runs_nothing),
        TEST(counts_out_of_range_are_refused),
        TEST(park_and_resume_do_not_reset),
        TEST(a_start_that_a_park_overtakes_is_a_start),
        TEST(all_are_reset_before_one_runs),
        TEST(reads_are_answered),
        TEST(a_triple_fault_asks_for_a_reset_and_waits),
        TEST(what_a_vcpu_cannot_do_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
