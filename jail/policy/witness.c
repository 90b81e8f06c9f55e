// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The search behind witness.h. Tests of one argument are bounds, bits that must be clear, masks of
// which one bit must be set, and values that are excluded; whether a 64-bit value meets them all is
// decided directly. Clauses that must not hold are taken one after the other, one of their tests
// turned around each.
#include "jail/policy/witness.h"

#include <errno.h>
#include <string.h>

#define BUDGET 200000U // steps until a question counts as hopeless
#define ATOMS_MAX 4096

struct search {
    struct atom atoms[ATOMS_MAX]; // what must hold now
    size_t count;
    const struct question *question;
    unsigned steps;
    uint64_t found[POLICY_ARGUMENTS];
};

static struct atom negated(const struct atom *atom)
{
    static const enum policy_operator opposite[OP_COUNT] = {
        [OP_EQUAL] = OP_NOT_EQUAL,    [OP_NOT_EQUAL] = OP_EQUAL,    [OP_LESS] = OP_GREATER_EQUAL,
        [OP_GREATER_EQUAL] = OP_LESS, [OP_GREATER] = OP_LESS_EQUAL, [OP_LESS_EQUAL] = OP_GREATER,
        [OP_ANY_BIT] = OP_INSIDE,     [OP_INSIDE] = OP_ANY_BIT,
    };
    struct atom result = *atom;

    result.op = (uint8_t)opposite[atom->op];
    if (atom->op == OP_ANY_BIT || atom->op == OP_INSIDE)
        result.value = ~atom->value;
    return result;
}

// What is asked of one argument.
struct limits {
    uint64_t low, high, clear, set;
    bool impossible;
};

static void add_limit(struct limits *limits, const struct atom *atom)
{
    uint64_t value = atom->value, low = 0, high = UINT64_MAX;

    switch ((enum policy_operator)atom->op) {
    case OP_EQUAL:
        low = high = value;
        break;
    case OP_LESS:
        limits->impossible = limits->impossible || value == 0;
        high = value - 1;
        break;
    case OP_LESS_EQUAL:
        high = value;
        break;
    case OP_GREATER:
        limits->impossible = limits->impossible || value == UINT64_MAX;
        low = value + 1;
        break;
    case OP_GREATER_EQUAL:
        low = value;
        break;
    case OP_INSIDE:
        limits->clear |= ~value;
        break;
    case OP_ANY_BIT:
        // One bit must be set; a mask of several is looked at later.
        limits->impossible = limits->impossible || value == 0;
        if (__builtin_popcountll(value) == 1)
            limits->set |= value;
        break;
    case OP_NOT_EQUAL:
    case OP_COUNT:
        break;
    }
    limits->low = low > limits->low ? low : limits->low;
    limits->high = high < limits->high ? high : limits->high;
}

// The smallest value from `low` on with all bits of `set` and none of `clear`. The longer the
// leading part that it shares with `low`, the smaller it is.
static bool next_value(const struct limits *limits, uint64_t low, uint64_t *value)
{
    uint64_t set = limits->set, clear = limits->clear;

    if ((low & clear) == 0 && (low & set) == set) {
        *value = low;
        return true;
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t one = 1ULL << bit, below = one - 1, above = ~(below | one);

        if ((low & one) || (clear & one) || (low & above & clear) ||
            (low & above & set) != (set & above))
            continue;
        *value = (low & above) | one | (set & below);
        return true;
    }
    return false;
}

static bool is_excluded(const struct search *search, unsigned argument, uint64_t value)
{
    for (size_t i = 0; i < search->count; i++) {
        const struct atom *atom = &search->atoms[i];

        if (atom->argument == argument && atom->op == OP_NOT_EQUAL && atom->value == value)
            return true;
    }
    return false;
}

static bool value_within(const struct search *search, unsigned argument,
                         const struct limits *limits, uint64_t *value)
{
    uint64_t low = limits->low;

    if (limits->set & limits->clear)
        return false;
    while (next_value(limits, low, value) && *value <= limits->high) {
        if (!is_excluded(search, argument, *value))
            return true;
        if (*value == UINT64_MAX)
            return false;
        low = *value + 1;
    }
    return false;
}

// Chooses a bit of each mask that needs one, from atom `from` on.
static bool choose_bits(struct search *search, unsigned argument, const struct limits *limits,
                        size_t from, uint64_t *value)
{
    for (size_t i = from; i < search->count; i++) {
        const struct atom *atom = &search->atoms[i];
        uint64_t mask = atom->value & ~limits->clear;

        if (atom->argument != argument || atom->op != OP_ANY_BIT || (mask & limits->set))
            continue;
        for (; mask; mask &= mask - 1) {
            struct limits narrower = *limits;

            if (++search->steps > BUDGET)
                return false;
            narrower.set |= mask & -mask;
            if (choose_bits(search, argument, &narrower, i + 1, value))
                return true;
        }
        return false;
    }
    return value_within(search, argument, limits, value);
}

static bool possible(struct search *search)
{
    struct limits limits[POLICY_ARGUMENTS] = {0};

    for (unsigned argument = 0; argument < POLICY_ARGUMENTS; argument++)
        limits[argument].high = UINT64_MAX;
    for (size_t i = 0; i < search->count; i++)
        add_limit(&limits[search->atoms[i].argument], &search->atoms[i]);
    for (unsigned argument = 0; argument < POLICY_ARGUMENTS; argument++) {
        const struct limits *mine = &limits[argument];

        search->found[argument] = 0;
        if (mine->impossible || mine->low > mine->high ||
            !choose_bits(search, argument, mine, 0, &search->found[argument]))
            return false;
    }
    return true;
}

static bool push(struct search *search, const struct atom *atoms, size_t count)
{
    if (search->count + count > ATOMS_MAX) {
        search->steps = BUDGET + 1;
        return false;
    }
    memcpy(&search->atoms[search->count], atoms, count * sizeof(*atoms));
    search->count += count;
    return true;
}

// Whether a clause cannot hold anyway, given what must.
static bool is_false(struct search *search, const struct clause *clause)
{
    size_t before = search->count;
    bool result;

    if (!push(search, clause->atoms, clause->count))
        return false;
    result = !possible(search);
    search->count = before;
    return result;
}

// The clauses to be made false: at each, the test that is turned around now.
static bool choose_tests(struct search *search)
{
    const struct question *question = search->question;
    unsigned char *chosen _cleanup_free_
    = calloc(question->none_count + 1, 1);
    size_t *marks _cleanup_free_
    = calloc(question->none_count + 1, sizeof(*marks));
    size_t at = 0;
    bool down = true; // arrived at a clause anew, not back from behind it

    if (!chosen || !marks || !possible(search)) {
        search->steps = chosen && marks ? search->steps : BUDGET + 1;
        return false;
    }
    while (at < question->none_count) {
        const struct clause *clause = question->none[at];

        if (++search->steps > BUDGET)
            return false;
        if (down) {
            marks[at] = search->count;
            chosen[at] = 0;
            if (is_false(search, clause)) {
                chosen[at++] = UINT8_MAX;
                continue;
            }
        }
        down = false;
        search->count = marks[at];
        while (chosen[at] < clause->count && !down) {
            struct atom turned = negated(&clause->atoms[chosen[at]++]);

            search->count = marks[at];
            down = push(search, &turned, 1) && possible(search);
        }
        if (down) {
            at++;
            continue;
        }
        // Back to the clause before, for its next choice; one that is false anyway has none.
        search->count = marks[at];
        if (at == 0)
            return false;
        at--;
    }
    return possible(search);
}

enum witness_answer question_answer(const struct question *question,
                                    uint64_t arguments[POLICY_ARGUMENTS])
{
    struct search *search _cleanup_free_
    = calloc(1, sizeof(*search));
    bool found;

    if (!search)
        return WITNESS_UNKNOWN;
    search->question = question;
    for (unsigned i = 0; i < question->all_count; i++)
        if (!push(search, question->all[i].atoms, question->all[i].count))
            return WITNESS_UNKNOWN;
    found = choose_tests(search);
    if (search->steps > BUDGET)
        return WITNESS_UNKNOWN;
    if (found)
        memcpy(arguments, search->found, sizeof(search->found));
    return found ? WITNESS_FOUND : WITNESS_NONE;
}

void question_clear(struct question *question)
{
    free(question->none);
    *question = (struct question){0};
}

void question_require(struct question *question, const struct clause *clause)
{
    if (question->all_count < array_size(question->all))
        question->all[question->all_count++] = *clause;
}

int question_exclude(struct question *question, const struct clause *clause)
{
    if (policy_grow((void **)&question->none, &question->none_capacity, question->none_count,
                    sizeof(*question->none)) < 0)
        return -ENOMEM;
    question->none[question->none_count++] = clause;
    return 0;
}

int question_exclude_before(struct question *question, const struct rulings *rulings, size_t index)
{
    int error = 0;

    for (size_t i = 0; i < index && error == 0; i++)
        if (rulings->list[i].action != rulings->list[index].action)
            error = question_exclude(question, &rulings->list[i].clause);
    return error;
}

void rulings_clear(struct rulings *rulings)
{
    free(rulings->list);
    *rulings = (struct rulings){0};
}

static int add_ruling(struct rulings *rulings, const struct ruling *ruling)
{
    if (policy_grow((void **)&rulings->list, &rulings->capacity, rulings->count,
                    sizeof(*rulings->list)) < 0)
        return -ENOMEM;
    rulings->list[rulings->count++] = *ruling;
    return 0;
}

static int add_rule_rulings(struct rulings *rulings, const struct policy *policy, uint32_t index)
{
    struct clauses clauses _cleanup_(clauses_clear) = {0};
    int error = clauses_append(&clauses, policy, policy->rules[index].root);

    for (size_t i = 0; i < clauses.count && error == 0; i++) {
        struct ruling ruling = {
            .clause = clauses.list[i], .action = policy->rules[index].action, .rule = index};

        error = add_ruling(rulings, &ruling);
    }
    return error;
}

int rulings_collect(struct rulings *rulings, const struct policy *policy, unsigned number)
{
    const struct call *call = policy_find_call(policy, number);
    struct ruling last = {.action = policy->default_action, .rule = POLICY_NONE};
    int error = 0;

    for (uint32_t i = 0; call && i < call->count && error == 0; i++)
        error = add_rule_rulings(rulings, policy, policy->order[call->first + i]);
    if (call && call->last != POLICY_NONE) {
        last.action = policy->rules[call->last].action;
        last.rule = call->last;
    }
    return error ? error : add_ruling(rulings, &last);
}

enum witness_answer witness_permitted(const struct policy *policy, unsigned call,
                                      const struct clause *extra,
                                      uint64_t arguments[POLICY_ARGUMENTS])
{
    struct rulings rulings _cleanup_(rulings_clear) = {0};
    enum witness_answer answer = WITNESS_NONE;

    if (rulings_collect(&rulings, policy, call) < 0)
        return WITNESS_UNKNOWN;
    for (size_t i = 0; i < rulings.count && answer == WITNESS_NONE; i++) {
        struct question question _cleanup_(question_clear) = {0};

        if (!policy_action_permits(rulings.list[i].action))
            continue;
        question_require(&question, &rulings.list[i].clause);
        if (extra)
            question_require(&question, extra);
        if (question_exclude_before(&question, &rulings, i) < 0)
            return WITNESS_UNKNOWN;
        answer = question_answer(&question, arguments);
    }
    return answer;
}
