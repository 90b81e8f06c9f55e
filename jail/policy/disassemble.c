// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Prints a seccomp filter. What the accumulator holds at each instruction is followed along the
// jumps, so that numbers can be shown as what they are: calls, architectures, halves of arguments.
#include "ipc/cleanup.h"
#include "jail/policy/policy.h"
#include "jail/policy/simulate.h"

#include <linux/audit.h>
#include <stddef.h>
#include <stdlib.h>

#define UNKNOWN UINT32_MAX

static const char *field_name(uint32_t offset, char *buffer, size_t size)
{
    if (offset == offsetof(struct seccomp_data, nr))
        return "call";
    if (offset == offsetof(struct seccomp_data, arch))
        return "architecture";
    if (offset < offsetof(struct seccomp_data, args))
        snprintf(buffer, size, "instruction pointer, %s half", offset == 8 ? "lower" : "upper");
    else
        snprintf(buffer, size, "arg%u, %s half", (offset - 16) / 8, offset % 8 ? "upper" : "lower");
    return buffer;
}

static const char *value_name(uint32_t field, uint32_t value)
{
    if (field == offsetof(struct seccomp_data, nr))
        return policy_call_name(value);
    if (field == offsetof(struct seccomp_data, arch) && value == AUDIT_ARCH_X86_64)
        return "x86_64";
    return NULL;
}

static void put_jump(FILE *out, const struct sock_filter *instruction, unsigned at, uint32_t field)
{
    static const char *const names[] = {[BPF_JEQ >> 4] = "jeq",
                                        [BPF_JGT >> 4] = "jgt",
                                        [BPF_JGE >> 4] = "jge",
                                        [BPF_JSET >> 4] = "jset"};
    unsigned op = BPF_OP(instruction->code) >> 4;
    const char *name = value_name(field, instruction->k);

    if (BPF_OP(instruction->code) == BPF_JA) {
        fprintf(out, "ja   %04u", at + 1 + instruction->k);
        return;
    }
    fprintf(out, "%-4s #0x%x, %04u, %04u", op < array_size(names) && names[op] ? names[op] : "j?",
            instruction->k, at + 1 + instruction->jt, at + 1 + instruction->jf);
    if (name)
        fprintf(out, "  ; %s", name);
}

static void put_instruction(FILE *out, const struct sock_filter *instruction, unsigned at,
                            uint32_t field)
{
    char text[64];

    switch (BPF_CLASS(instruction->code)) {
    case BPF_LD:
        fprintf(out, "ld   [%u]", instruction->k);
        if (instruction->code == (BPF_LD | BPF_W | BPF_ABS))
            fprintf(out, "  ; %s", field_name(instruction->k, text, sizeof(text)));
        break;
    case BPF_JMP:
        put_jump(out, instruction, at, field);
        break;
    case BPF_RET:
        fprintf(out, "ret  #0x%08x  ; %s", instruction->k,
                policy_action_text(instruction->k, text, sizeof(text)));
        break;
    case BPF_ALU:
        fprintf(out, "alu  0x%02x #0x%x", instruction->code, instruction->k);
        break;
    default:
        fprintf(out, "op   0x%02x #0x%x", instruction->code, instruction->k);
        break;
    }
}

static void note(uint32_t *fields, unsigned count, size_t target, uint32_t field)
{
    if (target < count && fields[target] == UNKNOWN)
        fields[target] = field;
}

void bpf_disassemble(const struct sock_filter *insns, unsigned count, FILE *out)
{
    uint32_t *fields _cleanup_free_
    = malloc((count + 1) * sizeof(*fields));

    if (!fields)
        return;
    for (unsigned i = 0; i <= count; i++)
        fields[i] = UNKNOWN;
    for (unsigned i = 0; i < count; i++) {
        const struct sock_filter *instruction = &insns[i];
        uint32_t field = fields[i];

        fprintf(out, "%04u: ", i);
        put_instruction(out, instruction, i, field);
        fputc('\n', out);
        if (instruction->code == (BPF_LD | BPF_W | BPF_ABS))
            field = instruction->k;
        else if (BPF_CLASS(instruction->code) != BPF_JMP)
            field = UNKNOWN;
        if (BPF_CLASS(instruction->code) != BPF_JMP) {
            note(fields, count, i + 1, field);
        } else if (BPF_OP(instruction->code) == BPF_JA) {
            note(fields, count, (size_t)i + 1 + instruction->k, field);
        } else {
            note(fields, count, (size_t)i + 1 + instruction->jt, field);
            note(fields, count, (size_t)i + 1 + instruction->jf, field);
        }
    }
}
