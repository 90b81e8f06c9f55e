// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the two halves of the compiler share: library.c for libseccomp's part of the filter,
// compile.c for the other part and for all of it.
#pragma once

#include "jail/policy/emit.h"

struct compiler {
    const struct policy *policy;
    const struct policy_options *options;
    uint32_t default_action;
    const struct call **calls; // hot ones first
    bool *ours;                // for each: compiled in compile.c
    size_t count;
    struct emitter front;
};

// The conditional rule `index` of a call, and what a rule does under the compiler's options.
const struct rule *compiler_rule(const struct compiler *compiler, const struct call *call,
                                 uint32_t index);
uint32_t compiler_action(const struct compiler *compiler, const struct rule *rule);

// Compiles every call that libseccomp can express exactly, marks the others in compiler->ours, and
// adds the tests of architecture and ABI and the default. 0 or a negative errno.
int compile_library(struct compiler *compiler, struct policy_program *out);
