// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Compiled filters: the same bytes every time, hot calls first, foreign calls refused, the kernel's
// limits kept. And the machine that runs them here: what the kernel would refuse, it refuses.
#include "ipc/cleanup.h"
#include "jail/policy/builtin.h"
#include "jail/policy/policy.h"
#include "jail/policy/simulate.h"

#include <errno.h>
#include <linux/audit.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

static int compile(const char *text, const struct policy_options *options,
                   struct policy_program *program)
{
    struct policy_source source = {
        .path = "test.policy", .bytes = text, .length = strlen(text), .sealed = true};
    struct policy *policy = NULL;
    int error;

    assert_int_equal(policy_load(&source, &policy, NULL), 0);
    error = policy_compile(policy, options, program, NULL);
    policy_destroy(policy);
    return error;
}

static uint32_t run(const struct policy_program *program, uint32_t architecture, int call,
                    unsigned *steps)
{
    struct seccomp_data data = {.nr = call, .arch = architecture};
    uint32_t action = 0;

    assert_int_equal(bpf_simulate(program->insns, program->count, &data, &action, steps), 0);
    return action;
}

static unsigned steps_to(const struct policy_program *program, int call)
{
    unsigned steps = 0;

    run(program, AUDIT_ARCH_X86_64, call, &steps);
    return steps;
}

static void test_the_same_policy_gives_the_same_bytes(void **unused)
{
    size_t count;
    const struct builtin_policy *policies = builtin_policies(&count);

    for (size_t i = 0; i < count; i++) {
        struct policy_program program _cleanup_(policy_program_destroy) = {0};

        assert_int_equal(compile(policies[i].text, NULL, &program), 0);
        assert_int_equal(program.count, policies[i].count);
        assert_memory_equal(program.insns, policies[i].insns,
                            program.count * sizeof(*program.insns));
        assert_int_equal(program.syscalls_allowed, policies[i].syscalls_allowed);
    }
}

static void test_foreign_calls_are_killed_in_every_mode(void **unused)
{
    static const char *const texts[] = {"read: 1", "read: arg0 > 1 && arg0 < 3; return EPERM",
                                        "@denylist\nwrite: return EPERM", "@default log"};

    for (size_t i = 0; i < array_size(texts); i++) {
        for (enum policy_violation mode = 0; mode <= POLICY_VIOLATION_NOTIFY; mode++) {
            struct policy_options options = {.violation = mode, .error = EPERM};
            struct policy_program program _cleanup_(policy_program_destroy) = {0};

            assert_int_equal(compile(texts[i], &options, &program), 0);
            assert_int_equal(run(&program, AUDIT_ARCH_I386, SYS_read, NULL),
                             SECCOMP_RET_KILL_PROCESS);
            assert_int_equal(run(&program, AUDIT_ARCH_AARCH64, 63, NULL), SECCOMP_RET_KILL_PROCESS);
            assert_int_equal(run(&program, AUDIT_ARCH_X86_64, SYS_read | 0x40000000, NULL),
                             SECCOMP_RET_KILL_PROCESS);
            assert_int_equal(run(&program, AUDIT_ARCH_X86_64, (int)0x80000000, NULL),
                             SECCOMP_RET_KILL_PROCESS);
        }
    }
}

static void test_violations_take_the_chosen_form(void **unused)
{
    static const struct {
        enum policy_violation violation;
        uint32_t action;
    } rows[] = {
        {POLICY_VIOLATION_AS_WRITTEN, SECCOMP_RET_KILL_PROCESS},
        {POLICY_VIOLATION_LOG, SECCOMP_RET_LOG},
        {POLICY_VIOLATION_TRAP, SECCOMP_RET_TRAP},
        {POLICY_VIOLATION_ERRNO, SECCOMP_RET_ERRNO | EPERM},
        {POLICY_VIOLATION_NOTIFY, SECCOMP_RET_USER_NOTIF},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        struct policy_options options = {.violation = rows[i].violation, .error = EPERM};
        struct policy_program program _cleanup_(policy_program_destroy) = {0};

        assert_int_equal(compile("read: 1\nwrite: return ENOSYS\ndup: kill", &options, &program),
                         0);
        assert_int_equal(run(&program, AUDIT_ARCH_X86_64, SYS_read, NULL), SECCOMP_RET_ALLOW);
        assert_int_equal(run(&program, AUDIT_ARCH_X86_64, SYS_write, NULL),
                         SECCOMP_RET_ERRNO | ENOSYS);
        assert_int_equal(run(&program, AUDIT_ARCH_X86_64, SYS_dup, NULL), rows[i].action);
        assert_int_equal(run(&program, AUDIT_ARCH_X86_64, SYS_close, NULL), rows[i].action);
    }
}

static void test_calls_are_tested_in_the_order_of_their_lines(void **unused)
{
    struct policy_program program _cleanup_(policy_program_destroy) = {0};

    assert_int_equal(compile("writev: 1\nread: 1\nepoll_wait: 1\ndup: 1", NULL, &program), 0);
    assert_true(steps_to(&program, SYS_writev) < steps_to(&program, SYS_read));
    assert_true(steps_to(&program, SYS_read) < steps_to(&program, SYS_epoll_wait));
    assert_true(steps_to(&program, SYS_epoll_wait) < steps_to(&program, SYS_dup));
    // Architecture, x32, the call itself, the verdict.
    assert_true(steps_to(&program, SYS_writev) <= 6);
}

static void many_calls(char *text, size_t size, unsigned from, unsigned to)
{
    size_t length = strlen(text);

    for (unsigned call = from; call < to; call++)
        if (policy_call_name(call))
            length +=
                (size_t)snprintf(text + length, size - length, "%s: 1\n", policy_call_name(call));
}

static void test_many_calls_become_a_tree(void **unused)
{
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    char text[16384] = "";

    many_calls(text, sizeof(text), 0, 200);
    assert_int_equal(compile(text, NULL, &program), 0);
    assert_int_equal(program.syscalls_allowed, 200);
    for (int call = 0; call < 200; call++) {
        assert_int_equal(run(&program, AUDIT_ARCH_X86_64, call, NULL), SECCOMP_RET_ALLOW);
        assert_true(steps_to(&program, call) <= 20);
    }
    assert_int_equal(run(&program, AUDIT_ARCH_X86_64, 200, NULL), SECCOMP_RET_KILL_PROCESS);
}

static void test_frequent_calls_come_first(void **unused)
{
    char folder[] = "/tmp/bulkhead-policy-XXXXXX", path[64], frequency[64], text[16384];
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    struct policy_source source = {.path = path};
    struct policy *policy = NULL;
    FILE *out;

    assert_non_null(mkdtemp(folder));
    snprintf(frequency, sizeof(frequency), "%s/hot.frequency", folder);
    out = fopen(frequency, "we");
    fputs("ioctl: 1000\nepoll_wait: 900000\nread: 5000\n", out);
    fclose(out);
    snprintf(path, sizeof(path), "%s/main.policy", folder);
    snprintf(text, sizeof(text), "@frequency ./hot.frequency\n");
    many_calls(text, sizeof(text), 0, 16);
    many_calls(text, sizeof(text), 17, 260);
    out = fopen(path, "we");
    fputs(text, out);
    fputs("ioctl: arg1 == 1\n", out);
    fclose(out);
    assert_int_equal(policy_load(&source, &policy, NULL), 0);
    assert_int_equal(policy_compile(policy, NULL, &program, NULL), 0);
    assert_true(steps_to(&program, SYS_epoll_wait) <= 6);
    assert_true(steps_to(&program, SYS_read) <= 7);
    // Four more look at both halves of its argument.
    assert_true(steps_to(&program, SYS_ioctl) <= 12);
    assert_true(steps_to(&program, SYS_pipe) > 20);
    policy_destroy(policy);
    remove(path);
    remove(frequency);
    remove(folder);
}

static void test_filters_beyond_the_kernels_limit_are_refused(void **unused)
{
    static char text[400000];
    struct policy_program program = {0};
    struct policy_diagnostics diagnostics = {0};
    struct policy_source source = {.path = "test.policy", .bytes = text, .sealed = true};
    struct policy *policy = NULL;
    size_t length = (size_t)snprintf(text, sizeof(text), "ioctl: arg1 > 0 && arg1 != 2");

    for (unsigned i = 0; i < 2000; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length,
                                   "\nioctl: arg1 > %u && arg1 < %u", i * 10, i * 10 + 5);
    source.length = length;
    assert_int_equal(policy_load(&source, &policy, &diagnostics), 0);
    assert_int_equal(policy_compile(policy, NULL, &program, &diagnostics), -E2BIG);
    assert_null(program.insns);
    assert_non_null(strstr(diagnostics.entries[0].message, "4096"));
    policy_destroy(policy);
    policy_diagnostics_clear(&diagnostics);
}

// Jumps are 8 bits wide: far targets need a step between.
static void test_long_conditions_jump_far(void **unused)
{
    static char text[60000];
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    size_t length = (size_t)snprintf(text, sizeof(text), "ioctl: arg0 == 1 && (arg1 == 0");

    for (unsigned i = 1; i < 500; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, " || arg1 == %u", i * 3);
    snprintf(text + length, sizeof(text) - length, "); return EPERM");
    assert_int_equal(compile(text, NULL, &program), 0);
    for (unsigned i = 0; i < 1500; i++) {
        struct seccomp_data data = {.nr = SYS_ioctl, .arch = AUDIT_ARCH_X86_64, .args = {1, i}};
        uint32_t action = 0;

        assert_int_equal(bpf_simulate(program.insns, program.count, &data, &action, NULL), 0);
        assert_int_equal(action, i % 3 ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW);
        data.args[0] = 2;
        assert_int_equal(bpf_simulate(program.insns, program.count, &data, &action, NULL), 0);
        assert_int_equal(action, SECCOMP_RET_ERRNO | EPERM);
    }
}

static void test_the_simulator_refuses_what_the_kernel_would(void **unused)
{
    static const struct sock_filter programs[][2] = {
        {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 64}, {BPF_RET | BPF_K, 0, 0, 0}}, // behind the data
        {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 2}, {BPF_RET | BPF_K, 0, 0, 0}},  // not aligned
        {{BPF_LD | BPF_H | BPF_ABS, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 0}},  // half a word
        {{BPF_LD | BPF_W | BPF_IND, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 0}},
        {{BPF_JMP | BPF_JA, 0, 0, 1}, {BPF_RET | BPF_K, 0, 0, 0}},
        {{BPF_JMP | BPF_JA, 0, 0, 0xffffffff}, {BPF_RET | BPF_K, 0, 0, 0}},
        {{BPF_JMP | BPF_JEQ | BPF_K, 5, 5, 0}, {BPF_RET | BPF_K, 0, 0, 0}},
        {{BPF_ST, 0, 0, BPF_MEMWORDS}, {BPF_RET | BPF_K, 0, 0, 0}},
        {{BPF_LD | BPF_MEM, 0, 0, BPF_MEMWORDS}, {BPF_RET | BPF_K, 0, 0, 0}},
        {{BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 0}},
        {{BPF_LD | BPF_IMM, 0, 0, 0}, {BPF_LD | BPF_IMM, 0, 0, 0}}, // no verdict
        {{BPF_ALU | 0xf0, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 0}},
        {{BPF_JMP | 0xf0, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 0}},
    };
    struct seccomp_data data = {0};
    uint32_t action;

    for (size_t i = 0; i < array_size(programs); i++)
        assert_int_equal(bpf_simulate(programs[i], 2, &data, &action, NULL), -EINVAL);
    assert_int_equal(bpf_simulate(programs[0], 0, &data, &action, NULL), -EINVAL);
}

static void test_the_simulator_calculates_as_the_kernel_does(void **unused)
{
    static const struct sock_filter program[] = {
        {BPF_LD | BPF_W | BPF_LEN, 0, 0, 0}, // 64
        {BPF_ALU | BPF_ADD | BPF_K, 0, 0, 36},
        {BPF_MISC | BPF_TAX, 0, 0, 0}, // X = 100
        {BPF_ALU | BPF_MUL | BPF_K, 0, 0, 3},
        {BPF_ALU | BPF_SUB | BPF_X, 0, 0, 0}, // 200
        {BPF_ST, 0, 0, 3},
        {BPF_ALU | BPF_XOR | BPF_K, 0, 0, 0xff}, // 55
        {BPF_ALU | BPF_LSH | BPF_K, 0, 0, 4},
        {BPF_ALU | BPF_RSH | BPF_K, 0, 0, 3}, // 110
        {BPF_ALU | BPF_OR | BPF_K, 0, 0, 1},  // 111
        {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x7e},
        {BPF_ALU | BPF_DIV | BPF_K, 0, 0, 10}, // 11
        {BPF_LDX | BPF_MEM, 0, 0, 3},
        {BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0}, // 211
        {BPF_RET | BPF_A, 0, 0, 0},
    };
    struct seccomp_data data = {0};
    uint32_t action = 0;
    unsigned steps = 0;

    assert_int_equal(bpf_simulate(program, array_size(program), &data, &action, &steps), 0);
    assert_int_equal(action, 211);
    assert_int_equal(steps, array_size(program));
}

static void test_disassembly_names_what_it_tests(void **unused)
{
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_int_equal(compile("ioctl: arg1 > 1 && arg1 < 4; return EPERM\nread: 1", NULL, &program),
                     0);
    bpf_disassemble(program.insns, program.count, out);
    fclose(out);
    assert_non_null(strstr(text, "; architecture"));
    assert_non_null(strstr(text, "; ioctl"));
    assert_non_null(strstr(text, "; read"));
    assert_non_null(strstr(text, "; arg1, upper half"));
    assert_non_null(strstr(text, "; ERRNO EPERM"));
    assert_non_null(strstr(text, "; KILL_PROCESS"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_policy_gives_the_same_bytes),
        cmocka_unit_test(test_foreign_calls_are_killed_in_every_mode),
        cmocka_unit_test(test_violations_take_the_chosen_form),
        cmocka_unit_test(test_calls_are_tested_in_the_order_of_their_lines),
        cmocka_unit_test(test_many_calls_become_a_tree),
        cmocka_unit_test(test_frequent_calls_come_first),
        cmocka_unit_test(test_filters_beyond_the_kernels_limit_are_refused),
        cmocka_unit_test(test_long_conditions_jump_far),
        cmocka_unit_test(test_the_simulator_refuses_what_the_kernel_would),
        cmocka_unit_test(test_the_simulator_calculates_as_the_kernel_does),
        cmocka_unit_test(test_disassembly_names_what_it_tests),
    };

    return cmocka_run_group_tests_name("policy: filters", tests, NULL, NULL);
}
