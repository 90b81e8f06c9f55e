// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The last stage of a jail, applied by the jailed process to itself: a seccomp filter that the
// warden has compiled. These functions depend on nothing else, allocate nothing and print nothing,
// so that every static device can link them.
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <sys/types.h>

// The kernel's own bound on a program (BPF_MAXINSNS), which is the size of the largest buffer
// that a reader needs.
enum { JAIL_FILTER_INSTRUCTIONS_MAX = 4096 };

enum jail_lockdown_scope {
    JAIL_LOCKDOWN_THREAD,  // the calling thread and those that it makes afterwards
    JAIL_LOCKDOWN_PROCESS, // all threads of the process, at once or not at all
};

// Reads a program, an array of struct sock_filter from the start of a memfd or file, into a buffer
// for `capacity` instructions. The descriptor stays the caller's and its position is not used.
// Returns the number of instructions; -EINVAL when the size is zero or no multiple of an
// instruction; -E2BIG when it does not fit; -EIO when the file shrank; or the error of the read.
ssize_t jail_lockdown_read(int program_fd, struct sock_filter *program, size_t capacity);

// Installs a program. There is no way back. Returns 0; -EACCES when no_new_privs is not set;
// -EINVAL when the kernel refuses the program; -ENOSYS when the kernel has no seccomp filters;
// -ESRCH when a thread has another filter already and scope is JAIL_LOCKDOWN_PROCESS.
int jail_lockdown_install(const struct sock_filter *program, size_t count,
                          enum jail_lockdown_scope scope);

// Reads the program, closes the descriptor (in every case), installs the program for the whole
// process. After 0 only the system calls that it allows are left. Errors are those of the two
// functions above. The program stays mapped, read-only, since the filter may forbid to unmap it.
int jail_lockdown_filter(int steal_program_fd);
