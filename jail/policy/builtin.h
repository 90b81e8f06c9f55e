// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The policies that were built in: the text of every policies/x86_64/*.policy and the filter that
// it compiles to as written, both made at build time. A VM with shipped policies starts without
// parsing or compiling any.
#pragma once

#include <linux/filter.h>
#include <stddef.h>

struct builtin_policy {
    const char *name; // "block"
    const char *path; // "policies/x86_64/block.policy", for messages
    const char *text;
    size_t length;
    const struct sock_filter *insns; // default and actions as written
    unsigned short count;
    unsigned syscalls_allowed;
};

// NULL: there is none of that name.
const struct builtin_policy *builtin_policy_find(const char *name);
// In the order of their names, ended by a NULL name; *count becomes their number.
const struct builtin_policy *builtin_policies(size_t *count);
