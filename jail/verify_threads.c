// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Verifying what each thread has for itself: identity, capabilities, no_new_privs, seccomp.
#include "ipc/cleanup.h"
#include "jail/verify.h"

#include <errno.h>
#include <stdio.h>

static int check_identity(struct look *look, const struct jail_facts *thread)
{
    uid_t uid;
    gid_t gid;
    int error = jail_identity_choose(look->spec, &uid, &gid);

    if (error < 0)
        return error;
    for (size_t i = 0; i < array_size(thread->uid); i++)
        if (thread->uid[i] != uid || thread->gid[i] != gid)
            return jail_complain(look, "it runs as uid %u and gid %u, not %u and %u",
                                 thread->uid[i], thread->gid[i], uid, gid);
    if (geteuid() == 0 && thread->groups > 0)
        return jail_complain(look, "it has %u supplementary groups", thread->groups);
    return 0;
}

static int check_capabilities(struct look *look, const struct jail_facts *thread)
{
    static const char *const sets[] = {"inheritable", "permitted", "effective", "bounding",
                                       "ambient"};

    for (size_t i = 0; i < array_size(sets); i++)
        if (thread->capabilities[i])
            return jail_complain(look, "its %s capabilities are %#llx", sets[i],
                                 (unsigned long long)thread->capabilities[i]);
    return 0;
}

static int check_no_new_privs(struct look *look, const struct jail_facts *thread)
{
    return thread->no_new_privs ? 0 : jail_complain(look, "no_new_privs is off");
}

static int check_seccomp(struct look *look, const struct jail_facts *thread)
{
    if (thread->seccomp_mode != 2 || thread->seccomp_filters == 0)
        return jail_complain(look, "a thread has no seccomp filter");
    return 0;
}

static const struct {
    enum jail_stage stage;
    int (*check)(struct look *look, const struct jail_facts *thread);
} thread_checks[] = {
    {JAIL_IDENTITY, check_identity},
    {JAIL_CAPABILITIES, check_capabilities},
    {JAIL_NO_NEW_PRIVS, check_no_new_privs},
    {JAIL_SECCOMP, check_seccomp},
};

static int check_thread(struct look *look, const struct jail_facts *thread)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < array_size(thread_checks); i++)
        if (jail_is_looked_for(look, thread_checks[i].stage))
            error = thread_checks[i].check(look, thread);
    return error;
}

// The first thread's status is the process's. Others can only appear before lock-down.
int jail_check_threads(struct look *look)
{
    _cleanup_(jail_close_directory) DIR *tasks = NULL;
    int error = check_thread(look, &look->facts);
    const char *name;

    if (error < 0)
        return error;
    if (look->facts.threads > look->spec->limits.tasks)
        return jail_complain(look, "it has %u threads", look->facts.threads);
    if (look->facts.threads == 1)
        return 0;
    tasks = jail_open_directory(look->proc, "task");
    if (!tasks)
        return -errno;
    while (error == 0 && (name = jail_next_name(tasks))) {
        struct jail_facts thread;
        char path[280];

        snprintf(path, sizeof(path), "task/%s/status", name);
        error = jail_facts_read_status(look->proc, path, &thread);
        if (error == 0)
            error = check_thread(look, &thread);
    }
    return error;
}
