// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Trust is verified: what a jail should be, looked up in the kernel from outside. A table of
// checks, each tied to the stage that it confirms; a stage that is missing by permission is not
// looked for. Runs in the warden.
#include "jail/verify.h"
#include "ipc/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

int jail_complain(struct look *look, const char *format, ...)
{
    va_list arguments;
    int prefix = 0;

    if (look->reason_size > 0)
        prefix = snprintf(look->reason, look->reason_size,
                          "%s (pid %d) is not jailed as asked: ", look->spec->role,
                          (int)look->jailed->pid);
    if (prefix < 0 || (size_t)prefix >= look->reason_size)
        return -EPERM;
    va_start(arguments, format);
    vsnprintf(look->reason + prefix, look->reason_size - prefix, format, arguments);
    va_end(arguments);
    return -EPERM;
}

void jail_close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

DIR *jail_open_directory(int proc, const char *name)
{
    int fd = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !directory)
        close(fd);
    return directory;
}

// The next entry that is neither "." nor "..".
const char *jail_next_name(DIR *directory)
{
    struct dirent *entry;

    while ((entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry->d_name;
    return NULL;
}

bool jail_is_looked_for(const struct look *look, enum jail_stage stage)
{
    // Seccomp comes after the spawn: that it is missing is found here, and then may be allowed.
    if (stage == JAIL_SECCOMP)
        return !(look->spec->allow_missing & JAIL_BIT(stage));
    return !(look->jailed->missing & JAIL_BIT(stage));
}

static int check_namespaces(struct look *look)
{
    for (int stage = 0; stage < JAIL_NAMESPACE_COUNT; stage++) {
        uint32_t bit = JAIL_BIT(stage);

        if (!(look->facts.own_namespaces & bit) && !(look->jailed->missing & bit))
            return jail_complain(look, "it shares our %s", jail_stages[stage].name);
    }
    return 0;
}

static int check_session(struct look *look)
{
    if (look->facts.session != look->jailed->pid)
        return jail_complain(look, "it does not lead a session of its own");
    if (look->facts.umask != 077)
        return jail_complain(look, "its umask is %03o, not 077", look->facts.umask);
    return 0;
}

static int check_exec(struct look *look)
{
    struct stat runs, asked;

    if (fstatat(look->proc, "exe", &runs, 0) != 0 || fstat(look->spec->executable_fd, &asked) != 0)
        return -errno;
    if (runs.st_dev != asked.st_dev || runs.st_ino != asked.st_ino)
        return jail_complain(look, "it runs another executable");
    return 0;
}

static int check_limits(struct look *look)
{
    int resource;
    uint64_t value;
    const char *name;

    for (size_t i = 0; jail_limit_row(look->spec, i, &resource, &value, &name) == 0; i++) {
        struct rlimit limit;

        if (prlimit(look->jailed->pid, resource, NULL, &limit) != 0)
            return -errno;
        if (limit.rlim_cur > value || limit.rlim_max > value)
            return jail_complain(look, "its limit of %s is %llu, not %llu", name,
                                 (unsigned long long)limit.rlim_max, (unsigned long long)value);
    }
    return 0;
}

// Landlock and the death signal cannot be read from outside.
static const struct {
    enum jail_stage stage;
    int (*check)(struct look *look);
} checks[] = {
    {JAIL_STAGE_COUNT, check_namespaces},
    {JAIL_STAGE_COUNT, jail_check_threads},
    {JAIL_SESSION, check_session},
    {JAIL_ROOT, jail_check_root},
    {JAIL_DESCRIPTORS, jail_check_descriptors},
    {JAIL_LIMITS, check_limits},
    {JAIL_EXEC, check_exec},
};

// Whether the process is there: then /proc/PID, opened before, was its own.
static int check_alive(const struct jailed *jailed)
{
    struct pollfd pidfd = {.fd = jailed->pidfd, .events = POLLIN};
    int ready = poll(&pidfd, 1, 0);

    return ready < 0 ? -errno : ready > 0 ? -ESRCH : 0;
}

static int check_all(struct look *look)
{
    int error = check_alive(look->jailed);

    if (look->jailed->missing & ~look->spec->allow_missing)
        return jail_complain(look, "a stage is missing that must not be");
    if (error == 0)
        error = jail_facts_read_status(look->proc, "status", &look->facts);
    if (error == 0)
        error = jail_facts_read_namespaces(look->proc, &look->facts);
    for (size_t i = 0; error == 0 && i < array_size(checks); i++)
        if (checks[i].stage == JAIL_STAGE_COUNT || jail_is_looked_for(look, checks[i].stage))
            error = checks[i].check(look);
    return error;
}

int jail_verify(const struct jailed *jailed, const struct jail_spec *spec, struct jail_facts *facts,
                char *reason, size_t reason_size)
{
    _cleanup_fd_
    int proc = jail_proc_open(jailed->pid);
    struct look look = {
        .jailed = jailed,
        .spec = spec,
        .proc = proc,
        .facts = {.pid = jailed->pid},
        .reason = reason,
        .reason_size = reason_size,
    };
    int error;

    if (reason_size > 0)
        reason[0] = '\0';
    error = proc < 0 ? proc : check_all(&look);
    if (facts)
        *facts = look.facts;
    if (error < 0 && reason_size > 0 && reason[0] == '\0')
        snprintf(reason, reason_size, "%s (pid %d): its jail cannot be read: %s", spec->role,
                 (int)jailed->pid, strerror(-error));
    return error;
}
