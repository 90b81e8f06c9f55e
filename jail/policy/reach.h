// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Which system calls a seccomp filter can let through at all: found by walking every path of the
// program, not by knowing which policy it came from. Pure: (program, length) in, a set out; the
// program may be anything that a kernel hands out.
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#define REACH_CALLS 1024 // x86_64 call numbers lie below

// A set of system calls, one bit each.
struct reach {
    uint64_t calls[REACH_CALLS / 64];
};

// Every system call that has a name: what a thread without a filter can do.
struct reach reach_all(void);

// The calls of x86_64 for which some path through the program ends in SECCOMP_RET_ALLOW or
// SECCOMP_RET_LOG, for arguments that the program may test as it likes. Paths that exclude each
// other by two tests of one argument are walked all the same: the set may be too large, never too
// small. Returns 0; -EINVAL for a program that seccomp(2) would refuse; -ENOMEM.
int reach_of_filter(const struct sock_filter *insns, unsigned count, struct reach *out);

// A thread with several filters can do what all of them let through.
struct reach reach_both(const struct reach *a, const struct reach *b);
unsigned reach_count(const struct reach *reach);
bool reach_has(const struct reach *reach, unsigned call);
