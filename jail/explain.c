// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Why a jail could not be made, in one line with the remedy. Reads the kernel's settings that
// forbid namespaces; runs in the warden after a failure.
#include "ipc/cleanup.h"
#include "jail/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

// A setting that, at this value, is the likely cause of a failure with one of these errors, unless
// the warden is root and the setting is about everybody else.
static const struct setting {
    const char *path;
    const char *name;
    const char *value;
    const char *wanted;
    bool spares_root;
} settings[] = {
    {"/proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", "0", "1",
     true},
    {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
     "kernel.apparmor_restrict_unprivileged_userns", "1", "0", true},
    {"/proc/sys/user/max_user_namespaces", "user.max_user_namespaces", "0", "1000", false},
    {"/proc/sys/user/max_pid_namespaces", "user.max_pid_namespaces", "0", "1000", false},
    {"/proc/sys/user/max_mnt_namespaces", "user.max_mnt_namespaces", "0", "1000", false},
    {"/proc/sys/user/max_net_namespaces", "user.max_net_namespaces", "0", "1000", false},
    {"/proc/sys/user/max_ipc_namespaces", "user.max_ipc_namespaces", "0", "1000", false},
    {"/proc/sys/user/max_uts_namespaces", "user.max_uts_namespaces", "0", "1000", false},
    {"/proc/sys/user/max_cgroup_namespaces", "user.max_cgroup_namespaces", "0", "1000", false},
};

static bool holds(const struct setting *setting)
{
    _cleanup_fd_
    int fd = open(setting->path, O_RDONLY | O_CLOEXEC);
    char text[16];
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (size <= 0 || (setting->spares_root && geteuid() == 0))
        return false;
    text[size] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, setting->value) == 0;
}

// The setting that forbids namespaces here, or NULL.
static const struct setting *forbidding(void)
{
    for (size_t i = 0; i < array_size(settings); i++)
        if (holds(&settings[i]))
            return &settings[i];
    return NULL;
}

static bool is_refusal(int error)
{
    return error == -EPERM || error == -EACCES || error == -ENOSPC || error == -EUSERS;
}

// Stages that need the rights which come with the user namespace.
static bool needs_namespaces(enum jail_stage stage)
{
    return stage < JAIL_NAMESPACE_COUNT || stage == JAIL_IDENTITY || stage == JAIL_ROOT ||
           stage == JAIL_CAPABILITIES;
}

// What to do about it, where the stage and the error tell.
static void remedy(enum jail_stage stage, int error, char *text, size_t size)
{
    const struct setting *setting =
        needs_namespaces(stage) && is_refusal(error) ? forbidding() : NULL;

    if (setting)
        snprintf(text, size, "forbidden by %s=%s: `sysctl -w %s=%s`%s", setting->name,
                 setting->value, setting->name, setting->wanted,
                 setting->spares_root ? ", or start as root" : "");
    else if (stage < JAIL_NAMESPACE_COUNT && error == -ENOSPC)
        snprintf(text, size, "too many namespaces: raise the user.max_*_namespaces settings");
    else if (stage == JAIL_USER_NS && is_refusal(error))
        snprintf(text, size, "forbidden here: inside a chroot, or by the container around us");
    else if (stage == JAIL_IDENTITY)
        snprintf(text, size, "its uid cannot be mapped: start from the host's own user namespace");
    else if (stage == JAIL_EXEC && error == -ENOENT)
        snprintf(text, size, "its dynamic loader is not in the jail: link it statically");
    else if (stage == JAIL_EXEC && error == -EACCES)
        snprintf(text, size, "not executable for every user: chmod 755, and no noexec mount");
    else if (stage < JAIL_STAGE_COUNT && jail_stages[stage].remedy)
        snprintf(text, size, "%s", jail_stages[stage].remedy);
    else
        text[0] = '\0';
}

void jail_explain(const struct jail_spec *spec, enum jail_stage stage, int error, char *reason,
                  size_t reason_size)
{
    const char *role = spec->role ? spec->role : "process";
    char advice[200];

    if (reason_size == 0)
        return;
    if (stage >= JAIL_STAGE_COUNT && error == -EINVAL && geteuid() == 0 && spec->uid == 0) {
        snprintf(reason, reason_size, "%s: started by root, its jail needs a uid of its own", role);
        return;
    }
    if (stage >= JAIL_STAGE_COUNT) {
        snprintf(reason, reason_size, "%s: cannot start its jail: %s", role, strerror(-error));
        return;
    }
    remedy(stage, error, advice, sizeof(advice));
    snprintf(reason, reason_size, "%s: jail stage %s failed: %s%s%s%s%s%s", role,
             jail_stages[stage].name, strerror(-error), advice[0] ? " (" : "", advice,
             jail_stages[stage].may_be_missing ? "; to run without it: --allow-missing " : "",
             jail_stages[stage].may_be_missing ? jail_stages[stage].name : "",
             advice[0] ? ")" : "");
}
