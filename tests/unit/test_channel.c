// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Promises of the channels: messages and descriptors arrive whole; whatever else a peer sends is
// -EPROTO and leaks nothing; nobody waits for a peer that does not read; what is not in a permit
// table is refused.
#include "ipc/channel.h"
#include "ipc/dispatch.h"
#include "proto/device.pb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct channel left;
static struct channel right;

static int open_pair(void **state)
{
    return channel_pair(&left, &right);
}

static int close_pair(void **state)
{
    channel_destroy(&left);
    channel_destroy(&right);
    return 0;
}

static unsigned open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static const device_ToDevice ping = {
    .which_message = device_ToDevice_ping_tag,
    .message.ping.serial = 77,
};

static int receive(device_ToDevice *message, struct channel_descriptors *descriptors)
{
    return channel_receive(&right, device_ToDevice_fields, message, descriptors, 1);
}

static void a_message_arrives_with_its_descriptors(void **state)
{
    struct channel_descriptors descriptors;
    device_ToDevice message;
    int fds[2];
    int taken;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(channel_send(&left, device_ToDevice_fields, &ping, fds, 2), 0);
    assert_int_equal(receive(&message, &descriptors), 1);
    assert_int_equal(message.which_message, device_ToDevice_ping_tag);
    assert_int_equal(message.message.ping.serial, 77);
    assert_int_equal(descriptors.count, 2);
    taken = channel_take(&descriptors, 0);
    assert_true(taken >= 0);
    assert_true((fcntl(taken, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(channel_take(&descriptors, 0), -1);
    assert_int_equal(channel_take(&descriptors, 9), -1);
    close(taken);
    channel_descriptors_destroy(&descriptors);
    close(fds[0]);
    close(fds[1]);
}

static void a_peer_without_descriptors_to_send_gets_none_in(void **state)
{
    unsigned before = open_descriptors();
    device_ToDevice message;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(channel_send(&left, device_ToDevice_fields, &ping, fds, 2), 0);
    assert_int_equal(channel_send(&left, device_ToDevice_fields, &ping, NULL, 0), 0);
    assert_int_equal(channel_receive(&right, device_ToDevice_fields, &message, NULL, 1), -EPROTO);
    assert_int_equal(channel_receive(&right, device_ToDevice_fields, &message, NULL, 1), 1);
    assert_int_equal(message.message.ping.serial, 77);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(open_descriptors(), before);
    channel_destroy(&left);
    assert_int_equal(channel_receive(&right, device_ToDevice_fields, &message, NULL, 1), 0);
}

static void the_largest_message_arrives(void **state)
{
    device_ToDevice message = {.which_message = device_ToDevice_attach_tag};
    device_ToDevice back;
    struct channel_descriptors descriptors;
    device_Attach *attach = &message.message.attach;

    memset(attach->id, 'x', sizeof(attach->id) - 1);
    attach->regions_count = 4;
    for (int i = 0; i < 4; i++)
        attach->regions[i] = (device_MemoryRegion){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    attach->roles_count = 96;
    for (int i = 0; i < 96; i++)
        attach->roles[i] = device_DescriptorRole_ROLE_RING;
    assert_int_equal(channel_send(&left, device_ToDevice_fields, &message, NULL, 0), 0);
    assert_int_equal(receive(&back, &descriptors), 1);
    assert_int_equal(back.message.attach.roles_count, 96);
    assert_true(back.message.attach.regions[3].size == UINT64_MAX);
}

static void garbage_is_a_breach_and_leaks_no_descriptor(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {
        {"\xff", 1},
        {"\x07\x01", 2},                 // a wire type that does not exist
        {"\x3a\xff\xff\xff\xff\x0f", 6}, // a field of 4 GiB
        {"\x0a\x03\x0a\x7fx", 5},        // a string that is longer than its message
        {"\x0a\x24\x0a\x22"
         "0123456789012345678901234567890123",
         38}, // an id that does not fit
    };
    unsigned before = open_descriptors();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
        struct iovec vector = {(void *)(uintptr_t)cases[i].bytes, cases[i].length};
        struct msghdr header = {.msg_iov = &vector,
                                .msg_iovlen = 1,
                                .msg_control = control.bytes,
                                .msg_controllen = sizeof(control.bytes)};
        struct channel_descriptors descriptors;
        device_ToDevice message;

        memset(CMSG_DATA(&control.header), 0, sizeof(int)); // standard input
        assert_true(sendmsg(left.fd, &header, 0) >= 0);
        assert_int_equal(receive(&message, &descriptors), -EPROTO);
    }
    assert_int_equal(open_descriptors(), before);
}

static void a_packet_that_is_too_long_is_a_breach(void **state)
{
    static char bytes[CHANNEL_PACKET_MAX + 1];
    struct channel_descriptors descriptors;
    device_ToDevice message;

    assert_int_equal(send(left.fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(receive(&message, &descriptors), -EPROTO);
}

static void too_many_descriptors_are_a_breach_and_leak_none(void **state)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * (CHANNEL_DESCRIPTORS_MAX + 4))];
    } control = {
        .header = {CMSG_LEN(sizeof(int) * (CHANNEL_DESCRIPTORS_MAX + 4)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec vector = {(void *)(uintptr_t) "\x3a\x02\x08\x01", 4};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    struct channel_descriptors descriptors;
    device_ToDevice message;
    unsigned before = open_descriptors();

    memset(CMSG_DATA(&control.header), 0, sizeof(int) * (CHANNEL_DESCRIPTORS_MAX + 4));
    assert_true(sendmsg(left.fd, &header, 0) >= 0);
    assert_int_equal(receive(&message, &descriptors), -EPROTO);
    assert_int_equal(open_descriptors(), before);
}

static void a_peer_that_does_not_read_delays_nobody(void **state)
{
    int sent = 0;
    int error;

    while ((error = channel_send(&left, device_ToDevice_fields, &ping, NULL, 0)) == 0)
        assert_true(sent++ < 100000);
    assert_int_equal(error, -EAGAIN);
    assert_true(sent > 10);
}

static void a_peer_that_is_gone_is_noticed(void **state)
{
    struct channel_descriptors descriptors;
    device_ToDevice message;

    channel_destroy(&left);
    assert_int_equal(receive(&message, &descriptors), 0);
    assert_int_equal(channel_send(&right, device_ToDevice_fields, &ping, NULL, 0), -EPIPE);
}

static void nothing_yet_is_no_end(void **state)
{
    struct channel_descriptors descriptors;
    device_ToDevice message;

    assert_int_equal(receive(&message, &descriptors), -EAGAIN);
}

static int note(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    *(unsigned *)owner += ((const device_Ping *)message)->serial;
    return 0;
}

static void only_what_is_in_the_table_is_handled(void **state)
{
    static const struct permit table[] = {
        {device_ToDevice_ping_tag, 1u << 2, 0, 1, "Ping", note},
    };
    struct channel_descriptors none = {.count = 0};
    struct channel_descriptors two = {.count = 2, .fds = {-1, -1}};
    const char *refused;
    unsigned sum = 0;

    assert_int_equal(
        dispatch(table, 1, device_ToDevice_ping_tag, 2, &sum, &ping.message, &none, &refused), 0);
    assert_null(refused);
    assert_int_equal(sum, 77);
    assert_int_equal(
        dispatch(table, 1, device_ToDevice_ping_tag, 1, &sum, &ping.message, &none, &refused),
        -EPROTO);
    assert_non_null(refused);
    assert_int_equal(
        dispatch(table, 1, device_ToDevice_ping_tag, 40, &sum, &ping.message, &none, &refused),
        -EPROTO);
    assert_int_equal(
        dispatch(table, 1, device_ToDevice_ping_tag, 2, &sum, &ping.message, &two, &refused),
        -EPROTO);
    assert_int_equal(
        dispatch(table, 1, device_ToDevice_reset_tag, 2, &sum, &ping.message, &none, &refused),
        -EPROTO);
    assert_int_equal(sum, 77);
}

int main(void)
{
#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
    const struct CMUnitTest tests[] = {
        CHANNEL_TEST(a_message_arrives_with_its_descriptors),
        CHANNEL_TEST(a_peer_without_descriptors_to_send_gets_none_in),
        CHANNEL_TEST(the_largest_message_arrives),
        CHANNEL_TEST(garbage_is_a_breach_and_leaks_no_descriptor),
        CHANNEL_TEST(a_packet_that_is_too_long_is_a_breach),
        CHANNEL_TEST(too_many_descriptors_are_a_breach_and_leak_none),
        CHANNEL_TEST(a_peer_that_does_not_read_delays_nobody),
        CHANNEL_TEST(a_peer_that_is_gone_is_noticed),
        CHANNEL_TEST(nothing_yet_is_no_end),
        CHANNEL_TEST(only_what_is_in_the_table_is_handled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
