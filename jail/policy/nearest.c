// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// For the report about a call that was stopped: which rule came closest to allowing it, and which
// rule would have.
#include "jail/policy/arguments.h"

#include <stdarg.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static void append(char *buffer, size_t size,
                                                         const char *format, ...)
{
    size_t used = strlen(buffer);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(buffer + used, size - used, format, arguments);
    va_end(arguments);
}

static unsigned arguments_tested(const struct policy *policy, uint32_t root)
{
    const struct node *node = &policy->nodes[root];
    unsigned tested = 0;

    if (node->kind == NODE_ATOM)
        return 1U << node->atom.argument;
    for (uint32_t child = node->first_child; child != POLICY_NONE;
         child = policy->nodes[child].next)
        tested |= arguments_tested(policy, child);
    return tested;
}

// Arguments that a rule for this call should test: those that stand for something, and those that
// the policy tests already.
static unsigned arguments_that_count(const struct policy *policy, unsigned number)
{
    const struct call *call = policy_find_call(policy, number);
    unsigned result = 0;

    for (unsigned i = 0; i < POLICY_ARGUMENTS; i++)
        if (argument_kind_find(number, i))
            result |= 1U << i;
    for (uint32_t i = 0; call && i < call->count; i++)
        result |= arguments_tested(policy, policy->rules[policy->order[call->first + i]].root);
    return result;
}

// The fewest tests that fail in any clause of an expression.
static unsigned tests_failed(const struct policy *policy, uint32_t root,
                             const uint64_t arguments[POLICY_ARGUMENTS])
{
    const struct node *node = &policy->nodes[root];
    unsigned best = UINT32_MAX, sum = 0;

    if (node->kind == NODE_ATOM)
        return !atom_holds(&node->atom, arguments);
    for (uint32_t child = node->first_child; child != POLICY_NONE;
         child = policy->nodes[child].next) {
        unsigned failed = tests_failed(policy, child, arguments);

        sum += failed;
        best = failed < best ? failed : best;
    }
    return node->kind == NODE_ALL ? sum : best;
}

static void find_rule(const struct policy *policy, unsigned number,
                      const uint64_t arguments[POLICY_ARGUMENTS], struct policy_nearest *out)
{
    const struct call *call = policy_find_call(policy, number);
    unsigned best = UINT32_MAX;

    if (!call)
        return;
    for (uint32_t i = 0; i < call->count; i++) {
        uint32_t index = policy->order[call->first + i];
        const struct rule *rule = &policy->rules[index];
        unsigned failed = tests_failed(policy, rule->root, arguments);

        // A rule that refuses is near only if it was the one that did.
        if (!policy_action_permits(rule->action) && failed > 0)
            continue;
        if (failed < best) {
            best = failed;
            out->rule = index;
            out->listed = true;
        }
    }
    if (!out->listed && call->last != POLICY_NONE) {
        out->rule = call->last;
        out->listed = true;
    }
}

static void call_name(unsigned number, char *buffer, size_t size)
{
    const char *name = policy_call_name(number);

    if (name)
        snprintf(buffer, size, "%s", name);
    else
        snprintf(buffer, size, "%u", number);
}

void policy_find_nearest(const struct policy *policy, unsigned number,
                         const uint64_t arguments[POLICY_ARGUMENTS], struct policy_nearest *out)
{
    unsigned counted = arguments_that_count(policy, number), shown = argument_count(number);
    const char *before = ": ";
    char value[128];

    *out = (struct policy_nearest){0};
    find_rule(policy, number, arguments, out);
    call_name(number, out->allow, sizeof(out->allow));
    call_name(number, out->call, sizeof(out->call));
    append(out->call, sizeof(out->call), "(");
    for (unsigned i = 0; i < POLICY_ARGUMENTS; i++) {
        policy_argument_text(number, i, arguments[i], value, sizeof(value));
        if (i < shown)
            append(out->call, sizeof(out->call), "%s%s", i ? ", " : "", value);
        if (counted & 1U << i) {
            append(out->allow, sizeof(out->allow), "%sarg%u == %s", before, i, value);
            before = " && ";
        }
    }
    append(out->call, sizeof(out->call), ")");
    if (!counted)
        append(out->allow, sizeof(out->allow), ": 1");
}
