// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Two policies compared by what they do, not by how they are written.
#pragma once

#include "jail/policy/policy.h"

enum difference_kind {
    DIFFERENCE_ALLOWED,   // the new policy lets something through that the old one stopped
    DIFFERENCE_FORBIDDEN, // the other way round
    DIFFERENCE_OTHER,     // both stop it, or both let it through, but not in the same way
    DIFFERENCE_UNKNOWN    // too complex to decide: to be taken as allowed
};

#define DIFFERENCE_ALL_OTHERS UINT32_MAX // in place of a call: those that neither policy names

struct difference {
    enum difference_kind kind;
    unsigned call;
    uint32_t before, after; // actions
    // One call for which the policies differ, and which of its arguments were tested by either.
    uint64_t arguments[POLICY_ARGUMENTS];
    unsigned tested; // bit per argument
    bool always;     // the call has these two verdicts whatever its arguments
};

struct differences {
    struct difference *list; // in the order of call numbers
    size_t count, capacity;
};

// Every pair of verdicts that a call can have under the old and the new policy is listed once. On
// success *out is the caller's (differences_clear). -ENOMEM.
int policy_compare(const struct policy *before, const struct policy *after,
                   struct differences *out);
void differences_clear(struct differences *differences);
