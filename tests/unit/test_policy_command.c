// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// `bulkhead policy` as its users see it: output and exit statuses of every verb.
#include "ipc/cleanup.h"

#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char program[512], folder[64], output[65536];

static int set_up(void **unused)
{
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 32);
    char *slash;

    if (length <= 0)
        return -1;
    // build/test/unit/X finds build/bulkhead.
    for (unsigned i = 0; i < 3; i++) {
        slash = strrchr(program, '/');
        if (!slash)
            return -1;
        *slash = '\0';
    }
    snprintf(slash, sizeof(program) - (size_t)(slash - program), "/bulkhead");
    snprintf(folder, sizeof(folder), "/tmp/bulkhead-policy-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int clean_up(void **unused)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

// Runs `bulkhead policy ARGUMENTS` in the folder; both outputs go to `output`. The exit status.
__attribute__((format(printf, 1, 2))) static int policy(const char *format, ...)
{
    char arguments[512], command[1280];
    va_list list;
    size_t length;
    FILE *pipe;

    va_start(list, format);
    vsnprintf(arguments, sizeof(arguments), format, list);
    va_end(list);
    snprintf(command, sizeof(command), "cd '%s' && '%s' policy %s 2>&1", folder, program,
             arguments);
    pipe = popen(command, "re");
    assert_non_null(pipe);
    length = fread(output, 1, sizeof(output) - 1, pipe);
    output[length] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    out = fopen(path, "we");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static void expect_output(const char *part)
{
    if (!strstr(output, part))
        print_error("'%s' is not in:\n%s\n", part, output);
    assert_non_null(strstr(output, part));
}

static void test_check(void **unused)
{
    write_file("good.policy", "read: 1 # reads\nwrite: arg0 == 1 # writes\n");
    write_file("wrong.policy", "raed: 1\n");
    write_file("danger.policy", "openat: 1\n");
    assert_int_equal(policy("check good.policy"), 0);
    assert_string_equal(output, "good.policy: 2 system calls allowed, 13 BPF instructions\n");
    assert_int_equal(policy("check --strict --reasons good.policy"), 0);
    assert_int_equal(policy("check wrong.policy"), 1);
    expect_output("wrong.policy:1:1: error: unknown system call 'raed'");
    expect_output("did you mean 'read'?");
    assert_int_equal(policy("check danger.policy"), 0);
    expect_output("danger.policy:1:9: warning: dangerous: 'openat'");
    assert_int_equal(policy("check --strict danger.policy"), 1);
    assert_int_equal(policy("check good.policy wrong.policy"), 1);
    expect_output("good.policy: 2 system calls");
    assert_int_equal(policy("check missing.policy"), 1);
    expect_output("missing.policy: error: cannot read this policy: No such file or directory");
    assert_int_equal(policy("check"), 2);
    assert_int_equal(policy("check --nonsense good.policy"), 2);
    assert_int_equal(policy("check --json good.policy wrong.policy"), 1);
    expect_output("[{\"file\": \"good.policy\", \"errors\": 0, \"warnings\": 0, "
                  "\"system_calls_allowed\": 2, \"instructions\": 13, \"diagnostics\": []}");
    expect_output(
        "\"severity\": \"error\", \"file\": \"wrong.policy\", \"line\": 1, \"column\": 1");
}

static void test_compile(void **unused)
{
    struct sock_filter first;
    char path[128];
    FILE *in;

    write_file("good.policy", "read: 1\n");
    assert_int_equal(policy("compile good.policy -o out.bpf"), 0);
    snprintf(path, sizeof(path), "%s/out.bpf", folder);
    in = fopen(path, "re");
    assert_non_null(in);
    assert_int_equal(fread(&first, sizeof(first), 1, in), 1);
    assert_int_equal(first.code, BPF_LD | BPF_W | BPF_ABS);
    assert_int_equal(fseek(in, 0, SEEK_END), 0);
    assert_int_equal(ftell(in) % (long)sizeof(first), 0);
    fclose(in);
    assert_int_equal(policy("compile --disassemble good.policy"), 0);
    expect_output("; read");
    assert_int_equal(policy("compile --disassemble --on-violation log good.policy"), 0);
    expect_output("; LOG");
    assert_int_equal(policy("compile good.policy"), 2);
    assert_int_equal(policy("compile --on-violation cry --disassemble good.policy"), 2);
    assert_int_equal(policy("compile good.policy -o /nowhere/out"), 1);
    expect_output("cannot write the filter to /nowhere/out");
    assert_int_equal(policy("compile good.policy -o /dev/full"), 1);
}

static void test_simulate(void **unused)
{
    write_file("rules.policy", "ioctl: arg1 == TCGETS # terminal\nopen: return ENOENT\n");
    assert_int_equal(policy("simulate rules.policy --syscall ioctl --arg 1=TCGETS"), 0);
    expect_output("ALLOW\nby: rules.policy:1: ioctl: arg1 == TCGETS -> ALLOW  # terminal\n");
    assert_int_equal(policy("simulate rules.policy --syscall 16 --arg 1=0x5402"), 0);
    expect_output("KILL_PROCESS\nby: the default of rules.policy, as no rule for ioctl matches\n");
    assert_int_equal(policy("simulate rules.policy --syscall open"), 0);
    expect_output("ERRNO ENOENT\nby: rules.policy:2: ");
    assert_int_equal(policy("simulate rules.policy --syscall open --arch aarch64"), 0);
    expect_output("KILL_PROCESS\nby: calls of other architectures");
    assert_int_equal(policy("simulate rules.policy --syscall open --arch x32"), 0);
    expect_output("KILL_PROCESS\n");
    assert_int_equal(policy("simulate --json rules.policy --syscall open"), 0);
    expect_output("{\"verdict\": \"ERRNO ENOENT\"");
    assert_int_equal(policy("simulate rules.policy --syscall oepn"), 2);
    assert_int_equal(policy("simulate rules.policy --syscall open --arg 6=1"), 2);
    assert_int_equal(policy("simulate rules.policy --syscall open --arg 1=x"), 2);
    assert_int_equal(policy("simulate rules.policy --syscall open --arch pdp11"), 2);
    assert_int_equal(policy("simulate rules.policy"), 2);
}

static void test_explain(void **unused)
{
    write_file("part.policy", "fcntl: arg1 == F_GETFL # asks\n");
    write_file("whole.policy", "@include ./part.policy\nfcntl: arg1 == F_SETFL; return EPERM\n");
    assert_int_equal(policy("explain whole.policy fcntl"), 0);
    assert_string_equal(output, "fcntl (system call 72) under whole.policy:\n"
                                "  part.policy:1: ALLOW if arg1 == F_GETFL\n"
                                "      why: asks\n"
                                "  whole.policy:2: ALLOW if arg1 == F_SETFL\n"
                                "      why: (no comment says)\n"
                                "  whole.policy:2: otherwise ERRNO EPERM\n"
                                "      why: (no comment says)\n");
    assert_int_equal(policy("explain whole.policy ptrace"), 0);
    expect_output("no rule: KILL_PROCESS, the default");
    assert_int_equal(policy("explain builtin:rng getrandom"), 0);
    expect_output("the random bytes");
    assert_int_equal(policy("explain whole.policy"), 2);
    assert_int_equal(policy("explain missing.policy read"), 1);
}

static void test_diff(void **unused)
{
    write_file("old.policy", "read: 1\nioctl: arg1 == TCGETS\n");
    write_file("same.policy", "ioctl: arg1 in TCGETS && arg1 >= 0x5401\nread: allow\n");
    write_file("more.policy", "read: 1\nioctl: arg1 == TCGETS || arg1 == TCSETS\n");
    assert_int_equal(policy("diff old.policy same.policy"), 0);
    assert_string_equal(output, "");
    assert_int_equal(policy("diff old.policy more.policy"), 1);
    assert_string_equal(output,
                        "+ ioctl: ALLOW, was KILL_PROCESS for example with arg1 == TCSETS\n");
    assert_int_equal(policy("diff more.policy old.policy"), 0);
    assert_string_equal(output,
                        "- ioctl: KILL_PROCESS, was ALLOW for example with arg1 == TCSETS\n");
    assert_int_equal(policy("diff --json old.policy more.policy"), 1);
    expect_output("{\"kind\": \"allowed\", \"call\": \"ioctl\", \"before\": \"KILL_PROCESS\", "
                  "\"after\": \"ALLOW\", \"example\": {\"arg1\": \"TCSETS\"}}");
    assert_int_equal(policy("diff old.policy missing.policy"), 2);
    assert_int_equal(policy("diff old.policy"), 2);
}

static void test_show_and_help(void **unused)
{
    assert_int_equal(policy("show"), 0);
    expect_output("rng");
    expect_output("system calls allowed");
    assert_int_equal(policy("show rng"), 0);
    expect_output("getrandom: 1");
    assert_int_equal(policy("show nothing"), 1);
    assert_int_equal(policy("--help"), 0);
    expect_output("simulate");
    assert_int_equal(policy("dance"), 2);
    assert_int_equal(policy(" "), 2);
    assert_int_equal(policy("show rng > /dev/full"), 1);
}

static void test_policy_directories(void **unused)
{
    char command[256];

    snprintf(command, sizeof(command), "mkdir -p '%s/parts'", folder);
    assert_int_equal(system(command), 0);
    write_file("parts/common.policy", "read: 1\n");
    write_file("user.policy", "@include common.policy\n");
    assert_int_equal(policy("check user.policy"), 1);
    expect_output("cannot read 'common.policy'");
    assert_int_equal(policy("check --policy-dir parts user.policy"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_compile),
        cmocka_unit_test(test_simulate),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_show_and_help),
        cmocka_unit_test(test_policy_directories),
    };

    return cmocka_run_group_tests_name("policy: the command", tests, set_up, clean_up);
}
