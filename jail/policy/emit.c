// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Tests of arguments as BPF, from the expression tree itself. BPF loads 32 bits at a time; every
// test looks at both halves of an argument, so that nothing hides in the upper one.
#include "jail/policy/emit.h"

#include <errno.h>
#include <string.h>

#define JUMP_MAX 255

void emitter_clear(struct emitter *emitter)
{
    free(emitter->code);
    *emitter = (struct emitter){0};
}

static place put(struct emitter *emitter, struct sock_filter instruction)
{
    if (emitter->error)
        return emitter->count;
    if (emitter->count >= BPF_MAXINSNS)
        emitter->error = -E2BIG;
    else if (policy_grow((void **)&emitter->code, &emitter->capacity, emitter->count,
                         sizeof(*emitter->code)) < 0)
        emitter->error = -ENOMEM;
    else
        emitter->code[emitter->count++] = instruction;
    return emitter->count;
}

place emit(struct emitter *emitter, uint16_t code, uint32_t k)
{
    return put(emitter, (struct sock_filter){.code = code, .k = k});
}

// How far the next instruction to be written would have to jump.
static size_t distance(const struct emitter *emitter, place target)
{
    return emitter->count - target;
}

// A target that a conditional jump can reach, even when `room` more instructions come between.
static place reachable(struct emitter *emitter, place target, size_t room)
{
    if (distance(emitter, target) + room <= JUMP_MAX)
        return target;
    return emit(emitter, BPF_JMP | BPF_JA, (uint32_t)distance(emitter, target));
}

place emit_branch(struct emitter *emitter, uint16_t code, uint32_t k, place if_true, place if_false)
{
    if_false = reachable(emitter, if_false, 1);
    if_true = reachable(emitter, if_true, 0);
    return put(emitter, (struct sock_filter){.code = code,
                                             .jt = (uint8_t)distance(emitter, if_true),
                                             .jf = (uint8_t)distance(emitter, if_false),
                                             .k = k});
}

static place load_half(struct emitter *emitter, unsigned argument, bool high)
{
    size_t at = offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t);

    return emit(emitter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(at + (high ? 4 : 0)));
}

static place emit_jump_to(struct emitter *emitter, place target)
{
    if (target == emitter->count)
        return target;
    return emit(emitter, BPF_JMP | BPF_JA, (uint32_t)distance(emitter, target));
}

static place emit_equal(struct emitter *emitter, unsigned argument, uint64_t value, place if_true,
                        place if_false)
{
    place low;

    emit_branch(emitter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)value, if_true, if_false);
    low = load_half(emitter, argument, false);
    emit_branch(emitter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value >> 32), low, if_false);
    return load_half(emitter, argument, true);
}

// `test` is BPF_JGE or BPF_JGT, for the lower half.
static place emit_greater(struct emitter *emitter, unsigned argument, uint64_t value, uint16_t test,
                          place if_true, place if_false)
{
    place low, same;

    emit_branch(emitter, (uint16_t)(BPF_JMP | test | BPF_K), (uint32_t)value, if_true, if_false);
    low = load_half(emitter, argument, false);
    same = emit_branch(emitter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value >> 32), low, if_false);
    emit_branch(emitter, BPF_JMP | BPF_JGT | BPF_K, (uint32_t)(value >> 32), if_true, same);
    return load_half(emitter, argument, true);
}

// True if any bit of the mask is set.
static place emit_bits(struct emitter *emitter, unsigned argument, uint64_t mask, place if_true,
                       place if_false)
{
    uint32_t low = (uint32_t)mask, high = (uint32_t)(mask >> 32);
    place next = if_false;

    if (mask == 0)
        return emit_jump_to(emitter, if_false);
    if (low) {
        emit_branch(emitter, BPF_JMP | BPF_JSET | BPF_K, low, if_true, if_false);
        next = load_half(emitter, argument, false);
    }
    if (high) {
        emit_branch(emitter, BPF_JMP | BPF_JSET | BPF_K, high, if_true, next);
        next = load_half(emitter, argument, true);
    }
    return next;
}

place emit_atom(struct emitter *emitter, const struct atom *atom, place if_true, place if_false)
{
    switch ((enum policy_operator)atom->op) {
    case OP_EQUAL:
        return emit_equal(emitter, atom->argument, atom->value, if_true, if_false);
    case OP_NOT_EQUAL:
        return emit_equal(emitter, atom->argument, atom->value, if_false, if_true);
    case OP_GREATER_EQUAL:
        return emit_greater(emitter, atom->argument, atom->value, BPF_JGE, if_true, if_false);
    case OP_GREATER:
        return emit_greater(emitter, atom->argument, atom->value, BPF_JGT, if_true, if_false);
    case OP_LESS:
        return emit_greater(emitter, atom->argument, atom->value, BPF_JGE, if_false, if_true);
    case OP_LESS_EQUAL:
        return emit_greater(emitter, atom->argument, atom->value, BPF_JGT, if_false, if_true);
    case OP_ANY_BIT:
        return emit_bits(emitter, atom->argument, atom->value, if_true, if_false);
    case OP_INSIDE:
        return emit_bits(emitter, atom->argument, ~atom->value, if_false, if_true);
    case OP_COUNT:
        break;
    }
    emitter->error = -EINVAL;
    return if_false;
}

// Children are written from the last to the first; each falls through to the one behind it.
static place emit_children(struct emitter *emitter, const struct policy *policy, uint32_t child,
                           bool all, place if_true, place if_false)
{
    uint32_t *list _cleanup_free_
    = NULL;
    size_t count = 0, capacity = 0;
    place next = all ? if_true : if_false;

    for (; child != POLICY_NONE; child = policy->nodes[child].next) {
        if (policy_grow((void **)&list, &capacity, count, sizeof(*list)) < 0) {
            emitter->error = -ENOMEM;
            return if_false;
        }
        list[count++] = child;
    }
    while (count > 0) {
        child = list[--count];
        next = all ? emit_expression(emitter, policy, child, next, if_false)
                   : emit_expression(emitter, policy, child, if_true, next);
    }
    return next;
}

place emit_expression(struct emitter *emitter, const struct policy *policy, uint32_t root,
                      place if_true, place if_false)
{
    const struct node *node = &policy->nodes[root];

    if (node->kind == NODE_ATOM)
        return emit_atom(emitter, &node->atom, if_true, if_false);
    return emit_children(emitter, policy, node->first_child, node->kind == NODE_ALL, if_true,
                         if_false);
}
