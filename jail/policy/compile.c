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
#include "jail/policy/compile.h"

#include <errno.h>
#include <linux/audit.h>
#include <string.h>

static void compiler_clear(struct compiler *compiler)
{
    free(compiler->calls);
    free(compiler->ours);
    emitter_clear(&compiler->front);
}

const struct rule *compiler_rule(const struct compiler *compiler, const struct call *call,
                                 uint32_t index)
{
    const struct policy *policy = compiler->policy;

    return &policy->rules[policy->order[call->first + index]];
}

uint32_t compiler_action(const struct compiler *compiler, const struct rule *rule)
{
    return policy_effective_action(compiler->options, rule->action);
}

static bool only_default(const struct compiler *compiler, const struct call *call)
{
    for (uint32_t i = 0; i < call->count; i++)
        if (compiler_action(compiler, compiler_rule(compiler, call, i)) != compiler->default_action)
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
        const struct rule *rule = compiler_rule(compiler, call, i);
        place met = verdict_place(front, &verdicts, compiler_action(compiler, rule));

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
