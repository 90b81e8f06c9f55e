// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Policies in the kernel: every action does what it says, and every rule of every built-in policy
// is tried in a process under its filter, with arguments that it allows and with arguments one step
// outside. A second filter turns calls that the policy lets through into an error of its own, so
// that nothing is really carried out: the kernel takes the stricter of two verdicts.
#include "ipc/cleanup.h"
#include "jail/policy/builtin.h"
#include "jail/policy/policy.h"
#include "jail/policy/witness.h"

#include <errno.h>
#include <linux/audit.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PASSED_ERROR 1234 // what a call gives that the policy lets through

// What a child found, in memory shared with its parent.
struct report {
    volatile long result;
    volatile bool returned;
};

static long raw_call(long number, const uint64_t arguments[POLICY_ARGUMENTS])
{
    register uint64_t r10 __asm__("r10") = arguments[3];
    register uint64_t r8 __asm__("r8") = arguments[4];
    register uint64_t r9 __asm__("r9") = arguments[5];
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]),
                       "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static void install(const struct sock_filter *insns, unsigned short count)
{
    struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)(uintptr_t)insns};

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        _exit(99);
}

// All but the installation of the filter behind it.
static const struct sock_filter catcher[] = {
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_seccomp},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | PASSED_ERROR},
};

// Makes one call in a child under the filter; returns its wait status.
static int try_call(const struct sock_filter *insns, unsigned short count, long number,
                    const uint64_t arguments[POLICY_ARGUMENTS], struct report *report)
{
    int status = 0;
    pid_t child;

    report->result = 0;
    report->returned = false;
    child = fork();
    if (child == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); // no core files
        signal(SIGILL, SIG_DFL);
        install(catcher, array_size(catcher));
        install(insns, count);
        report->result = raw_call(number, arguments);
        report->returned = true;
        __builtin_trap();
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 99);
    return status;
}

static struct report *shared_report(void)
{
    void *page = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(page, MAP_FAILED);
    return page;
}

static void expect_call(const struct policy_program *program, const char *what, long number,
                        const uint64_t arguments[POLICY_ARGUMENTS], uint32_t action)
{
    static struct report *report;
    int status;
    bool right;

    if (!report)
        report = shared_report();
    status = try_call(program->insns, program->count, number, arguments, report);
    switch (action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_USER_NOTIF:
        right = report->returned && report->result == -PASSED_ERROR;
        break;
    case SECCOMP_RET_ERRNO:
        // Of two errors the kernel takes that of the filter installed last.
        right = report->returned && report->result == -(long)(action & SECCOMP_RET_DATA);
        break;
    default:
        right = !report->returned && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
        break;
    }
    if (!right)
        print_error("%s: call %ld(%llx, %llx, %llx): action 0x%x, status 0x%x, result %ld\n", what,
                    number, (unsigned long long)arguments[0], (unsigned long long)arguments[1],
                    (unsigned long long)arguments[2], action, (unsigned)status, report->result);
    assert_true(right);
}

// One ruling of a call: arguments for which it decides.
static bool try_ruling(const char *name, const struct policy_program *program, unsigned call,
                       const struct rulings *rulings, size_t index)
{
    struct question question _cleanup_(question_clear) = {0};
    uint64_t arguments[POLICY_ARGUMENTS];

    question_require(&question, &rulings->list[index].clause);
    assert_int_equal(question_exclude_before(&question, rulings, index), 0);
    if (question_answer(&question, arguments) != WITNESS_FOUND)
        return false;
    expect_call(program, name, call, arguments, rulings->list[index].action);
    return true;
}

static void try_policy(const struct builtin_policy *builtin)
{
    struct policy_program program = {.insns = (struct sock_filter *)(uintptr_t)builtin->insns,
                                     .count = builtin->count};
    static const unsigned strange[] = {SYS_ptrace, SYS_openat, SYS_execve, SYS_mprotect,
                                       SYS_clone3};
    uint64_t arguments[POLICY_ARGUMENTS] = {0};
    struct policy *policy = NULL;

    assert_int_equal(policy_load_builtin(builtin->name, &policy, NULL), 0);
    for (size_t i = 0; i < policy->call_count; i++) {
        unsigned call = policy->calls[i].number;
        struct rulings rulings _cleanup_(rulings_clear) = {0};

        assert_int_equal(rulings_collect(&rulings, policy, call), 0);
        for (size_t k = 0; k < rulings.count; k++) {
            bool tried = try_ruling(builtin->name, &program, call, &rulings, k);

            // Each condition can hold, or it would be unneeded.
            assert_true(tried);
        }
    }
    for (size_t i = 0; i < array_size(strange); i++)
        if (!policy_find_call(policy, strange[i]))
            expect_call(&program, builtin->name, strange[i], arguments, SECCOMP_RET_KILL_PROCESS);
    policy_destroy(policy);
}

static void test_every_rule_of_every_builtin_policy(void **unused)
{
    size_t count;
    const struct builtin_policy *policies = builtin_policies(&count);

    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        try_policy(&policies[i]);
}

static void compile(const char *text, const struct policy_options *options,
                    struct policy_program *program)
{
    struct policy_source source = {.bytes = text, .length = strlen(text), .sealed = true};
    struct policy *policy = NULL;

    assert_int_equal(policy_load(&source, &policy, NULL), 0);
    assert_int_equal(policy_compile(policy, options, program, NULL), 0);
    policy_destroy(policy);
}

static void test_every_action(void **unused)
{
    static const char text[] = "getuid: 1\n"
                               "geteuid: log\n"
                               "getgid: return EXDEV\n"
                               "getegid: kill-process\n"
                               "getppid: kill-thread\n"
                               "getpgrp: trap\n"
                               "getpid: trace\n"
                               "gettid: user-notify\n"
                               "dup: arg0 >= 5 && arg0 < 7 && arg0 != 6; return EXDEV\n";
    static const struct {
        long number;
        uint32_t action;
    } rows[] = {
        {SYS_getuid, SECCOMP_RET_ALLOW},         {SYS_geteuid, SECCOMP_RET_LOG},
        {SYS_getgid, SECCOMP_RET_ERRNO | EXDEV}, {SYS_getegid, SECCOMP_RET_KILL_PROCESS},
        {SYS_getppid, SECCOMP_RET_KILL_THREAD},  {SYS_getpgrp, SECCOMP_RET_TRAP},
        {SYS_getsid, SECCOMP_RET_KILL_PROCESS},
    };
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    uint64_t arguments[POLICY_ARGUMENTS] = {0};

    compile(text, NULL, &program);
    for (size_t i = 0; i < array_size(rows); i++)
        expect_call(&program, "actions", rows[i].number, arguments, rows[i].action);
    for (unsigned fd = 4; fd < 8; fd++) {
        arguments[0] = fd;
        expect_call(&program, "ranges", SYS_dup, arguments,
                    fd == 5 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EXDEV);
    }
    // The same number in the upper half is another number.
    arguments[0] = 0x100000005;
    expect_call(&program, "upper half", SYS_dup, arguments, SECCOMP_RET_ERRNO | EXDEV);
}

// Without a tracer or a listener the kernel answers ENOSYS: that shows which verdict it was.
static void test_trace_and_user_notify(void **unused)
{
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    uint64_t arguments[POLICY_ARGUMENTS] = {0};
    struct report *report = shared_report();
    static const struct sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    static const long numbers[] = {SYS_getpid, SYS_gettid, SYS_getuid};
    static const long results[] = {-ENOSYS, -ENOSYS, -ENOSYS};

    compile("getpid: trace\ngettid: user-notify\n@default user-notify", NULL, &program);
    for (size_t i = 0; i < array_size(numbers); i++) {
        pid_t child;
        int status;

        report->returned = false;
        child = fork();
        if (child == 0) {
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
            signal(SIGILL, SIG_DFL);
            install(allow, 1);
            install(program.insns, program.count);
            report->result = raw_call(numbers[i], arguments);
            report->returned = true;
            __builtin_trap();
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(report->returned);
        assert_int_equal(report->result, results[i]);
    }
    munmap(report, sizeof(*report));
}

static void test_audit_mode_lets_violations_go_on(void **unused)
{
    struct policy_options options = {.violation = POLICY_VIOLATION_LOG};
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    uint64_t arguments[POLICY_ARGUMENTS] = {0};

    compile("getuid: 1\ngetgid: return EXDEV\ngetegid: kill", &options, &program);
    expect_call(&program, "audit", SYS_getuid, arguments, SECCOMP_RET_ALLOW);
    expect_call(&program, "audit", SYS_getgid, arguments, SECCOMP_RET_ERRNO | EXDEV);
    expect_call(&program, "audit", SYS_getegid, arguments, SECCOMP_RET_LOG);
    expect_call(&program, "audit", SYS_getppid, arguments, SECCOMP_RET_LOG);
    // But not for calls of the x32 ABI.
    expect_call(&program, "audit, x32", SYS_getuid | 0x40000000, arguments,
                SECCOMP_RET_KILL_PROCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_action),
        cmocka_unit_test(test_trace_and_user_notify),
        cmocka_unit_test(test_audit_mode_lets_violations_go_on),
        cmocka_unit_test(test_every_rule_of_every_builtin_policy),
    };

    return cmocka_run_group_tests_name("policy: in the kernel", tests, NULL, NULL);
}
