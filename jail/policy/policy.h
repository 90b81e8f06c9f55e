// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Sandbox policies: from text to seccomp filters, and back to words that people understand.
//
// The language is that of minijail and crosvm, documented in bulkhead-policy(5). A policy is read
// with policy_load(), which never runs anything and opens only the file that it is told to open and
// what that file includes. A loaded policy is constant: it can be compiled, asked (policy_decide),
// listed, compared and explained, in any order.
//
// Trust: policy text comes from the user who starts the VM, or is built in. It is parsed with
// bounds all the same. Nothing in this folder sees a byte that a guest wrote, except for the
// numbers of a violating call, which are only printed.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define POLICY_ARGUMENTS 6
#define POLICY_FILE_MAX (1U << 20)  // bytes in one policy file
#define POLICY_TOTAL_MAX (4U << 20) // bytes in a policy with all that it includes
#define POLICY_DEPTH_MAX 16         // files that include each other, one in the other
#define POLICY_RULES_MAX 16384

// ---------------------------------------------------------------------------- diagnostics

enum policy_severity { POLICY_NOTE, POLICY_WARNING, POLICY_ERROR };

struct policy_include {
    char *file;
    unsigned line;
};

struct policy_diagnostic {
    enum policy_severity severity;
    char *file;
    unsigned line, column, length; // 1-based; line 0: the file as a whole
    char *text;                    // the line itself
    char *message;                 // what is wrong
    char *expected;                // what was expected there, or NULL
    char *suggestion;              // what was perhaps meant, or NULL
    struct policy_include *chain;  // innermost first: who included `file`
    size_t chain_count;
};

// Start with `= {0}`; end with policy_diagnostics_clear().
struct policy_diagnostics {
    struct policy_diagnostic *entries;
    size_t count, capacity;
    unsigned errors, warnings;
};

void policy_diagnostics_clear(struct policy_diagnostics *diagnostics);
// As a compiler prints: file:line:column, message, line, caret, expectation, suggestion, includes.
void policy_diagnostics_print(const struct policy_diagnostics *diagnostics, FILE *out);
// The first error as one line without line break, or "" if there is none; always terminated.
void policy_diagnostics_summary(const struct policy_diagnostics *diagnostics, char *buffer,
                                size_t size);

// ---------------------------------------------------------------------------- loading

struct policy;

struct policy_source {
    const char *path;  // the file to read; with `bytes`: the name for messages and includes
    const char *bytes; // the text itself, `length` bytes, or NULL
    size_t length;
    const char *const *directories; // where else includes are looked for
    size_t directory_count;
    bool sealed; // open no file at all: includes resolve among the built-in policies only
};

// Parses a policy and all that it includes. `diagnostics` may be NULL and otherwise receives errors
// and warnings. On success *out is the caller's (policy_destroy).
// Errors: -EINVAL (the text; see diagnostics), -ENOENT, -EACCES and so on (the file), -EFBIG,
// -ENOMEM.
int policy_load(const struct policy_source *source, struct policy **out,
                struct policy_diagnostics *diagnostics);
// Loads the built-in policy `name` ("block"), see builtin.h. Error besides: -ENOENT.
int policy_load_builtin(const char *name, struct policy **out,
                        struct policy_diagnostics *diagnostics);
void policy_destroy(struct policy *policy);

// The name that the policy was loaded under, for messages.
const char *policy_name(const struct policy *policy);

// ---------------------------------------------------------------------------- compiling

// What happens to a call that the policy does not allow. It takes the place of the default action
// and of every kill, kill-process, kill-thread and trap; `return ERRNO`, `log`, `trace` and
// `user-notify` rules stay, and another architecture's calls are always killed.
enum policy_violation {
    POLICY_VIOLATION_AS_WRITTEN, // @default, or kill-process without it
    POLICY_VIOLATION_LOG,        // audit: the kernel logs the call and lets it go on
    POLICY_VIOLATION_TRAP,
    POLICY_VIOLATION_ERRNO, // fails with options.error
    POLICY_VIOLATION_NOTIFY // the holder of the notification descriptor decides
};

// For the processes of a VM. Sanitizers map memory whenever they like: in their builds calls
// outside a policy are logged, not stopped.
#ifdef BULKHEAD_SANITIZE
#define POLICY_VIOLATION_OF_THIS_BUILD POLICY_VIOLATION_LOG
#else
#define POLICY_VIOLATION_OF_THIS_BUILD POLICY_VIOLATION_AS_WRITTEN
#endif

struct policy_options {
    enum policy_violation violation;
    unsigned error; // for POLICY_VIOLATION_ERRNO, 0..4095
};

struct policy_program {
    struct sock_filter *insns; // owned
    unsigned short count;
    unsigned syscalls_allowed;
};

// Compiles for x86_64. The same policy and options always give the same bytes. `options` NULL: as
// written. *out is the caller's (policy_program_destroy). Errors: -E2BIG (more than BPF_MAXINSNS
// instructions), -ENOMEM, or what libseccomp says; `diagnostics` (may be NULL) says it in words.
int policy_compile(const struct policy *policy, const struct policy_options *options,
                   struct policy_program *out, struct policy_diagnostics *diagnostics);
void policy_program_destroy(struct policy_program *program);

// System calls that can be carried out, with any arguments, under this policy.
unsigned policy_syscalls_allowed(const struct policy *policy);

// ---------------------------------------------------------------------------- asking

struct policy_rule {
    unsigned call;         // system call number
    const char *name;      // its name
    uint32_t action;       // SECCOMP_RET_…, with data
    bool conditional;      // `condition` must hold
    bool fallback;         // an action behind `;`: applies when no condition of the call holds
    bool unreachable;      // an unconditional rule of the same call comes first
    bool rare;             // its reason begins with "rare:"
    const char *condition; // as written, or ""
    const char *reason;    // the comment behind or above the line, or ""
    const char *file;
    unsigned line, column;
};

// Rules in the order in which they were written; `{a, b}: …` counts once for each call. Strings
// live as long as the policy.
size_t policy_rule_count(const struct policy *policy);
struct policy_rule policy_rule_at(const struct policy *policy, size_t index);

// What becomes of calls that no rule decides.
uint32_t policy_default_action(const struct policy *policy, const struct policy_options *options);

struct policy_verdict {
    uint32_t action; // SECCOMP_RET_…, with data
    bool by_rule;    // `rule` decided; otherwise the default did
    size_t rule;     // for policy_rule_at()
};

// The plain reading of the policy, independent of the compiler: what happens to this call.
struct policy_verdict policy_decide(const struct policy *policy,
                                    const struct policy_options *options, unsigned call,
                                    const uint64_t arguments[POLICY_ARGUMENTS]);

struct policy_nearest {
    bool listed;     // the policy has rules for the call; `rule` is the one that came closest
    size_t rule;     // for policy_rule_at()
    char allow[512]; // a rule line that would allow this call and, where arguments are understood,
                     // nothing beyond it
    char call[512];  // the call with its arguments, decoded where that is cheap; no paths
};

// For the report about a call that was stopped.
void policy_find_nearest(const struct policy *policy, unsigned call,
                         const uint64_t arguments[POLICY_ARGUMENTS], struct policy_nearest *out);

// "ALLOW", "ERRNO EPERM", "KILL_PROCESS" …; returns buffer.
const char *policy_action_text(uint32_t action, char *buffer, size_t size);
// True if the call is carried out under this action (allow, log; trace and user-notify are not).
bool policy_action_permits(uint32_t action);

// ---------------------------------------------------------------------------- names

// The x86_64 number of a system call, or -ENOENT.
int policy_call_number(const char *name);
// Its name, or NULL if there is none; lives for ever.
const char *policy_call_name(unsigned call);
// A named constant of the kernel's headers.
bool policy_constant_find(const char *name, size_t length, uint64_t *value);
// A value as policies write it: "3", "PROT_READ|PROT_WRITE", "~0x10". -EINVAL: not a value.
int policy_parse_value(const char *text, uint64_t *value);
// An argument as people write it: "TCGETS", "PROT_READ|PROT_WRITE", "0x7f00"; returns buffer.
const char *policy_argument_text(unsigned call, unsigned argument, uint64_t value, char *buffer,
                                 size_t size);
