// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// libseccomp's part of a filter: the calls that it expresses exactly.
#include "jail/policy/compile.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>

#define TREE_ABOVE 16 // calls from which libseccomp's binary tree beats a list
#define LIBRARY_CLAUSES_MAX 256

// libseccomp does not take user notification for its default, and its API level depends on the
// running kernel. The filter must not: this stands in for it until the program is made.
#define NOTIFY_STAND_IN (SECCOMP_RET_TRACE | 0x7e57U)

static const enum scmp_compare comparisons[OP_COUNT] = {
    [OP_EQUAL] = SCMP_CMP_EQ,          [OP_NOT_EQUAL] = SCMP_CMP_NE,
    [OP_LESS] = SCMP_CMP_LT,           [OP_LESS_EQUAL] = SCMP_CMP_LE,
    [OP_GREATER] = SCMP_CMP_GT,        [OP_GREATER_EQUAL] = SCMP_CMP_GE,
    [OP_ANY_BIT] = SCMP_CMP_MASKED_EQ, [OP_INSIDE] = SCMP_CMP_MASKED_EQ,
};

static bool expressible_atom(const struct atom *atom)
{
    if (atom->op == OP_ANY_BIT)
        return __builtin_popcountll(atom->value) == 1;
    // An empty mask is a test of nothing.
    return atom->op != OP_INSIDE || atom->value != UINT64_MAX;
}

// One test of each argument, each of which libseccomp has.
static bool expressible_clause(const struct clause *clause)
{
    unsigned seen = 0;

    for (unsigned i = 0; i < clause->count; i++) {
        const struct atom *atom = &clause->atoms[i];

        if ((seen & 1U << atom->argument) || !expressible_atom(atom))
            return false;
        seen |= 1U << atom->argument;
    }
    return true;
}

// libseccomp 2.5.4 is quick and right for one condition of several tests, and for a choice of
// values of one argument. For more its time can grow exponentially, and several ranges of one
// argument
// (`arg3 <= 0x7fffffff || arg3 > 0x100000000`) come out wider than asked for.
static bool expressible(const struct clauses *clauses)
{
    const struct atom *first = &clauses->list[0].atoms[0];

    for (size_t i = 0; i < clauses->count; i++) {
        const struct clause *clause = &clauses->list[i];

        if (!expressible_clause(clause))
            return false;
        if (clauses->count > 1 && (clause->count > 1 || clause->atoms[0].op != OP_EQUAL ||
                                   clause->atoms[0].argument != first->argument))
            return false;
    }
    return true;
}

// The call's conditions as clauses that all lead to one action, while the rest gets the default.
// 1: so it is; 0: it must be compiled here; negative: no memory.
static int library_clauses(const struct compiler *compiler, const struct call *call,
                           struct clauses *clauses)
{
    uint32_t action;
    int error = 0;

    if (call->count == 0)
        return 1;
    if (policy_last_action(compiler->policy, compiler->options, call) != compiler->default_action)
        return 0;
    action = compiler_action(compiler, compiler_rule(compiler, call, 0));
    if (action == compiler->default_action)
        return 0;
    for (uint32_t i = 0; i < call->count && error == 0; i++) {
        const struct rule *rule = compiler_rule(compiler, call, i);

        if (compiler_action(compiler, rule) != action)
            return 0;
        error = clauses_append(clauses, compiler->policy, rule->root);
    }
    if (error == -ENOMEM)
        return error;
    return error == 0 && clauses->count <= LIBRARY_CLAUSES_MAX && expressible(clauses);
}

static uint32_t library_action(uint32_t action)
{
    return action == SECCOMP_RET_USER_NOTIF ? NOTIFY_STAND_IN : action;
}

static struct scmp_arg_cmp library_comparison(const struct atom *atom)
{
    struct scmp_arg_cmp comparison = {
        .arg = atom->argument, .op = comparisons[atom->op], .datum_a = atom->value};

    if (atom->op == OP_ANY_BIT)
        comparison.datum_b = atom->value;
    if (atom->op == OP_INSIDE)
        comparison.datum_a = ~atom->value;
    return comparison;
}

static int add_clause(scmp_filter_ctx filter, const struct call *call, uint32_t action,
                      const struct clause *clause)
{
    struct scmp_arg_cmp comparisons_of_call[POLICY_ARGUMENTS];
    int error;

    for (unsigned i = 0; i < clause->count; i++)
        comparisons_of_call[i] = library_comparison(&clause->atoms[i]);
    error = seccomp_rule_add_exact_array(filter, action, (int)call->number, clause->count,
                                         comparisons_of_call);
    // The same condition twice.
    return error == -EEXIST ? 0 : error;
}

// 1: the library has taken the call; 0: it is for us.
static int add_library_call(const struct compiler *compiler, scmp_filter_ctx filter,
                            const struct call *call)
{
    struct clauses clauses _cleanup_(clauses_clear) = {0};
    struct clause none = {0};
    uint32_t action = policy_last_action(compiler->policy, compiler->options, call);
    int result = library_clauses(compiler, call, &clauses);

    if (result <= 0)
        return result;
    if (call->count == 0) {
        result = add_clause(filter, call, library_action(action), &none);
        return result < 0 ? result : 1;
    }
    action = library_action(compiler_action(compiler, compiler_rule(compiler, call, 0)));
    for (size_t i = 0; i < clauses.count; i++) {
        result = add_clause(filter, call, action, &clauses.list[i]);
        if (result < 0)
            return result;
    }
    return 1;
}

static int set_up_library(const struct compiler *compiler, scmp_filter_ctx filter)
{
    bool tree = compiler->count > TREE_ABOVE && compiler->policy->frequency_count == 0;
    int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, tree ? 2 : 1);
    for (size_t i = 0; i < compiler->count && error == 0; i++)
        error = seccomp_syscall_priority(filter, (int)compiler->calls[i]->number,
                                         (uint8_t)(i < 255 ? 255 - i : 0));
    return error;
}

static int fill_library(struct compiler *compiler, scmp_filter_ctx filter)
{
    int error = set_up_library(compiler, filter);

    for (size_t i = 0; i < compiler->count && error == 0; i++) {
        int taken = add_library_call(compiler, filter, compiler->calls[i]);

        compiler->ours[i] = taken == 0;
        error = taken < 0 ? taken : 0;
    }
    return error;
}

static int read_program(int fd, struct policy_program *out)
{
    off_t size = lseek(fd, 0, SEEK_END);
    size_t count = size > 0 ? (size_t)size / sizeof(struct sock_filter) : 0;

    if (size < 0)
        return -errno;
    if (count == 0 || count > BPF_MAXINSNS)
        return -E2BIG;
    out->insns = calloc(count, sizeof(*out->insns));
    if (!out->insns)
        return -ENOMEM;
    if (pread(fd, out->insns, count * sizeof(*out->insns), 0) !=
        (ssize_t)(count * sizeof(*out->insns)))
        return -EIO;
    out->count = (unsigned short)count;
    for (size_t i = 0; i < count; i++)
        if (out->insns[i].code == (BPF_RET | BPF_K) && out->insns[i].k == NOTIFY_STAND_IN)
            out->insns[i].k = SECCOMP_RET_USER_NOTIF;
    return 0;
}

int compile_library(struct compiler *compiler, struct policy_program *out)
{
    scmp_filter_ctx filter;
    int fd _cleanup_fd_
    = memfd_create("policy", MFD_CLOEXEC);
    int error;

    if (fd < 0)
        return -errno;
    // What this kernel can do is asked when the filter is installed, not here.
    seccomp_api_set(6);
    filter = seccomp_init(library_action(compiler->default_action));
    if (!filter)
        return -ENOMEM;
    error = fill_library(compiler, filter);
    if (error == 0)
        error = seccomp_export_bpf(filter, fd);
    seccomp_release(filter);
    return error ? error : read_program(fd, out);
}
