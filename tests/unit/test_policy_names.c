// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// How arguments are named for people, and values read from them.
#include "jail/policy/parser.h"
#include "jail/policy/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

static void test_arguments_are_named(void **unused)
{
    static const struct {
        unsigned call, argument;
        uint64_t value;
        const char *text;
    } rows[] = {
        {SYS_ioctl, 1, 0x5401, "TCGETS"},
        {SYS_fcntl, 1, 1033, "F_ADD_SEALS"},
        {SYS_fcntl, 1, 1, "F_GETFD"},
        {SYS_mmap, 2, 0, "PROT_NONE"},
        {SYS_mmap, 2, 7, "PROT_READ|PROT_WRITE|PROT_EXEC"},
        {SYS_mmap, 2, 0x103, "PROT_READ|PROT_WRITE|0x100"},
        {SYS_mmap, 3, 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"},
        {SYS_socket, 0, 1, "AF_UNIX"},
        {SYS_socket, 1, 0x80801, "SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK"},
        {SYS_openat, 2, 0x80000, "O_RDONLY|O_CLOEXEC"},
        {SYS_madvise, 2, 4, "MADV_DONTNEED"},
        {SYS_prctl, 0, 1, "PR_SET_PDEATHSIG"},
        {SYS_futex, 1, 0x189, "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME"},
        {SYS_clone, 0, 0x3d0f00,
         "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|"
         "CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID"},
        {SYS_tgkill, 2, 6, "SIGABRT"},
        {SYS_read, 1, 0x7fff0000, "0x7fff0000"},
        {SYS_read, 0, 3, "3"},
    };
    char text[256];

    for (size_t i = 0; i < array_size(rows); i++)
        assert_string_equal(
            policy_argument_text(rows[i].call, rows[i].argument, rows[i].value, text, sizeof(text)),
            rows[i].text);
}

static void test_values_of_the_command_line(void **unused)
{
    uint64_t value;

    assert_int_equal(policy_parse_value("PROT_READ|PROT_WRITE", &value), 0);
    assert_int_equal(value, 3);
    assert_int_equal(policy_parse_value("~0", &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(policy_parse_value("", &value), -EINVAL);
    assert_int_equal(policy_parse_value("1 || 2", &value), -EINVAL);
    assert_int_equal(policy_parse_value("NO_SUCH_THING", &value), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments_are_named),
        cmocka_unit_test(test_values_of_the_command_line),
    };

    return cmocka_run_group_tests_name("policy: names of arguments", tests, NULL, NULL);
}
