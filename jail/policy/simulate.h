// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Runs and prints seccomp filters without a kernel.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>

// Runs a filter on one call. *action becomes its verdict, *steps (may be NULL) the number of
// instructions executed. A program that the kernel would refuse gives -EINVAL: unknown
// instructions, loads outside the call's data, jumps beyond the end, an end without verdict.
int bpf_simulate(const struct sock_filter *insns, unsigned count, const struct seccomp_data *data,
                 uint32_t *action, unsigned *steps);

// One line for each instruction, in the manner of bpf_asm(1), with names of calls and verdicts.
void bpf_disassemble(const struct sock_filter *insns, unsigned count, FILE *out);
