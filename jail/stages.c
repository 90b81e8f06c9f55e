// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The table of stages: what surrounds a jailed process, in the order in which it is built. Pure
// data and look-ups in it.
#include "jail/stage.h"

#include <errno.h>
#include <linux/sched.h>
#include <string.h>

#define NAMESPACE(flag, file) .clone_flag = (flag), .namespace_file = (file), .may_be_missing = true
#define KERNEL_OPTION(option) "use a kernel with " option

const struct jail_stage_row jail_stages[JAIL_STAGE_COUNT] = {
    [JAIL_USER_NS] = {.name = "user-ns",
                      .purpose = "its capabilities count for nothing outside",
                      .remedy = "allow user namespaces",
                      NAMESPACE(CLONE_NEWUSER, "user")},
    [JAIL_PID_NS] = {.name = "pid-ns",
                     .purpose = "it can name no other process",
                     .remedy = KERNEL_OPTION("CONFIG_PID_NS"),
                     NAMESPACE(CLONE_NEWPID, "pid")},
    [JAIL_MOUNT_NS] = {.name = "mount-ns",
                       .purpose = "what it sees mounted is its own",
                       .remedy = KERNEL_OPTION("CONFIG_NAMESPACES"),
                       NAMESPACE(CLONE_NEWNS, "mnt")},
    [JAIL_NETWORK_NS] = {.name = "network-ns",
                         .purpose = "no interface, no address, no abstract socket",
                         .remedy = KERNEL_OPTION("CONFIG_NET_NS"),
                         NAMESPACE(CLONE_NEWNET, "net")},
    [JAIL_IPC_NS] = {.name = "ipc-ns",
                     .purpose = "no System V object or message queue of others",
                     .remedy = KERNEL_OPTION("CONFIG_IPC_NS"),
                     NAMESPACE(CLONE_NEWIPC, "ipc")},
    [JAIL_UTS_NS] = {.name = "uts-ns",
                     .purpose = "a host name of its own",
                     .remedy = KERNEL_OPTION("CONFIG_UTS_NS"),
                     NAMESPACE(CLONE_NEWUTS, "uts")},
    [JAIL_CGROUP_NS] = {.name = "cgroup-ns",
                        .purpose = "it does not see which control groups it is in",
                        .remedy = KERNEL_OPTION("CONFIG_CGROUPS"),
                        NAMESPACE(CLONE_NEWCGROUP, "cgroup")},
    [JAIL_SESSION] = {.name = "session",
                      .purpose = "no controlling terminal, default signals, umask 077",
                      .finished_with = "the warden's signal handlers",
                      .apply = jail_session_apply},
    [JAIL_IDENTITY] = {.name = "identity",
                       .purpose = "one unprivileged uid and gid; started by root, its own",
                       .finished_with = "the warden's uid",
                       .apply = jail_identity_apply},
    [JAIL_NESTING] = {.name = "nesting",
                      .purpose = "no user namespace of its own making, with capabilities in it",
                      .remedy = "make /proc/sys/user writable",
                      .apply = jail_nesting_apply,
                      .may_be_missing = true},
    [JAIL_ROOT] = {.name = "root",
                   .purpose = "an empty read-only directory is all it can name",
                   .finished_with = "every path",
                   .remedy = "allow tmpfs in user namespaces",
                   .apply = jail_root_apply,
                   .may_be_missing = true},
    [JAIL_CAPABILITIES] = {.name = "capabilities",
                           .purpose = "none, in any set, and no way to get one",
                           .finished_with = "mounting, changing its uid",
                           .apply = jail_capabilities_apply,
                           .may_be_missing = true},
    [JAIL_NO_NEW_PRIVS] = {.name = "no-new-privs",
                           .purpose = "exec gives it nothing",
                           .finished_with = "set-uid executables",
                           .apply = jail_no_new_privs_apply},
    [JAIL_LANDLOCK] = {.name = "landlock",
                       .purpose = "no file, TCP port or signal, even if it got out of its root",
                       .finished_with = "every file but the executable",
                       .remedy = "boot with landlock in lsm= (CONFIG_SECURITY_LANDLOCK)",
                       .apply = jail_landlock_apply,
                       .may_be_missing = true},
    [JAIL_DESCRIPTORS] = {.name = "descriptors",
                          .purpose = "only the descriptors that it was given",
                          .finished_with = "the warden's descriptors",
                          .apply = jail_descriptors_apply},
    [JAIL_LIMITS] = {.name = "limits",
                     .purpose = "bounds on descriptors, threads, memory and files",
                     .finished_with = "more of anything",
                     .remedy = "raise the limits of the shell that starts Bulkhead (ulimit -H -a)",
                     .apply = jail_limits_apply},
    [JAIL_DEATH_SIGNAL] = {.name = "death-signal",
                           .purpose = "it ends when the warden ends",
                           .apply = jail_death_signal_apply},
    [JAIL_EXEC] = {.name = "exec",
                   .purpose = "its own executable, address space and empty environment",
                   .finished_with = "the copy of the warden's memory",
                   .remedy = "reinstall Bulkhead",
                   .apply = jail_exec_apply},
    [JAIL_SECCOMP] = {.name = "seccomp",
                      .purpose = "only the system calls of its policy (applied by itself)",
                      .remedy = KERNEL_OPTION("CONFIG_SECCOMP_FILTER"),
                      .may_be_missing = true},
};

const char *jail_stage_name(enum jail_stage stage)
{
    return jail_stages[stage].name;
}

const char *jail_stage_purpose(enum jail_stage stage)
{
    return jail_stages[stage].purpose;
}

int jail_stage_from_name(const char *name)
{
    for (int stage = 0; stage < JAIL_STAGE_COUNT; stage++)
        if (strcmp(jail_stages[stage].name, name) == 0)
            return jail_stages[stage].may_be_missing ? stage : -EPERM;
    return -EINVAL;
}
