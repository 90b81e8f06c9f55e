// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The calls that a filter can let through, against what its policy says, and against programs that
// are written to mislead.
#include "ipc/cleanup.h"
#include "jail/policy/builtin.h"
#include "jail/policy/policy.h"
#include "jail/policy/reach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/syscall.h>

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define EQUAL(value, jt, jf) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, jt, jf)
#define END(action) BPF_STMT(BPF_RET | BPF_K, action)

static struct reach reach_of_text(const char *text, unsigned *allowed)
{
    const struct policy_source source = {
        .path = "test", .bytes = text, .length = strlen(text), .sealed = true};
    struct policy *policy = NULL;
    struct policy_program program = {0};
    struct reach reach;

    assert_int_equal(policy_load(&source, &policy, NULL), 0);
    assert_int_equal(policy_compile(policy, NULL, &program, NULL), 0);
    assert_int_equal(reach_of_filter(program.insns, program.count, &reach), 0);
    *allowed = policy_syscalls_allowed(policy);
    policy_program_destroy(&program);
    policy_destroy(policy);
    return reach;
}

static void every_shipped_policy_reaches_what_it_allows(void **state)
{
    size_t count;
    const struct builtin_policy *policies = builtin_policies(&count);

    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        struct policy *policy = NULL;
        struct policy_program program = {0};
        struct reach reach;

        assert_int_equal(policy_load_builtin(policies[i].name, &policy, NULL), 0);
        assert_int_equal(policy_compile(policy, NULL, &program, NULL), 0);
        assert_int_equal(reach_of_filter(program.insns, program.count, &reach), 0);
        if (reach_count(&reach) != policy_syscalls_allowed(policy))
            fail_msg("%s: %u reached, %u allowed", policies[i].name, reach_count(&reach),
                     policy_syscalls_allowed(policy));
        for (size_t rule = 0; rule < policy_rule_count(policy); rule++)
            if (policy_action_permits(policy_rule_at(policy, rule).action))
                assert_true(reach_has(&reach, policy_rule_at(policy, rule).call));
        policy_program_destroy(&program);
        policy_destroy(policy);
    }
}

static void conditions_and_masks_count_once(void **state)
{
    unsigned allowed;
    struct reach reach = reach_of_text("read: 1\n"
                                       "ioctl: arg1 == 0x5401 || arg1 == 0x5413 && arg2 > 7\n"
                                       "mmap: arg2 in 0x3; return EPERM\n"
                                       "openat: return EACCES\n"
                                       "futex: arg1 & 0x80\n",
                                       &allowed);

    assert_int_equal(allowed, 4);
    assert_int_equal(reach_count(&reach), 4);
    assert_true(reach_has(&reach, SYS_ioctl));
    assert_true(reach_has(&reach, SYS_mmap));
    assert_false(reach_has(&reach, SYS_openat));
    assert_false(reach_has(&reach, SYS_write));
}

static void a_list_of_what_is_denied_reaches_the_rest(void **state)
{
    unsigned allowed;
    struct reach all = reach_all();
    struct reach reach =
        reach_of_text("@denylist\nptrace: kill-process\nopenat: return EPERM\n", &allowed);

    assert_int_equal(reach_count(&reach), allowed);
    assert_int_equal(reach_count(&reach), reach_count(&all) - 2);
    assert_false(reach_has(&reach, SYS_ptrace));
}

static void several_filters_let_through_what_all_do(void **state)
{
    unsigned allowed;
    struct reach first = reach_of_text("read: 1\nwrite: 1\n", &allowed);
    struct reach second = reach_of_text("write: arg0 == 1\nclose: 1\n", &allowed);
    struct reach both = reach_both(&first, &second);

    assert_int_equal(reach_count(&both), 1);
    assert_true(reach_has(&both, SYS_write));
}

static struct reach reach_of(const struct sock_filter *program, size_t count)
{
    struct reach reach;

    assert_int_equal(reach_of_filter(program, (unsigned)count, &reach), 0);
    return reach;
}

// The number travels through every register and through scratch memory, and is found at the end.
static void numbers_are_followed_through_registers(void **state)
{
    const struct sock_filter program[] = {
        LOAD(nr),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 5),
        BPF_STMT(BPF_ST, 3),
        BPF_STMT(BPF_LD | BPF_IMM, 0),
        BPF_STMT(BPF_LDX | BPF_MEM, 3),
        BPF_STMT(BPF_MISC | BPF_TXA, 0),
        BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 1),
        EQUAL((SYS_getpid + 5) * 2, 0, 1),
        END(SECCOMP_RET_ALLOW),
        END(SECCOMP_RET_KILL_PROCESS),
    };
    struct reach reach = reach_of(program, array_size(program));

    assert_int_equal(reach_count(&reach), 1);
    assert_true(reach_has(&reach, SYS_getpid));
}

// What is returned comes out of an argument: that may be anything, SECCOMP_RET_ALLOW as well.
static void an_unknown_verdict_counts_as_allowed(void **state)
{
    const struct sock_filter program[] = {
        LOAD(nr),
        EQUAL(SYS_read, 0, 2),
        LOAD(args[0]),
        BPF_STMT(BPF_RET | BPF_A, 0),
        END(SECCOMP_RET_ERRNO),
    };
    struct reach reach = reach_of(program, array_size(program));

    assert_int_equal(reach_count(&reach), 1);
    assert_true(reach_has(&reach, SYS_read));
}

// Many states meet at one place: what they do not know alike is unknown from there on.
static void states_that_meet_are_joined(void **state)
{
    const struct reach all = reach_all();
    struct sock_filter program[64] = {LOAD(args[0])};
    size_t count = 1;
    struct reach reach;

    for (unsigned i = 0; i < 8; i++) { // 8 different values of X arrive at the end
        program[count++] = (struct sock_filter)EQUAL(i, 0, 2);
        program[count++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_IMM, i);
        program[count] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 25 - (unsigned)count - 1);
        count++;
    }
    assert_int_equal(count, 25);
    program[count++] = (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TXA, 0);
    program[count++] = (struct sock_filter)EQUAL(7, 0, 1);
    program[count++] = (struct sock_filter)END(SECCOMP_RET_LOG);
    program[count++] = (struct sock_filter)END(SECCOMP_RET_TRAP);
    reach = reach_of(program, count);
    assert_int_equal(reach_count(&reach), reach_count(&all));
}

static void other_architectures_do_not_count(void **state)
{
    const struct sock_filter program[] = {
        LOAD(arch),
        EQUAL(AUDIT_ARCH_I386, 0, 1),
        END(SECCOMP_RET_ALLOW),
        END(SECCOMP_RET_KILL_PROCESS),
    };
    struct reach reach = reach_of(program, array_size(program));

    assert_int_equal(reach_count(&reach), 0);
}

static void what_is_no_filter_is_refused(void **state)
{
    static const struct sock_filter endless[] = {LOAD(nr)};
    static const struct sock_filter beyond[] = {LOAD(nr), EQUAL(0, 9, 0), END(0)};
    static const struct sock_filter far[] = {BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), END(0)};
    static const struct sock_filter outside[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), END(0)};
    static const struct sock_filter scratch[] = {BPF_STMT(BPF_ST, 16), END(0)};
    static const struct sock_filter modulo[] = {BPF_STMT(BPF_ALU | BPF_MOD, 1), END(0)};
    static const struct {
        const struct sock_filter *insns;
        unsigned count;
    } programs[] = {
        {endless, 1}, {beyond, 3}, {far, 2}, {outside, 2}, {scratch, 2}, {modulo, 2}, {endless, 0},
    };
    struct reach reach;

    for (size_t i = 0; i < array_size(programs); i++)
        assert_int_equal(reach_of_filter(programs[i].insns, programs[i].count, &reach), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shipped_policy_reaches_what_it_allows),
        cmocka_unit_test(conditions_and_masks_count_once),
        cmocka_unit_test(a_list_of_what_is_denied_reaches_the_rest),
        cmocka_unit_test(several_filters_let_through_what_all_do),
        cmocka_unit_test(numbers_are_followed_through_registers),
        cmocka_unit_test(an_unknown_verdict_counts_as_allowed),
        cmocka_unit_test(states_that_meet_are_joined),
        cmocka_unit_test(other_architectures_do_not_count),
        cmocka_unit_test(what_is_no_filter_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
