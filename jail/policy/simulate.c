// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The classic BPF that seccomp accepts (kernel/seccomp.c, seccomp_check_filter), interpreted. Jumps
// only go forwards, so every program ends after at most `count` steps.
#include "jail/policy/simulate.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct machine {
    uint32_t accumulator, index, memory[BPF_MEMWORDS];
    const struct seccomp_data *data;
    unsigned at;
    bool ended;
};

static int load(struct machine *machine, const struct sock_filter *instruction)
{
    uint32_t *target =
        BPF_CLASS(instruction->code) == BPF_LD ? &machine->accumulator : &machine->index;

    switch (BPF_MODE(instruction->code)) {
    case BPF_ABS:
        if (instruction->code != (BPF_LD | BPF_W | BPF_ABS) || instruction->k % 4 ||
            instruction->k > sizeof(*machine->data) - 4)
            return -EINVAL;
        memcpy(target, (const char *)machine->data + instruction->k, 4);
        return 0;
    case BPF_IMM:
        *target = instruction->k;
        return 0;
    case BPF_LEN:
        *target = sizeof(*machine->data);
        return 0;
    case BPF_MEM:
        if (instruction->k >= BPF_MEMWORDS)
            return -EINVAL;
        *target = machine->memory[instruction->k];
        return 0;
    default:
        return -EINVAL;
    }
}

static int calculate(struct machine *machine, const struct sock_filter *instruction)
{
    uint32_t left = machine->accumulator;
    uint32_t right = BPF_SRC(instruction->code) == BPF_X ? machine->index : instruction->k;

    switch (BPF_OP(instruction->code)) {
    case BPF_ADD:
        machine->accumulator = left + right;
        return 0;
    case BPF_SUB:
        machine->accumulator = left - right;
        return 0;
    case BPF_MUL:
        machine->accumulator = left * right;
        return 0;
    case BPF_DIV:
        machine->accumulator = right ? left / right : 0;
        return right || BPF_SRC(instruction->code) == BPF_X ? 0 : -EINVAL;
    case BPF_AND:
        machine->accumulator = left & right;
        return 0;
    case BPF_OR:
        machine->accumulator = left | right;
        return 0;
    case BPF_XOR:
        machine->accumulator = left ^ right;
        return 0;
    case BPF_LSH:
        machine->accumulator = right < 32 ? left << right : 0;
        return 0;
    case BPF_RSH:
        machine->accumulator = right < 32 ? left >> right : 0;
        return 0;
    case BPF_NEG:
        machine->accumulator = 0U - left;
        return 0;
    default:
        return -EINVAL;
    }
}

static int jump(struct machine *machine, const struct sock_filter *instruction, unsigned count)
{
    uint32_t left = machine->accumulator;
    uint32_t right = BPF_SRC(instruction->code) == BPF_X ? machine->index : instruction->k;
    bool holds;

    switch (BPF_OP(instruction->code)) {
    case BPF_JA:
        if (instruction->k >= count - machine->at)
            return -EINVAL;
        machine->at += instruction->k;
        return 0;
    case BPF_JEQ:
        holds = left == right;
        break;
    case BPF_JGT:
        holds = left > right;
        break;
    case BPF_JGE:
        holds = left >= right;
        break;
    case BPF_JSET:
        holds = (left & right) != 0;
        break;
    default:
        return -EINVAL;
    }
    machine->at += holds ? instruction->jt : instruction->jf;
    return 0;
}

static int step(struct machine *machine, const struct sock_filter *instruction, unsigned count,
                uint32_t *action)
{
    switch (BPF_CLASS(instruction->code)) {
    case BPF_LD:
    case BPF_LDX:
        return load(machine, instruction);
    case BPF_ST:
    case BPF_STX:
        if (instruction->k >= BPF_MEMWORDS)
            return -EINVAL;
        machine->memory[instruction->k] =
            BPF_CLASS(instruction->code) == BPF_ST ? machine->accumulator : machine->index;
        return 0;
    case BPF_ALU:
        return calculate(machine, instruction);
    case BPF_JMP:
        return jump(machine, instruction, count);
    case BPF_RET:
        machine->ended = true;
        *action = BPF_RVAL(instruction->code) == BPF_A ? machine->accumulator : instruction->k;
        return BPF_RVAL(instruction->code) == BPF_X ? -EINVAL : 0;
    case BPF_MISC:
        if (BPF_MISCOP(instruction->code) == BPF_TAX)
            machine->index = machine->accumulator;
        else
            machine->accumulator = machine->index;
        return 0;
    default:
        return -EINVAL;
    }
}

int bpf_simulate(const struct sock_filter *insns, unsigned count, const struct seccomp_data *data,
                 uint32_t *action, unsigned *steps)
{
    struct machine machine = {.data = data};
    unsigned done = 0;

    while (!machine.ended) {
        const struct sock_filter *instruction;
        int error;

        if (machine.at >= count)
            return -EINVAL;
        instruction = &insns[machine.at++];
        done++;
        error = step(&machine, instruction, count, action);
        if (error < 0)
            return error;
    }
    if (steps)
        *steps = done;
    return 0;
}
