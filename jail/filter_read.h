// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The seccomp filters that a thread has, read back from the kernel. The kernel shows them only of a
// stopped thread and only to root (CAP_SYS_ADMIN), see PTRACE_SECCOMP_GET_FILTER in ptrace(2).
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

struct jail_filter {
    struct sock_filter *insns; // owned
    unsigned count;
};

// Stops the thread for as long as the copying takes, reads its filters, the newest first, and lets
// it go on as it was: a signal that arrived meanwhile is delivered, a call in which it waited goes
// on or returns EINTR. Should the caller die in between, the kernel lets the thread go.
//
// Returns how many filters there are (the caller frees them with jail_filters_clear), 0 for none;
// -EACCES for want of rights; -EPERM when another debugger has the thread; -E2BIG when there are
// more than `capacity`; -ESRCH when it is dead; -ETIMEDOUT when it cannot be stopped (it sleeps
// uninterruptibly; it is let go when the caller ends); -EOPNOTSUPP when the kernel cannot show
// filters (it was built without CONFIG_CHECKPOINT_RESTORE); -ENOMEM.
int jail_filters_read(pid_t thread, struct jail_filter *filters, unsigned capacity);

void jail_filters_clear(struct jail_filter *filters, unsigned count);
