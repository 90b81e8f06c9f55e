// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The namespaces: one clone3(2) makes the child and all of them. Runs in the warden. When the call
// fails it finds out which namespace is at fault, since the kernel does not say.
#include "ipc/cleanup.h"
#include "jail/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

static uint64_t clone_flags(uint32_t namespaces)
{
    uint64_t flags = 0;

    for (int stage = 0; stage < JAIL_NAMESPACE_COUNT; stage++)
        if (namespaces & JAIL_BIT(stage))
            flags |= jail_stages[stage].clone_flag;
    return flags;
}

static bool kernel_has(enum jail_stage stage)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/ns/%s", jail_stages[stage].namespace_file);
    return access(path, F_OK) == 0;
}

// The first of the namespaces asked for that the kernel lacks. When it has them all, the user
// namespace is what was refused: the rights to make the others come with it.
static enum jail_stage blame(uint32_t namespaces)
{
    for (int stage = 0; stage < JAIL_NAMESPACE_COUNT; stage++)
        if ((namespaces & JAIL_BIT(stage)) && !kernel_has(stage))
            return stage;
    return __builtin_ctz(namespaces);
}

pid_t jail_clone(const struct jail_spec *spec, uint32_t skipped, int *pidfd, uint32_t *missing,
                 enum jail_stage *failed)
{
    uint32_t namespaces = (JAIL_BIT(JAIL_NAMESPACE_COUNT) - 1) & ~skipped;

    *missing = 0;
    for (;;) {
        struct clone_args arguments = {
            .flags = clone_flags(namespaces) | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
            .pidfd = (uintptr_t)pidfd,
            .exit_signal = SIGCHLD,
        };
        long pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
        int error = errno;

        if (pid >= 0)
            return pid;
        *failed = namespaces ? blame(namespaces) : JAIL_NAMESPACE_COUNT;
        if (!namespaces || !(spec->allow_missing & JAIL_BIT(*failed)))
            return -error;
        *missing |= JAIL_BIT(*failed);
        namespaces &= ~JAIL_BIT(*failed);
    }
}

// A process without any capability could still make a user namespace and hold all of them there,
// which opens much of the kernel to attack. The limit is the namespace's own (namespaces(7)), and
// the child still has the right to set it. Without a user namespace of its own it would be the
// whole machine's; there the kernel refuses user namespaces already.
int jail_nesting_apply(struct jail_child *child)
{
    _cleanup_fd_
    int limit = -1;

    if (!(child->namespaces & JAIL_BIT(JAIL_USER_NS)))
        return 0;
    limit = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
    if (limit < 0)
        return -errno;
    return write(limit, "0", 1) == 1 ? 0 : -errno;
}
