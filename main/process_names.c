// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The kernel's words for what a process may do.
#include "main/process_list.h"

#include "ipc/cleanup.h"

#include <assert.h>
#include <linux/capability.h>

// In the order of enum jail_stage.
static const char *const namespaces[] = {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"};
static_assert(array_size(namespaces) == JAIL_NAMESPACE_COUNT, "one name for each namespace");

// capabilities(7), in the order of their numbers.
static const char *const capabilities[] = {
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
};
static_assert(array_size(capabilities) == CAP_CHECKPOINT_RESTORE + 1, "one name for each");

const char *process_namespace_name(unsigned index)
{
    return index < array_size(namespaces) ? namespaces[index] : "?";
}

const char *process_capability_name(unsigned number)
{
    return number < array_size(capabilities) ? capabilities[number] : NULL;
}
