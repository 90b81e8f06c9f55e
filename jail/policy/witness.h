// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Which arguments lead where: decides whether a set of conditions can hold at the same time, and
// finds arguments for which they do. Exact, but with a budget: hopeless questions get the answer
// "unknown".
#pragma once

#include "jail/policy/model.h"

enum witness_answer { WITNESS_NONE, WITNESS_FOUND, WITNESS_UNKNOWN };

// The verdicts of a policy on one call: clause after clause, then the last word (an empty clause).
struct ruling {
    struct clause clause;
    uint32_t action;
    uint32_t rule; // POLICY_NONE: the default
};
struct rulings {
    struct ruling *list;
    size_t count, capacity;
};
void rulings_clear(struct rulings *rulings);
// -E2BIG: the conditions have too many clauses to reason about; -ENOMEM.
int rulings_collect(struct rulings *rulings, const struct policy *policy, unsigned call);

// What is asked: all atoms of `all` hold, and of each clause in `none` at least one atom does not.
struct question {
    struct clause all[3];
    unsigned all_count;
    const struct clause **none;
    size_t none_count, none_capacity;
};
void question_clear(struct question *question);
void question_require(struct question *question, const struct clause *clause);
int question_exclude(struct question *question, const struct clause *clause);
// Adds what must not hold for ruling `index` to be the one that decides: those before it, as far as
// their action differs.
int question_exclude_before(struct question *question, const struct rulings *rulings, size_t index);
enum witness_answer question_answer(const struct question *question,
                                    uint64_t arguments[POLICY_ARGUMENTS]);

// Whether the policy lets a call through for some arguments for which `extra` holds (NULL: any).
enum witness_answer witness_permitted(const struct policy *policy, unsigned call,
                                      const struct clause *extra,
                                      uint64_t arguments[POLICY_ARGUMENTS]);
