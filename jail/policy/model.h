// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What a parsed policy is made of. Private to jail/policy/ and its tests: everybody else uses
// policy.h. All strings and arrays belong to the policy and die with it.
#pragma once

#include "ipc/cleanup.h"
#include "jail/policy/policy.h"

#define POLICY_CALL_MAX 0x3fffffffU // numbers above belong to the x32 ABI and are always refused
#define POLICY_ERRNO_MAX 4095U      // MAX_ERRNO of the kernel
#define POLICY_NESTING_MAX 16       // parentheses in one expression
#define POLICY_TOKENS_MAX 8192      // words in one statement
#define POLICY_NONE UINT32_MAX      // "no node", "no rule"

enum policy_operator {
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_ANY_BIT, // `&`: at least one bit of the value is set
    OP_INSIDE,  // `in`: no bit outside the value is set
    OP_COUNT
};

struct atom {
    uint8_t argument; // 0..5
    uint8_t op;       // enum policy_operator; comparisons are unsigned and 64 bits wide
    uint64_t value;
};

// An expression is a tree; the children of a node form a list. Its depth is at most
// 2 * POLICY_NESTING_MAX + 2, so walks over it may recurse.
enum node_kind { NODE_ATOM, NODE_ALL, NODE_SOME };
struct node {
    enum node_kind kind;
    uint32_t first_child, next; // POLICY_NONE: none
    struct atom atom;
};

struct rule {
    unsigned call;
    uint32_t action;
    uint32_t root; // expression, POLICY_NONE: unconditional
    bool fallback;
    bool unreachable;
    uint32_t text; // index of the text it stands in
    unsigned line, column, length;
    unsigned colon_line, colon_column; // where the statement's colon is, for merge errors
    const char *condition;
    const char *reason;
};

// One system call: its live rules in the order in which they are tried, then the last word.
struct call {
    unsigned number;
    uint32_t first, count; // in policy->order: indices of conditional rules
    uint32_t last;         // index of the unconditional rule or fallback, POLICY_NONE: the default
    uint64_t frequency;
};

struct policy_text {
    const char *name;
    const char *bytes;
    size_t length;
    uint32_t parent; // who included it, POLICY_NONE for the first
    unsigned parent_line;
    unsigned depth;
    bool builtin;
    uint64_t device, inode; // identity of a file, for loops
};

struct policy_chunk;

struct policy {
    struct policy_chunk *chunks; // what policy_allocate() gave out
    struct policy_text *texts;
    size_t text_count, text_capacity, total_bytes;
    struct node *nodes;
    size_t node_count, node_capacity;
    struct rule *rules;
    size_t rule_count, rule_capacity;
    struct call *calls; // in the order of first mention
    size_t call_count, call_capacity;
    uint32_t *order;
    size_t order_count;
    struct frequency *frequencies;
    size_t frequency_count, frequency_capacity;
    uint32_t default_action;
    bool default_given, denylist;
};

struct frequency {
    unsigned call;
    uint64_t count;
};

// ---------------------------------------------------------------------------- memory (model.c)

// Zeroed memory that lives as long as the policy, or NULL.
void *policy_allocate(struct policy *policy, size_t size);
char *policy_copy_string(struct policy *policy, const char *bytes, size_t length);
// Makes room for one more element; 0 or -ENOMEM.
int policy_grow(void **array, size_t *capacity, size_t count, size_t element);

// ---------------------------------------------------------------------------- expressions

uint32_t node_add(struct policy *policy, enum node_kind kind); // POLICY_NONE: no memory
bool atom_holds(const struct atom *atom, const uint64_t arguments[POLICY_ARGUMENTS]);
bool node_holds(const struct policy *policy, uint32_t root,
                const uint64_t arguments[POLICY_ARGUMENTS]);

// An expression as a disjunction of conjunctions.
#define CLAUSE_ATOMS_MAX 24
#define CLAUSES_MAX 1024
struct clause {
    unsigned count;
    struct atom atoms[CLAUSE_ATOMS_MAX];
};
struct clauses {
    struct clause *list;
    size_t count, capacity;
};
void clauses_clear(struct clauses *clauses);
// Appends the clauses of an expression. -E2BIG: more than CLAUSES_MAX, or one with too many atoms.
int clauses_append(struct clauses *clauses, const struct policy *policy, uint32_t root);

// ---------------------------------------------------------------------------- calls (call.c)

const struct call *policy_find_call(const struct policy *policy, unsigned number);
// The action of a rule after options; see enum policy_violation.
uint32_t policy_effective_action(const struct policy_options *options, uint32_t action);
// What happens when none of the call's conditions hold.
uint32_t policy_last_action(const struct policy *policy, const struct policy_options *options,
                            const struct call *call);
// Orders and checks the rules after parsing.
int policy_merge(struct policy *policy, struct policy_diagnostics *diagnostics);

// ---------------------------------------------------------------------------- names

// The better of `best` (which is *distance away from the word) and a candidate, by edit distance;
// *distance is kept up. Start with NULL and UINT32_MAX; NULL stays if no candidate is near.
const char *policy_suggest(const char *word, size_t length, const char *best, unsigned *distance,
                           const char *candidate);
const char *policy_call_suggestion(const char *word, size_t length);
const char *policy_constant_suggestion(const char *word, size_t length);

struct policy_constant {
    const char *name;
    uint64_t value;
};
// All constants, sorted by name; index < policy_constant_count().
size_t policy_constant_count(void);
struct policy_constant policy_constant_at(size_t index);

struct call_group {
    const char *name;
    const char *const *calls; // ended by NULL
};
// The group `name` of a namespace, or NULL; *space_known says whether the namespace exists.
const struct call_group *policy_group_find(const char *name, size_t length, const char *space,
                                           size_t space_length, bool *space_known);

// ---------------------------------------------------------------------------- diagnostics

struct policy_position {
    uint32_t text;
    unsigned line, column, length;
};

// Records a message about a place in a text. `expected` and `suggestion` may be NULL.
__attribute__((format(printf, 7, 8))) void policy_report(
    struct policy_diagnostics *diagnostics, const struct policy *policy,
    enum policy_severity severity, const struct policy_position *position, const char *expected,
    const char *suggestion, const char *format, ...);
