// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A seccomp filter, walked with the call's number known and its arguments unknown. Classic BPF only
// jumps forwards, so one pass over the instructions in their order sees every path: each
// instruction collects the machine states that can arrive there, and hands what it makes of them to
// those behind.
#include "jail/policy/reach.h"

#include "ipc/cleanup.h"
#include "jail/policy/policy.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

// Registers of the machine: its scratch memory, then A and X.
enum { A = BPF_MEMWORDS, X, REGISTERS };

// Different states kept at one instruction; beyond these, registers that differ become unknown.
#define STATES_MAX 4

struct state {
    uint32_t known; // bit per register
    uint32_t registers[REGISTERS];
};

struct arrivals {
    unsigned count;
    struct state states[STATES_MAX];
};

struct walk {
    const struct sock_filter *insns;
    unsigned count;
    struct arrivals *arrivals; // one per instruction
    uint32_t call;
    bool permits; // some path let the call through
};

static bool is_known(const struct state *state, unsigned index)
{
    return state->known >> index & 1;
}

static void set(struct state *state, unsigned index, bool known, uint32_t value)
{
    state->known = (state->known & ~(1U << index)) | (uint32_t)known << index;
    state->registers[index] = known ? value : 0;
}

static void copy(struct state *state, unsigned to, unsigned from)
{
    set(state, to, is_known(state, from), state->registers[from]);
}

// Leaves of `into` what both states know alike.
static void join(struct state *into, const struct state *other)
{
    for (unsigned i = 0; i < REGISTERS; i++)
        if (!is_known(other, i) || into->registers[i] != other->registers[i])
            set(into, i, false, 0);
}

// The state arrives at an instruction. Programs that end without a verdict are refused by kernels.
static int arrive(struct walk *walk, size_t target, const struct state *state)
{
    struct arrivals *there;

    if (target >= walk->count)
        return -EINVAL;
    there = &walk->arrivals[target];
    for (unsigned i = 0; i < there->count; i++)
        if (memcmp(&there->states[i], state, sizeof(*state)) == 0)
            return 0;
    if (there->count < STATES_MAX)
        there->states[there->count++] = *state;
    else
        join(&there->states[STATES_MAX - 1], state);
    return 0;
}

static int load(struct walk *walk, const struct sock_filter *insn, struct state *state,
                unsigned into)
{
    switch (BPF_MODE(insn->code)) {
    case BPF_IMM:
        set(state, into, true, insn->k);
        return 0;
    case BPF_LEN:
        set(state, into, true, sizeof(struct seccomp_data));
        return 0;
    case BPF_MEM:
        if (insn->k >= BPF_MEMWORDS)
            return -EINVAL;
        copy(state, into, insn->k);
        return 0;
    case BPF_ABS:
        if (into != A || insn->k % 4 != 0 || insn->k >= sizeof(struct seccomp_data))
            return -EINVAL;
        set(state, A, false, 0);
        if (insn->k == offsetof(struct seccomp_data, nr))
            set(state, A, true, walk->call);
        if (insn->k == offsetof(struct seccomp_data, arch))
            set(state, A, true, AUDIT_ARCH_X86_64);
        return 0;
    default:
        return -EINVAL;
    }
}

static int store(const struct sock_filter *insn, struct state *state, unsigned from)
{
    if (insn->k >= BPF_MEMWORDS)
        return -EINVAL;
    copy(state, insn->k, from);
    return 0;
}

static int compute(uint16_t operation, uint32_t a, uint32_t b, uint32_t *result)
{
    switch (operation) {
    case BPF_ADD:
        *result = a + b;
        return 0;
    case BPF_SUB:
        *result = a - b;
        return 0;
    case BPF_MUL:
        *result = a * b;
        return 0;
    case BPF_DIV:
        *result = b != 0 ? a / b : 0;
        return 0;
    case BPF_AND:
        *result = a & b;
        return 0;
    case BPF_OR:
        *result = a | b;
        return 0;
    case BPF_XOR:
        *result = a ^ b;
        return 0;
    case BPF_LSH:
        *result = b < 32 ? a << b : 0;
        return 0;
    case BPF_RSH:
        *result = b < 32 ? a >> b : 0;
        return 0;
    case BPF_NEG:
        *result = 0 - a;
        return 0;
    default:
        return -EINVAL;
    }
}

static int calculate(const struct sock_filter *insn, struct state *state)
{
    bool by_x = BPF_SRC(insn->code) == BPF_X;
    bool known = is_known(state, A) && (!by_x || is_known(state, X));
    uint32_t result = 0;
    int error = compute(BPF_OP(insn->code), state->registers[A],
                        by_x ? state->registers[X] : insn->k, &result);

    set(state, A, known, result);
    return error;
}

static int move(const struct sock_filter *insn, struct state *state)
{
    if (BPF_MISCOP(insn->code) == BPF_TAX)
        copy(state, X, A);
    else if (BPF_MISCOP(insn->code) == BPF_TXA)
        copy(state, A, X);
    else
        return -EINVAL;
    return 0;
}

static int compare(uint16_t operation, uint32_t a, uint32_t b, bool *result)
{
    switch (operation) {
    case BPF_JEQ:
        *result = a == b;
        return 0;
    case BPF_JGT:
        *result = a > b;
        return 0;
    case BPF_JGE:
        *result = a >= b;
        return 0;
    case BPF_JSET:
        *result = (a & b) != 0;
        return 0;
    default:
        return -EINVAL;
    }
}

// A test of what is unknown goes both ways.
static int jump(struct walk *walk, size_t at, const struct state *state)
{
    const struct sock_filter *insn = &walk->insns[at];
    bool by_x = BPF_SRC(insn->code) == BPF_X;
    bool known = is_known(state, A) && (!by_x || is_known(state, X));
    bool holds = false;
    int error;

    if (BPF_OP(insn->code) == BPF_JA)
        return arrive(walk, at + 1 + insn->k, state);
    error = compare(BPF_OP(insn->code), state->registers[A], by_x ? state->registers[X] : insn->k,
                    &holds);
    if (error == 0 && (!known || holds))
        error = arrive(walk, at + 1 + insn->jt, state);
    if (error == 0 && (!known || !holds))
        error = arrive(walk, at + 1 + insn->jf, state);
    return error;
}

static int verdict(struct walk *walk, const struct sock_filter *insn, const struct state *state)
{
    if (BPF_RVAL(insn->code) == BPF_K)
        walk->permits |= policy_action_permits(insn->k);
    else if (BPF_RVAL(insn->code) == BPF_A)
        walk->permits |= !is_known(state, A) || policy_action_permits(state->registers[A]);
    else
        return -EINVAL;
    return 0;
}

static int step(struct walk *walk, size_t at, struct state state)
{
    const struct sock_filter *insn = &walk->insns[at];
    int error = 0;

    switch (BPF_CLASS(insn->code)) {
    case BPF_RET:
        return verdict(walk, insn, &state);
    case BPF_JMP:
        return jump(walk, at, &state);
    case BPF_LD:
        error = load(walk, insn, &state, A);
        break;
    case BPF_LDX:
        error = load(walk, insn, &state, X);
        break;
    case BPF_ST:
        error = store(insn, &state, A);
        break;
    case BPF_STX:
        error = store(insn, &state, X);
        break;
    case BPF_ALU:
        error = calculate(insn, &state);
        break;
    case BPF_MISC:
        error = move(insn, &state);
        break;
    }
    return error != 0 ? error : arrive(walk, at + 1, &state);
}

static int walk_all(struct walk *walk)
{
    const struct state start = {.known = (1U << REGISTERS) - 1}; // the machine begins with zeros
    int error;

    for (unsigned i = 0; i < walk->count; i++)
        walk->arrivals[i].count = 0;
    walk->permits = false;
    error = arrive(walk, 0, &start);
    for (size_t at = 0; error == 0 && at < walk->count && !walk->permits; at++)
        for (unsigned i = 0; error == 0 && i < walk->arrivals[at].count; i++)
            error = step(walk, at, walk->arrivals[at].states[i]);
    return error;
}

int reach_of_filter(const struct sock_filter *insns, unsigned count, struct reach *out)
{
    _cleanup_free_
    struct arrivals *arrivals = NULL;
    struct walk walk = {.insns = insns, .count = count};

    *out = (struct reach){0};
    if (count == 0 || count > BPF_MAXINSNS)
        return -EINVAL;
    arrivals = calloc(count, sizeof(*arrivals));
    if (arrivals == NULL)
        return -ENOMEM;
    walk.arrivals = arrivals;
    for (walk.call = 0; walk.call < REACH_CALLS; walk.call++) {
        int error = policy_call_name(walk.call) != NULL ? walk_all(&walk) : 0;

        if (error < 0)
            return error;
        if (policy_call_name(walk.call) != NULL && walk.permits)
            out->calls[walk.call / 64] |= UINT64_C(1) << walk.call % 64;
    }
    return 0;
}

struct reach reach_all(void)
{
    struct reach all = {0};

    for (unsigned call = 0; call < REACH_CALLS; call++)
        if (policy_call_name(call) != NULL)
            all.calls[call / 64] |= UINT64_C(1) << call % 64;
    return all;
}

struct reach reach_both(const struct reach *a, const struct reach *b)
{
    struct reach both;

    for (size_t i = 0; i < array_size(both.calls); i++)
        both.calls[i] = a->calls[i] & b->calls[i];
    return both;
}

unsigned reach_count(const struct reach *reach)
{
    unsigned count = 0;

    for (size_t i = 0; i < array_size(reach->calls); i++)
        count += (unsigned)__builtin_popcountll(reach->calls[i]);
    return count;
}

bool reach_has(const struct reach *reach, unsigned call)
{
    return call < REACH_CALLS && (reach->calls[call / 64] >> call % 64 & 1) != 0;
}
