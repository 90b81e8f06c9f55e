// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// From rules as they were written to rules as they act. All rules of a call are tried in the order
// of their lines, included files at the place of their `@include`. An unconditional rule ends the
// list: what follows it can never match. A fallback (the action behind `;`) is the last word
// whatever follows its line. Two last words that differ are an error.
#include "jail/policy/model.h"

#include <errno.h>
#include <string.h>

static struct policy_position rule_position(const struct rule *rule)
{
    return (struct policy_position){
        .text = rule->text, .line = rule->line, .column = rule->column, .length = rule->length};
}

static struct call *call_slot(struct policy *policy, unsigned number)
{
    for (size_t i = 0; i < policy->call_count; i++)
        if (policy->calls[i].number == number)
            return &policy->calls[i];
    if (policy_grow((void **)&policy->calls, &policy->call_capacity, policy->call_count,
                    sizeof(*policy->calls)) < 0)
        return NULL;
    policy->calls[policy->call_count] = (struct call){.number = number, .last = POLICY_NONE};
    return &policy->calls[policy->call_count++];
}

static const char *call_label(unsigned number, char *buffer, size_t size)
{
    const char *name = policy_call_name(number);

    if (name)
        return name;
    snprintf(buffer, size, "%u", number);
    return buffer;
}

static void report_conflict(struct policy *policy, struct policy_diagnostics *diagnostics,
                            const struct rule *first, const struct rule *second)
{
    struct policy_position here = rule_position(second), there = rule_position(first);
    char name[24], one[64], two[64];

    policy_report(diagnostics, policy, POLICY_ERROR, &here, NULL, "leave one of the two lines out",
                  "%s has two unconditional rules that disagree: %s here, %s at %s:%u",
                  call_label(second->call, name, sizeof(name)),
                  policy_action_text(second->action, one, sizeof(one)),
                  policy_action_text(first->action, two, sizeof(two)),
                  policy->texts[first->text].name, first->line);
    policy_report(diagnostics, policy, POLICY_NOTE, &there, NULL, NULL, "the other rule is here");
}

// First pass over the rules of a call: its last word, and what can never be reached.
static int settle_rule(struct policy *policy, struct policy_diagnostics *diagnostics,
                       uint32_t index)
{
    struct rule *rule = &policy->rules[index];
    struct call *call = call_slot(policy, rule->call);
    const struct rule *last;

    if (!call)
        return -ENOMEM;
    last = call->last == POLICY_NONE ? NULL : &policy->rules[call->last];
    if (rule->root != POLICY_NONE) {
        rule->unreachable = last && !last->fallback;
        call->count += !rule->unreachable;
        return 0;
    }
    if (!last) {
        call->last = index;
        return 0;
    }
    if (last->action != rule->action) {
        report_conflict(policy, diagnostics, last, rule);
        return -EINVAL;
    }
    if (last->fallback && !rule->fallback) {
        // From here on the list is closed.
        policy->rules[call->last].unreachable = true;
        call->last = index;
    } else {
        rule->unreachable = true;
    }
    return 0;
}

static int order_rules(struct policy *policy)
{
    uint32_t next = 0;

    for (size_t i = 0; i < policy->call_count; i++) {
        policy->calls[i].first = next;
        next += policy->calls[i].count;
        policy->calls[i].count = 0;
    }
    policy->order = calloc(next ? next : 1, sizeof(*policy->order));
    if (!policy->order)
        return -ENOMEM;
    policy->order_count = next;
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        struct call *call;

        if (rule->root == POLICY_NONE || rule->unreachable)
            continue;
        call = call_slot(policy, rule->call);
        policy->order[call->first + call->count++] = i;
    }
    return 0;
}

static void take_frequencies(struct policy *policy)
{
    for (size_t i = 0; i < policy->call_count; i++)
        for (size_t k = 0; k < policy->frequency_count; k++)
            if (policy->frequencies[k].call == policy->calls[i].number)
                policy->calls[i].frequency = policy->frequencies[k].count;
}

int policy_merge(struct policy *policy, struct policy_diagnostics *diagnostics)
{
    int error = 0;

    if (policy->denylist && policy->default_given) {
        policy_report(diagnostics, policy, POLICY_ERROR, NULL, NULL,
                      "leave '@default' out, or list what is allowed",
                      "'@denylist' and '@default' contradict each other");
        return -EINVAL;
    }
    if (policy->denylist)
        policy->default_action = SECCOMP_RET_ALLOW;
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        int result = settle_rule(policy, diagnostics, i);

        if (result == -ENOMEM)
            return result;
        if (result < 0)
            error = result;
    }
    if (error < 0)
        return error;
    take_frequencies(policy);
    return order_rules(policy);
}

const struct call *policy_find_call(const struct policy *policy, unsigned number)
{
    for (size_t i = 0; i < policy->call_count; i++)
        if (policy->calls[i].number == number)
            return &policy->calls[i];
    return NULL;
}

static bool is_stop(uint32_t action)
{
    uint32_t kind = action & SECCOMP_RET_ACTION_FULL;

    return kind == SECCOMP_RET_KILL_PROCESS || kind == SECCOMP_RET_KILL_THREAD ||
           kind == SECCOMP_RET_TRAP;
}

uint32_t policy_effective_action(const struct policy_options *options, uint32_t action)
{
    if (!options || !is_stop(action))
        return action;
    switch (options->violation) {
    case POLICY_VIOLATION_AS_WRITTEN:
        break;
    case POLICY_VIOLATION_LOG:
        return SECCOMP_RET_LOG;
    case POLICY_VIOLATION_TRAP:
        return SECCOMP_RET_TRAP;
    case POLICY_VIOLATION_ERRNO:
        return SECCOMP_RET_ERRNO | (options->error & POLICY_ERRNO_MAX);
    case POLICY_VIOLATION_NOTIFY:
        return SECCOMP_RET_USER_NOTIF;
    }
    return action;
}

uint32_t policy_default_action(const struct policy *policy, const struct policy_options *options)
{
    return policy_effective_action(options, policy->default_action);
}

uint32_t policy_last_action(const struct policy *policy, const struct policy_options *options,
                            const struct call *call)
{
    if (call->last == POLICY_NONE)
        return policy_default_action(policy, options);
    return policy_effective_action(options, policy->rules[call->last].action);
}

struct policy_verdict policy_decide(const struct policy *policy,
                                    const struct policy_options *options, unsigned number,
                                    const uint64_t arguments[POLICY_ARGUMENTS])
{
    const struct call *call = policy_find_call(policy, number);
    struct policy_verdict verdict = {.action = policy_default_action(policy, options)};

    // The x32 ABI and the "no call" of a tracer are never the calls that a policy speaks of.
    if (number > POLICY_CALL_MAX && number != UINT32_MAX)
        verdict.action = SECCOMP_RET_KILL_PROCESS;
    if (!call)
        return verdict;
    for (uint32_t i = 0; i < call->count; i++) {
        const struct rule *rule = &policy->rules[policy->order[call->first + i]];

        if (!node_holds(policy, rule->root, arguments))
            continue;
        return (struct policy_verdict){.action = policy_effective_action(options, rule->action),
                                       .by_rule = true,
                                       .rule = policy->order[call->first + i]};
    }
    verdict.action = policy_last_action(policy, options, call);
    verdict.by_rule = call->last != POLICY_NONE;
    verdict.rule = verdict.by_rule ? call->last : 0;
    return verdict;
}

size_t policy_rule_count(const struct policy *policy)
{
    return policy->rule_count;
}

struct policy_rule policy_rule_at(const struct policy *policy, size_t index)
{
    const struct rule *rule = &policy->rules[index];
    const char *name = policy_call_name(rule->call);

    return (struct policy_rule){
        .call = rule->call,
        .name = name ? name : "",
        .action = rule->action,
        .conditional = rule->root != POLICY_NONE,
        .fallback = rule->fallback,
        .unreachable = rule->unreachable,
        .rare = strncmp(rule->reason, "rare:", 5) == 0,
        .condition = rule->condition,
        .reason = rule->reason,
        .file = policy->texts[rule->text].name,
        .line = rule->line,
        .column = rule->column,
    };
}

bool policy_action_permits(uint32_t action)
{
    uint32_t kind = action & SECCOMP_RET_ACTION_FULL;

    return kind == SECCOMP_RET_ALLOW || kind == SECCOMP_RET_LOG;
}

static bool call_can_pass(const struct policy *policy, const struct call *call)
{
    if (policy_action_permits(policy_last_action(policy, NULL, call)))
        return true;
    for (uint32_t i = 0; i < call->count; i++)
        if (policy_action_permits(policy->rules[policy->order[call->first + i]].action))
            return true;
    return false;
}

#define NUMBERS_SEARCHED 1024 // x86_64 call numbers lie below

unsigned policy_syscalls_allowed(const struct policy *policy)
{
    bool others = policy_action_permits(policy->default_action);
    unsigned allowed = 0;

    for (size_t i = 0; i < policy->call_count; i++)
        allowed += call_can_pass(policy, &policy->calls[i]);
    for (unsigned number = 0; others && number < NUMBERS_SEARCHED; number++)
        allowed += policy_call_name(number) && !policy_find_call(policy, number);
    return allowed;
}
