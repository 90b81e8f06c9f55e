// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The serial process in its jail: bytes between the rings that it shares with the coordinator and
// its terminal, which is a pair of pipes here.
#include "tests/device/harness.h"

#include "ipc/byte_ring.h"
#include "ipc/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct serial_test {
    struct harness harness;
    struct byte_ring_pair *rings;
    int ring_fd, kick_fd, call_fd; // owned
    int keyboard, screen;          // owned
};

static void open_serial(struct serial_test *test)
{
    struct harness *harness = &test->harness;
    int in[2], out[2];

    harness_init(harness, "serial", 0, 0);
    harness->attach.which_config = device_Attach_serial_tag;
    harness->attach.config.serial.escape = true;
    test->ring_fd = memfd_create("rings", MFD_CLOEXEC);
    test->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    test->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(ftruncate(test->ring_fd, sizeof(*test->rings)), 0);
    test->rings =
        mmap(NULL, sizeof(*test->rings), PROT_READ | PROT_WRITE, MAP_SHARED, test->ring_fd, 0);
    assert_ptr_not_equal(test->rings, MAP_FAILED);
    assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    test->keyboard = in[1];
    test->screen = out[0];
    harness_back_end(harness, device_DescriptorRole_ROLE_KICK, test->kick_fd);
    harness_back_end(harness, device_DescriptorRole_ROLE_CALL, test->call_fd);
    harness_back_end(harness, device_DescriptorRole_ROLE_RING, test->ring_fd);
    harness_back_end(harness, device_DescriptorRole_ROLE_INPUT, in[0]);
    harness_back_end(harness, device_DescriptorRole_ROLE_OUTPUT, out[1]);
    harness_spawn(harness);
    harness_verify(harness);
    close(in[0]);
    close(out[1]);
}

static void close_serial(struct serial_test *test)
{
    harness_ping(&test->harness);
    harness_destroy(&test->harness);
    munmap(test->rings, sizeof(*test->rings));
    close(test->ring_fd);
    close(test->kick_fd);
    close(test->call_fd);
    cleanup_fd(&test->keyboard);
    cleanup_fd(&test->screen);
}

static void await(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    if (poll(&wait, 1, HARNESS_TIMEOUT_MS) != 1)
        fail_msg("nothing came within %d ms", HARNESS_TIMEOUT_MS);
}

// The eventfd of the other side: once, or not at all.
static void signal_fd(int fd)
{
    static const uint64_t one = 1;

    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void clear_fd(int fd)
{
    uint64_t count;

    await(fd);
    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
}

// As the registers do: a full ring is a busy transmitter.
static size_t send_some(struct serial_test *test, const uint8_t *bytes, size_t length)
{
    bool wake = false;
    size_t put;

    if (!byte_ring_has_room(&test->rings->from_guest))
        return 0;
    put = byte_ring_put(&test->rings->from_guest, bytes, length, &wake);
    if (wake)
        signal_fd(test->kick_fd);
    return put;
}

static void all_that_the_guest_sends_comes_out(void **state)
{
    enum { BYTES = 300000 };
    static uint8_t sent[BYTES], got[BYTES];
    struct serial_test test;
    size_t put = 0, read_so_far = 0;

    (void)state;
    open_serial(&test);
    for (size_t i = 0; i < BYTES; i++)
        sent[i] = (uint8_t)(i * 7 + i / 256);
    // More than ring and pipe hold: the reader is slow, then the writer is.
    while (read_so_far < BYTES) {
        ssize_t count;

        put += send_some(&test, sent + put, BYTES - put < 999 ? BYTES - put : 999);
        count = read(test.screen, got + read_so_far, put > BYTES / 2 ? BYTES : 500);
        if (count > 0)
            read_so_far += (size_t)count;
        else if (put == BYTES)
            await(test.screen);
    }
    assert_memory_equal(sent, got, BYTES);
    close_serial(&test);
}

static void typed_bytes_reach_the_guest(void **state)
{
    struct serial_test test;
    uint8_t bytes[32];
    bool wake;

    (void)state;
    open_serial(&test);
    assert_true(byte_ring_sleep(&test.rings->to_guest));
    assert_int_equal(write(test.keyboard, "hello", 5), 5);
    clear_fd(test.call_fd);
    assert_int_equal(byte_ring_get(&test.rings->to_guest, bytes, sizeof(bytes), &wake), 5);
    assert_memory_equal(bytes, "hello", 5);
    close_serial(&test);
}

static void typing_faster_than_the_guest_reads_loses_nothing(void **state)
{
    enum { BYTES = 20000 };
    static uint8_t got[BYTES];
    struct serial_test test;
    size_t count = 0, typed = 0;
    uint8_t byte;

    (void)state;
    open_serial(&test);
    for (; typed < BYTES; typed++) {
        byte = (uint8_t)(typed % 251 + 2);
        assert_int_equal(write(test.keyboard, &byte, 1), 1);
    }
    while (count < BYTES) {
        bool wake = false;

        count += byte_ring_get(&test.rings->to_guest, got + count, BYTES - count, &wake);
        if (wake)
            signal_fd(test.kick_fd);
        if (count < BYTES && byte_ring_sleep(&test.rings->to_guest))
            clear_fd(test.call_fd);
    }
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal(got[i], i % 251 + 2);
    close_serial(&test);
}

static void the_escape_ends_the_vm(void **state)
{
    struct serial_test test;
    device_FromDevice message;

    (void)state;
    open_serial(&test);
    assert_int_equal(write(test.keyboard, "\001x", 2), 2);
    harness_receive(&test.harness, &message);
    assert_int_equal(message.which_message, device_FromDevice_quit_tag);
    close_serial(&test);
}

// Indices that cannot be: the process neither dies nor spins.
static void impossible_indices_are_harmless(void **state)
{
    static const uint32_t heads[] = {BYTE_RING_SIZE + 1, 0x80000000, 0xffffffff, 5};
    struct serial_test test;

    (void)state;
    open_serial(&test);
    for (size_t i = 0; i < array_size(heads); i++) {
        atomic_store(&test.rings->from_guest.head, heads[i]);
        atomic_store(&test.rings->from_guest.tail, i % 2 != 0 ? 0x7fffffff : 0);
        atomic_store(&test.rings->to_guest.head, heads[i]);
        signal_fd(test.kick_fd);
        assert_int_equal(write(test.keyboard, "abc", 3), 3);
        harness_ping(&test.harness);
    }
    close_serial(&test);
}

static long long cpu_nanoseconds(pid_t pid)
{
    struct timespec time;
    clockid_t clock;

    assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &time), 0);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void a_vanished_terminal_costs_nothing(void **state)
{
    static const uint8_t bytes[4096];
    struct serial_test test;
    long long before;

    (void)state;
    open_serial(&test);
    // More than the ring takes, so that some of it waits when the end comes.
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(write(test.keyboard, bytes, 1000), 1000);
    close(steal_fd(&test.keyboard));
    close(steal_fd(&test.screen));
    for (unsigned i = 0; i < 100; i++) {
        send_some(&test, bytes, 1000);
        harness_ping(&test.harness);
    }
    assert_true(byte_ring_has_room(&test.rings->from_guest));
    before = cpu_nanoseconds(test.harness.jailed.pid);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    assert_true(cpu_nanoseconds(test.harness.jailed.pid) - before < 10000000);
    close_serial(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_the_guest_sends_comes_out),
        cmocka_unit_test(typed_bytes_reach_the_guest),
        cmocka_unit_test(typing_faster_than_the_guest_reads_loses_nothing),
        cmocka_unit_test(the_escape_ends_the_vm),
        cmocka_unit_test(impossible_indices_are_harmless),
        cmocka_unit_test(a_vanished_terminal_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
