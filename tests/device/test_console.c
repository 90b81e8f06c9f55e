// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The console process in its jail, with two ports whose terminals are pipes: bytes both ways in
// their order, ports announced, slow and vanished partners, a driver that breaks the rules.
#include "tests/device/harness.h"

#include "devices/console/protocol.h"
#include "ipc/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RX0, TX0, CONTROL_RX, CONTROL_TX, RX1, TX1, QUEUES };

struct console_test {
    struct harness harness;
    int keyboard[2]; // what we type, per port; owned
    int screen[2];   // what the guest says, per port; owned
    int theirs[4];   // owned
};

static void open_console(struct console_test *test)
{
    struct harness *harness = &test->harness;

    harness_init(harness, "console", QUEUES, 64);
    harness->attach.which_config = device_Attach_console_tag;
    harness->attach.config.console = (device_ConsoleConfig){
        .ports = 2,
        .columns = 80,
        .rows = 25,
        .inputs = 3,
        .outputs = 3,
        .escapes = 1,
    };
    for (unsigned port = 0; port < 2; port++) {
        int in[2], out[2];

        assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
        test->theirs[2 * port] = in[0];
        test->theirs[2 * port + 1] = out[1];
        test->keyboard[port] = in[1];
        test->screen[port] = out[0];
        harness_back_end(harness, device_DescriptorRole_ROLE_INPUT, in[0]);
        harness_back_end(harness, device_DescriptorRole_ROLE_OUTPUT, out[1]);
    }
    harness_spawn(harness);
    harness_verify(harness);
    for (unsigned i = 0; i < 4; i++)
        close(steal_fd(&test->theirs[i]));
    harness_start(harness, false);
}

static void close_console(struct console_test *test)
{
    harness_ping(&test->harness);
    harness_destroy(&test->harness);
    for (unsigned port = 0; port < 2; port++) {
        cleanup_fd(&test->keyboard[port]);
        cleanup_fd(&test->screen[port]);
    }
}

// Reads exactly `length` bytes of the screen.
static void read_screen(struct console_test *test, unsigned port, uint8_t *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        struct pollfd wait = {.fd = test->screen[port], .events = POLLIN};
        ssize_t got;

        if (poll(&wait, 1, HARNESS_TIMEOUT_MS) != 1)
            fail_msg("%zu of %zu bytes came", done, length);
        got = read(test->screen[port], bytes + done, length - done);
        assert_true(got > 0);
        done += (size_t)got;
    }
}

static void the_guests_bytes_come_out(void **state)
{
    static const unsigned tx[] = {TX0, TX1};
    struct console_test test;
    uint64_t at;

    (void)state;
    open_console(&test);
    at = harness_buffer(&test.harness, 1, 8192);
    for (unsigned i = 0; i < 8192; i++)
        *(uint8_t *)harness_at(&test.harness, at + i) = (uint8_t)(i * 13);
    for (unsigned port = 0; port < 2; port++) {
        struct harness_queue *queue = &test.harness.queues[tx[port]];
        const struct harness_piece pieces[] = {{at, 5, false}, {at + 100, 4000, false}};
        uint8_t bytes[4005];

        assert_int_equal(harness_request(queue, harness_chain(queue, pieces, 2)), 0);
        read_screen(&test, port, bytes, sizeof(bytes));
        assert_memory_equal(bytes, harness_at(&test.harness, at), 5);
        assert_memory_equal(bytes + 5, harness_at(&test.harness, at + 100), 4000);
    }
    close_console(&test);
}

// More than the pipe holds: the rest waits, in order, and nothing is lost.
static void a_slow_reader_is_waited_for(void **state)
{
    enum { CHAINS = 60, BYTES = 4096 };
    struct console_test test;
    struct harness_queue *queue = &test.harness.queues[TX0];
    static uint8_t bytes[BYTES];
    uint64_t at;
    uint32_t length;

    (void)state;
    open_console(&test);
    at = harness_buffer(&test.harness, 0, CHAINS * BYTES);
    for (unsigned i = 0; i < CHAINS; i++) {
        memset(harness_at(&test.harness, at + i * BYTES), (int)(i + 1), BYTES);
        harness_offer(
            queue, harness_chain(queue, &(struct harness_piece){at + i * BYTES, BYTES, false}, 1));
    }
    harness_kick(queue);
    // The other port is not held up.
    harness_request(
        &test.harness.queues[TX1],
        harness_chain(&test.harness.queues[TX1], &(struct harness_piece){at, 1, false}, 1));
    assert_true((uint16_t)queue->used->index < CHAINS);
    for (unsigned i = 0; i < CHAINS; i++) {
        read_screen(&test, 0, bytes, BYTES);
        for (unsigned j = 0; j < BYTES; j++)
            assert_int_equal(bytes[j], i + 1);
    }
    for (unsigned i = 0; i < CHAINS; i++)
        harness_wait(queue, &length);
    close_console(&test);
}

static void typed_bytes_reach_the_guest(void **state)
{
    struct console_test test;
    struct harness_queue *queue = &test.harness.queues[RX0];
    uint64_t at;
    uint32_t length, sum = 0;

    (void)state;
    open_console(&test);
    at = harness_buffer(&test.harness, 0, 4096);
    // Typed before there is a buffer: it waits.
    assert_int_equal(write(test.keyboard[0], "hello", 5), 5);
    harness_ping(&test.harness);
    harness_offer(queue, harness_chain(queue, &(struct harness_piece){at, 3, true}, 1));
    harness_offer(queue, harness_chain(queue, &(struct harness_piece){at + 3, 100, true}, 1));
    harness_kick(queue);
    harness_wait(queue, &length);
    assert_int_equal(length, 3);
    harness_wait(queue, &length);
    assert_int_equal(length, 2);
    assert_memory_equal(harness_at(&test.harness, at), "hello", 5);
    for (sum = 0; sum < 6; sum += length) {
        harness_offer(queue, harness_chain(queue, &(struct harness_piece){at + sum, 100, true}, 1));
        harness_kick(queue);
        if (sum == 0)
            assert_int_equal(write(test.keyboard[0], "world!", 6), 6);
        harness_wait(queue, &length);
    }
    assert_memory_equal(harness_at(&test.harness, at), "world!", 6);
    close_console(&test);
}

static void the_escape_ends_the_vm_where_it_is_on(void **state)
{
    struct console_test test;
    device_FromDevice message;
    uint64_t at;
    uint32_t length;

    (void)state;
    open_console(&test);
    at = harness_buffer(&test.harness, 0, 4096);
    for (unsigned port = 0; port < 2; port++) {
        struct harness_queue *queue = &test.harness.queues[port == 0 ? RX0 : RX1];

        harness_offer(queue, harness_chain(queue, &(struct harness_piece){at, 100, true}, 1));
        harness_kick(queue);
    }
    // Port 1 has no escape: the bytes are the guest's.
    assert_int_equal(write(test.keyboard[1], "\001x", 2), 2);
    harness_wait(&test.harness.queues[RX1], &length);
    assert_int_equal(length, 2);
    harness_ping(&test.harness);
    assert_int_equal(write(test.keyboard[0], "\001x", 2), 2);
    harness_receive(&test.harness, &message);
    assert_int_equal(message.which_message, device_FromDevice_quit_tag);
    close_console(&test);
}

static void expect_event(struct console_test *test, uint64_t at, uint32_t id, uint16_t event)
{
    struct console_control got;
    uint32_t length;

    harness_wait(&test->harness.queues[CONTROL_RX], &length);
    assert_int_equal(length, sizeof(got));
    memcpy(&got, harness_at(&test->harness, at), sizeof(got));
    assert_int_equal(got.id, id);
    assert_int_equal(got.event, event);
    assert_int_equal(got.value, 1);
}

static void tell(struct console_test *test, uint64_t at, uint32_t id, uint16_t event)
{
    const struct console_control message = {.id = id, .event = event, .value = 1};
    struct harness_queue *queue = &test->harness.queues[CONTROL_TX];

    memcpy(harness_at(&test->harness, at), &message, sizeof(message));
    harness_request(queue,
                    harness_chain(queue, &(struct harness_piece){at, sizeof(message), false}, 1));
}

static void ports_are_announced(void **state)
{
    struct console_test test;
    struct harness_queue *events = &test.harness.queues[CONTROL_RX];
    uint64_t at;

    (void)state;
    open_console(&test);
    at = harness_buffer(&test.harness, 0, 4096);
    for (unsigned i = 0; i < 4; i++)
        harness_offer(events,
                      harness_chain(events, &(struct harness_piece){at + i * 64, 64, true}, 1));
    harness_kick(events);
    tell(&test, at + 1024, 0, CONSOLE_DEVICE_READY);
    expect_event(&test, at, 0, CONSOLE_DEVICE_ADD);
    expect_event(&test, at + 64, 1, CONSOLE_DEVICE_ADD);
    // A port that does not exist is not answered, one that does twice.
    tell(&test, at + 1024, 2, CONSOLE_PORT_READY);
    tell(&test, at + 1024, UINT32_MAX, CONSOLE_PORT_READY);
    tell(&test, at + 1024, 1, CONSOLE_PORT_READY);
    expect_event(&test, at + 128, 1, CONSOLE_CONSOLE_PORT);
    expect_event(&test, at + 192, 1, CONSOLE_PORT_OPEN);
    close_console(&test);
}

// A driver that asks a thousand times and takes no answer.
static void questions_without_buffers_are_bounded(void **state)
{
    struct console_test test;
    struct harness_queue *events = &test.harness.queues[CONTROL_RX];
    unsigned answers = 0;
    uint64_t at;
    uint32_t length;
    uint16_t head;

    (void)state;
    open_console(&test);
    at = harness_buffer(&test.harness, 0, 4096);
    for (unsigned i = 0; i < 1000; i++)
        tell(&test, at, 0, CONSOLE_DEVICE_READY);
    harness_ping(&test.harness);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 64; i++)
            harness_offer(events, harness_chain(events, &(struct harness_piece){at, 64, true}, 1));
        harness_kick_always(events);
        harness_ping(&test.harness);
        harness_ping(&test.harness);
        while (harness_poll(events, &head, &length))
            answers++;
        harness_queue_reset(&test.harness, CONTROL_RX);
        harness_queue_start(&test.harness, CONTROL_RX);
    }
    assert_true(answers > 0 && answers <= 64);
    close_console(&test);
}

static long long cpu_nanoseconds(pid_t pid)
{
    struct timespec time;
    clockid_t clock;

    assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &time), 0);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

// Terminals that are gone: output vanishes, the guest goes on, and no time is spent on them.
static void vanished_terminals_cost_nothing(void **state)
{
    struct console_test test;
    struct harness_queue *queue = &test.harness.queues[TX0];
    long long before;
    uint64_t at;

    (void)state;
    open_console(&test);
    at = harness_buffer(&test.harness, 0, 4096);
    assert_int_equal(write(test.keyboard[0], "never read by the guest", 23), 23);
    for (unsigned port = 0; port < 2; port++) {
        close(steal_fd(&test.keyboard[port]));
        close(steal_fd(&test.screen[port]));
    }
    for (unsigned i = 0; i < 10; i++)
        harness_request(queue, harness_chain(queue, &(struct harness_piece){at, 4096, false}, 1));
    harness_ping(&test.harness);
    before = cpu_nanoseconds(test.harness.jailed.pid);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    assert_true(cpu_nanoseconds(test.harness.jailed.pid) - before < 10000000);
    close_console(&test);
}

static void broken_rings_stop_only_their_queue(void **state)
{
    struct console_test test;
    uint64_t at;

    (void)state;
    open_console(&test);
    at = harness_buffer(&test.harness, 0, 4096);
    for (unsigned i = 0; i < QUEUES; i++) {
        struct harness_queue *queue = &test.harness.queues[i];
        struct harness_queue *other = &test.harness.queues[i == TX1 ? TX0 : TX1];

        if (i == RX0 || i == RX1) // is looked at when there is something to give
            assert_int_equal(write(test.keyboard[i == RX0 ? 0 : 1], "x", 1), 1);
        if (i == CONTROL_RX)
            tell(&test, at, 0, CONSOLE_DEVICE_READY);
        harness_offer(queue, queue->size);
        harness_kick_always(queue);
        harness_await_fault(&test.harness, i);
        harness_request(other, harness_chain(other, &(struct harness_piece){at, 1, false}, 1));
        harness_reset(&test.harness);
        harness_start(&test.harness, false);
    }
    close_console(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guests_bytes_come_out),
        cmocka_unit_test(a_slow_reader_is_waited_for),
        cmocka_unit_test(typed_bytes_reach_the_guest),
        cmocka_unit_test(the_escape_ends_the_vm_where_it_is_on),
        cmocka_unit_test(ports_are_announced),
        cmocka_unit_test(questions_without_buffers_are_bounded),
        cmocka_unit_test(vanished_terminals_cost_nothing),
        cmocka_unit_test(broken_rings_stop_only_their_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
