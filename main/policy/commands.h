// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The verbs of `bulkhead policy`, one file each, and what they share.
#pragma once

#include "jail/policy/policy.h"

#define POLICY_DIRECTORIES_MAX 16

// Where includes are looked for: --policy-dir, any number of times.
struct policy_paths {
    const char *directories[POLICY_DIRECTORIES_MAX];
    size_t count;
};

// Each takes its own arguments, argv[0] being the verb, and returns the command's exit status.
int policy_check(int argc, char **argv);
int policy_compile_file(int argc, char **argv);
int policy_simulate(int argc, char **argv);
int policy_explain(int argc, char **argv);
int policy_diff(int argc, char **argv);
int policy_show(int argc, char **argv);

// paths.c: takes the argument of --policy-dir; false and a message if there are too many.
bool policy_paths_add(struct policy_paths *paths, const char *directory);
// Loads a file, or a built-in policy named "builtin:NAME". Messages go into `diagnostics`.
int policy_open(const char *path, const struct policy_paths *paths, struct policy **policy,
                struct policy_diagnostics *diagnostics);
// As above, and prints messages to standard error.
int policy_open_or_say(const char *path, const struct policy_paths *paths, struct policy **policy);
// The number of a call given by name or number, or -1 and a message.
int policy_call_argument(const char *text);
// Wrong usage: prints what is wrong and where help is; returns the exit status.
__attribute__((format(printf, 2, 3))) int policy_usage(const char *verb, const char *format, ...);
// One rule as a line: "ioctl: arg1 == TCGETS -> ALLOW".
void policy_print_rule(const struct policy_rule *rule, FILE *out);

// json.c
void json_string(FILE *out, const char *text);
void json_diagnostics(FILE *out, const struct policy_diagnostics *diagnostics);
