// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// From a policy to one seccomp filter. libseccomp compiles every call that it can express exactly.
// What it cannot (several tests of one argument in one condition, rules that must be tried in
// order, fallbacks, masks of several bits) is compiled here and stands in front:
//
//   [ right architecture? call among those compiled here? its rules, ending in a verdict ]
//   [ libseccomp's program: architecture, x32, all other calls, default ]
//
// The front part always ends in a verdict or in the first instruction of the second part, so the
// two are simply joined.
#include "jail/policy/emit.h"

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>

#define TREE_ABOVE 16 // calls from which libseccomp's binary tree beats a list
#define LIBRARY_CLAUSES_MAX 256

// libseccomp does not take user notification for its default, and its API level depends on the
// running kernel. The filter must not: this stands in for it until the program is made.
#define NOTIFY_STAND_IN (SECCOMP_RET_TRACE | 0x7e57U)

struct compiler {
    const struct policy *policy;
    const struct policy_options *options;
    uint32_t default_action;
    const struct call **calls; // hot ones first
    bool *ours;                // for each: compiled here
    size_t count;
    struct emitter front;
};

static void compiler_clear(struct compiler *compiler)
{
    free(compiler->calls);
    free(compiler->ours);
    emitter_clear(&compiler->front);
}

static const struct rule *rule_of(const struct compiler *compiler, const struct call *call,
                                  uint32_t index)
{
    const struct policy *policy = compiler->policy;

    return &policy->rules[policy->order[call->first + index]];
}

static uint32_t action_of(const struct compiler *compiler, const struct rule *rule)
{
    return policy_effective_action(compiler->options, rule->action);
}

static bool only_default(const struct compiler *compiler, const struct call *call)
{
    for (uint32_t i = 0; i < call->count; i++)
        if (action_of(compiler, rule_of(compiler, call, i)) != compiler->default_action)
            return false;
    return policy_last_action(compiler->policy, compiler->options, call) ==
           compiler->default_action;
}

static bool more_frequent(const struct call *a, const struct call *b)
{
    return a->frequency > b->frequency;
}

// Calls that need a rule at all, the frequent ones first and otherwise as written.
static int sort_calls(struct compiler *compiler)
{
    const struct policy *policy = compiler->policy;

    compiler->calls = calloc(policy->call_count + 1, sizeof(*compiler->calls));
    compiler->ours = calloc(policy->call_count + 1, sizeof(*compiler->ours));
    if (!compiler->calls || !compiler->ours)
        return -ENOMEM;
    for (size_t i = 0; i < policy->call_count; i++) {
        const struct call *call = &policy->calls[i];
        size_t at = compiler->count;

        if (only_default(compiler, call))
            continue;
        for (; at > 0 && more_frequent(call, compiler->calls[at - 1]); at--)
            compiler->calls[at] = compiler->calls[at - 1];
        compiler->calls[at] = call;
        compiler->count++;
    }
    return 0;
}

// ---------------------------------------------------------------------------- libseccomp's part

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
    action = action_of(compiler, rule_of(compiler, call, 0));
    if (action == compiler->default_action)
        return 0;
    for (uint32_t i = 0; i < call->count && error == 0; i++) {
        const struct rule *rule = rule_of(compiler, call, i);

        if (action_of(compiler, rule) != action)
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
    action = library_action(action_of(compiler, rule_of(compiler, call, 0)));
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

static int compile_library(struct compiler *compiler, struct policy_program *out)
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

// ---------------------------------------------------------------------------- our part

// Verdicts of one call, so that each is written once.
struct verdicts {
    uint32_t actions[32];
    place places[32];
    unsigned count;
};

static place verdict_place(struct emitter *emitter, struct verdicts *verdicts, uint32_t action)
{
    place written;

    for (unsigned i = 0; i < verdicts->count; i++)
        if (verdicts->actions[i] == action)
            return verdicts->places[i];
    written = emit(emitter, BPF_RET | BPF_K, action);
    if (verdicts->count < array_size(verdicts->actions)) {
        verdicts->actions[verdicts->count] = action;
        verdicts->places[verdicts->count++] = written;
    }
    return written;
}

static place emit_call(struct compiler *compiler, const struct call *call)
{
    struct verdicts verdicts = {0};
    struct emitter *front = &compiler->front;
    uint32_t last = policy_last_action(compiler->policy, compiler->options, call);
    place next = verdict_place(front, &verdicts, last);

    for (uint32_t i = call->count; i-- > 0;) {
        const struct rule *rule = rule_of(compiler, call, i);
        place met = verdict_place(front, &verdicts, action_of(compiler, rule));

        next = emit_expression(front, compiler->policy, rule->root, met, next);
    }
    return next;
}

// Place 0 is the end of our part, that is the beginning of libseccomp's.
static int compile_front(struct compiler *compiler)
{
    struct emitter *front = &compiler->front;
    place *starts _cleanup_free_
    = calloc(compiler->count + 1, sizeof(*starts));
    place next = 0;
    bool any = false;

    if (!starts)
        return -ENOMEM;
    for (size_t i = compiler->count; i-- > 0;) {
        if (!compiler->ours[i])
            continue;
        starts[i] = emit_call(compiler, compiler->calls[i]);
        any = true;
    }
    if (!any)
        return 0;
    for (size_t i = compiler->count; i-- > 0;)
        if (compiler->ours[i])
            next = emit_branch(front, BPF_JMP | BPF_JEQ | BPF_K, compiler->calls[i]->number,
                               starts[i], next);
    next = emit(front, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    emit_branch(front, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, next, 0);
    emit(front, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    return front->error;
}

// ---------------------------------------------------------------------------- together

static int join(const struct emitter *front, struct policy_program *program)
{
    size_t count = front->count + program->count;
    struct sock_filter *joined;

    if (count > BPF_MAXINSNS)
        return -E2BIG;
    joined = calloc(count, sizeof(*joined));
    if (!joined)
        return -ENOMEM;
    for (size_t i = 0; i < front->count; i++)
        joined[i] = front->code[front->count - 1 - i];
    memcpy(&joined[front->count], program->insns, program->count * sizeof(*joined));
    free(program->insns);
    program->insns = joined;
    program->count = (unsigned short)count;
    return 0;
}

static int compile(struct compiler *compiler, struct policy_program *out)
{
    int error = sort_calls(compiler);

    if (error == 0)
        error = compile_library(compiler, out);
    if (error == 0)
        error = compile_front(compiler);
    if (error == 0 && compiler->front.count)
        error = join(&compiler->front, out);
    return error;
}

int policy_compile(const struct policy *policy, const struct policy_options *options,
                   struct policy_program *out, struct policy_diagnostics *diagnostics)
{
    struct compiler compiler _cleanup_(compiler_clear) = {
        .policy = policy,
        .options = options,
        .default_action = policy_default_action(policy, options)};
    struct policy_position whole = {0};
    int error;

    *out = (struct policy_program){0};
    error = compile(&compiler, out);
    if (error == 0) {
        out->syscalls_allowed = policy_syscalls_allowed(policy);
        return 0;
    }
    policy_program_destroy(out);
    if (error == -E2BIG)
        policy_report(diagnostics, policy, POLICY_ERROR, &whole, NULL,
                      "shorten lists of values, or test masks with 'in'",
                      "the filter would have more than the kernel's limit of %d instructions",
                      BPF_MAXINSNS);
    else
        policy_report(diagnostics, policy, POLICY_ERROR, &whole, NULL, NULL,
                      "cannot compile this policy: %s", strerror(-error));
    return error;
}

void policy_program_destroy(struct policy_program *program)
{
    free(program->insns);
    *program = (struct policy_program){0};
}
