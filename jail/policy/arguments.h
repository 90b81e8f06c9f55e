// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Arguments that stand for something: requests, commands, flags. Reports name them, and rules that
// are made from observed calls test them.
#pragma once

#include "jail/policy/model.h"

struct argument_kind {
    const char *call;
    unsigned argument;
    uint32_t choice_mask; // these bits are one choice of many; UINT32_MAX: all 64 are
    const char *choices;  // names of choices, blanks between, `*` at the end for any rest
    const char *flags;    // names of the other bits
};

// NULL: the argument is an address, a size, a descriptor or unknown.
const struct argument_kind *argument_kind_find(unsigned call, unsigned argument);
// How many arguments the call has; POLICY_ARGUMENTS if that is not known.
unsigned argument_count(unsigned call);
