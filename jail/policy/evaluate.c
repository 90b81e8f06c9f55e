// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The plain meaning of expressions: whether they hold for given arguments, and the same expression
// as a disjunction of conjunctions.
#include "jail/policy/model.h"

#include <errno.h>
#include <string.h>

bool atom_holds(const struct atom *atom, const uint64_t arguments[POLICY_ARGUMENTS])
{
    uint64_t left = arguments[atom->argument], right = atom->value;

    switch ((enum policy_operator)atom->op) {
    case OP_EQUAL:
        return left == right;
    case OP_NOT_EQUAL:
        return left != right;
    case OP_LESS:
        return left < right;
    case OP_LESS_EQUAL:
        return left <= right;
    case OP_GREATER:
        return left > right;
    case OP_GREATER_EQUAL:
        return left >= right;
    case OP_ANY_BIT:
        return (left & right) != 0;
    case OP_INSIDE:
        return (left & ~right) == 0;
    case OP_COUNT:
        break;
    }
    return false;
}

bool node_holds(const struct policy *policy, uint32_t root,
                const uint64_t arguments[POLICY_ARGUMENTS])
{
    const struct node *node = &policy->nodes[root];
    bool all = node->kind == NODE_ALL;

    if (node->kind == NODE_ATOM)
        return atom_holds(&node->atom, arguments);
    for (uint32_t child = node->first_child; child != POLICY_NONE;
         child = policy->nodes[child].next) {
        if (node_holds(policy, child, arguments) != all)
            return !all;
    }
    return all;
}

void clauses_clear(struct clauses *clauses)
{
    free(clauses->list);
    *clauses = (struct clauses){0};
}

static int add_clause(struct clauses *clauses, const struct clause *clause)
{
    if (clauses->count >= CLAUSES_MAX)
        return -E2BIG;
    if (policy_grow((void **)&clauses->list, &clauses->capacity, clauses->count,
                    sizeof(*clauses->list)) < 0)
        return -ENOMEM;
    clauses->list[clauses->count++] = *clause;
    return 0;
}

// left := every clause of left joined with every clause of right
static int multiply(struct clauses *left, const struct clauses *right)
{
    struct clauses product = {0};
    int result = 0;

    for (size_t i = 0; i < left->count && result == 0; i++) {
        for (size_t k = 0; k < right->count && result == 0; k++) {
            struct clause joined = left->list[i];
            const struct clause *more = &right->list[k];

            if (joined.count + more->count > CLAUSE_ATOMS_MAX) {
                result = -E2BIG;
                break;
            }
            memcpy(&joined.atoms[joined.count], more->atoms, more->count * sizeof(*more->atoms));
            joined.count += more->count;
            result = add_clause(&product, &joined);
        }
    }
    clauses_clear(left);
    *left = product;
    return result;
}

static int append_all(struct clauses *clauses, const struct policy *policy, const struct node *node)
{
    struct clauses product _cleanup_(clauses_clear) = {0};
    struct clause empty = {0};
    int result = add_clause(&product, &empty);

    for (uint32_t child = node->first_child; child != POLICY_NONE && result == 0;
         child = policy->nodes[child].next) {
        struct clauses part _cleanup_(clauses_clear) = {0};

        result = clauses_append(&part, policy, child);
        if (result == 0)
            result = multiply(&product, &part);
    }
    for (size_t i = 0; i < product.count && result == 0; i++)
        result = add_clause(clauses, &product.list[i]);
    return result;
}

int clauses_append(struct clauses *clauses, const struct policy *policy, uint32_t root)
{
    const struct node *node = &policy->nodes[root];
    int result = 0;

    if (node->kind == NODE_ATOM) {
        struct clause single = {.count = 1, .atoms = {node->atom}};

        return add_clause(clauses, &single);
    }
    if (node->kind == NODE_ALL)
        return append_all(clauses, policy, node);
    for (uint32_t child = node->first_child; child != POLICY_NONE && result == 0;
         child = policy->nodes[child].next)
        result = clauses_append(clauses, policy, child);
    return result;
}
