// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// For each call: each verdict of the old policy against each of the new one. Where they differ, the
// search in witness.c says whether any arguments lead to both.
#include "jail/policy/diff.h"

#include "jail/policy/witness.h"

#include <errno.h>
#include <string.h>

void differences_clear(struct differences *differences)
{
    free(differences->list);
    *differences = (struct differences){0};
}

static enum difference_kind kind_of(uint32_t before, uint32_t after)
{
    bool then = policy_action_permits(before), now = policy_action_permits(after);

    if (then == now)
        return DIFFERENCE_OTHER;
    return now ? DIFFERENCE_ALLOWED : DIFFERENCE_FORBIDDEN;
}

static int add(struct differences *out, const struct difference *difference)
{
    if (policy_grow((void **)&out->list, &out->capacity, out->count, sizeof(*out->list)) < 0)
        return -ENOMEM;
    out->list[out->count++] = *difference;
    return 0;
}

static bool is_known(const struct differences *out, unsigned call, uint32_t before, uint32_t after)
{
    for (size_t i = out->count; i-- > 0 && out->list[i].call == call;)
        if (out->list[i].before == before && out->list[i].after == after)
            return true;
    return false;
}

static unsigned tested_arguments(const struct rulings *rulings)
{
    unsigned tested = 0;

    for (size_t i = 0; i < rulings->count; i++)
        for (unsigned k = 0; k < rulings->list[i].clause.count; k++)
            tested |= 1U << rulings->list[i].clause.atoms[k].argument;
    return tested;
}

struct comparison {
    struct rulings before, after;
    unsigned call;
    struct differences *out;
};

static int compare_pair(struct comparison *comparison, size_t i, size_t k)
{
    const struct ruling *before = &comparison->before.list[i], *after = &comparison->after.list[k];
    struct question question _cleanup_(question_clear) = {0};
    struct difference difference = {.kind = kind_of(before->action, after->action),
                                    .call = comparison->call,
                                    .before = before->action,
                                    .after = after->action};
    enum witness_answer answer;

    if (before->action == after->action ||
        is_known(comparison->out, comparison->call, before->action, after->action))
        return 0;
    question_require(&question, &before->clause);
    question_require(&question, &after->clause);
    if (question_exclude_before(&question, &comparison->before, i) < 0 ||
        question_exclude_before(&question, &comparison->after, k) < 0)
        return -ENOMEM;
    answer = question_answer(&question, difference.arguments);
    if (answer == WITNESS_NONE)
        return 0;
    if (answer == WITNESS_UNKNOWN)
        difference.kind = DIFFERENCE_UNKNOWN;
    difference.tested =
        tested_arguments(&comparison->before) | tested_arguments(&comparison->after);
    difference.always = comparison->before.count == 1 && comparison->after.count == 1;
    return add(comparison->out, &difference);
}

static int compare_call(const struct policy *before, const struct policy *after, unsigned call,
                        struct differences *out)
{
    struct comparison comparison = {.call = call, .out = out};
    int error = rulings_collect(&comparison.before, before, call);

    if (error == 0)
        error = rulings_collect(&comparison.after, after, call);
    if (error == -E2BIG) {
        struct difference unknown = {.kind = DIFFERENCE_UNKNOWN, .call = call};

        error = add(out, &unknown);
    } else {
        for (size_t i = 0; i < comparison.before.count && error == 0; i++)
            for (size_t k = 0; k < comparison.after.count && error == 0; k++)
                error = compare_pair(&comparison, i, k);
    }
    rulings_clear(&comparison.before);
    rulings_clear(&comparison.after);
    return error;
}

static int by_number(const void *a, const void *b)
{
    unsigned left = *(const unsigned *)a, right = *(const unsigned *)b;

    return (left > right) - (left < right);
}

int policy_compare(const struct policy *before, const struct policy *after, struct differences *out)
{
    size_t count = before->call_count + after->call_count;
    unsigned *numbers _cleanup_free_
    = calloc(count + 1, sizeof(*numbers));
    struct difference others = {.kind = kind_of(before->default_action, after->default_action),
                                .call = DIFFERENCE_ALL_OTHERS,
                                .before = before->default_action,
                                .after = after->default_action,
                                .always = true};
    int error = 0;

    *out = (struct differences){0};
    if (!numbers)
        return -ENOMEM;
    for (size_t i = 0; i < before->call_count; i++)
        numbers[i] = before->calls[i].number;
    for (size_t i = 0; i < after->call_count; i++)
        numbers[before->call_count + i] = after->calls[i].number;
    qsort(numbers, count, sizeof(*numbers), by_number);
    for (size_t i = 0; i < count && error == 0; i++)
        if (i == 0 || numbers[i] != numbers[i - 1])
            error = compare_call(before, after, numbers[i], out);
    if (error == 0 && others.before != others.after)
        error = add(out, &others);
    if (error < 0)
        differences_clear(out);
    return error;
}
