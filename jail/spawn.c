// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Starting a process in its jail. The warden's half clones, writes the maps and listens; the
// child's half walks the table of stages. Between them is one socket, closed by exec.
#include "ipc/cleanup.h"
#include "jail/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CHILD_FAILED = 126 }; // exit status, seen by nobody: the report says more

static void report(const struct jail_child *child, uint32_t missing, int stage, int error)
{
    const struct jail_report message = {.missing = missing, .stage = stage, .error = error};

    // A warden that cannot hear it is dead, and so is the child in a moment.
    (void)!send(child->warden, &message, sizeof(message), MSG_NOSIGNAL);
}

static int wait_for_warden(const struct jail_child *child)
{
    char go;
    ssize_t size;

    do
        size = recv(child->warden, &go, sizeof(go), 0);
    while (size < 0 && errno == EINTR);
    return size == sizeof(go) ? 0 : -EOWNERDEAD;
}

// Stages that fail and may be missing are told before exec, which ends the conversation.
static void child_main(struct jail_child *child, uint32_t skipped)
{
    uint32_t missing = 0;

    if (wait_for_warden(child) != 0)
        _exit(CHILD_FAILED);
    for (int stage = JAIL_NAMESPACE_COUNT; stage <= JAIL_EXEC; stage++) {
        const struct jail_stage_row *row = &jail_stages[stage];
        int error;

        if (skipped & JAIL_BIT(stage))
            continue;
        if (stage == JAIL_EXEC && missing)
            report(child, missing, JAIL_STAGE_COUNT, 0);
        error = row->apply(child);
        if (error == 0)
            continue;
        if (!(child->spec->allow_missing & JAIL_BIT(stage))) {
            report(child, missing, stage, error);
            _exit(CHILD_FAILED);
        }
        missing |= JAIL_BIT(stage);
    }
    _exit(CHILD_FAILED);
}

// Until exec or death closes the child's end.
static int listen_to_child(int socket, uint32_t *missing, enum jail_stage *failed)
{
    for (;;) {
        struct jail_report message;
        ssize_t size = recv(socket, &message, sizeof(message), 0);

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return -errno;
        if (size == 0)
            return 0;
        *missing |= message.missing;
        if (message.stage != JAIL_STAGE_COUNT) {
            *failed = message.stage;
            return message.error;
        }
    }
}

static int let_child_go(const struct jail_child *child, pid_t pid, int socket)
{
    int error = 0;

    if (child->namespaces & JAIL_BIT(JAIL_USER_NS))
        error = jail_identity_map(pid, child->uid, child->gid);
    if (error == 0 && send(socket, "g", 1, MSG_NOSIGNAL) != 1)
        error = -errno;
    return error;
}

static void end_child(pid_t pid, int pidfd)
{
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
    close(pidfd);
}

static int check_descriptors(const struct jail_spec *spec)
{
    if (spec->descriptor_count > JAIL_DESCRIPTORS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < spec->descriptor_count; i++) {
        if (spec->descriptors[i].target < 0 || fcntl(spec->descriptors[i].source, F_GETFD) < 0)
            return -EBADF;
        for (size_t j = 0; j < i; j++)
            if (spec->descriptors[j].target == spec->descriptors[i].target)
                return -EINVAL;
    }
    return 0;
}

static int check_spec(const struct jail_spec *spec, struct jail_child *child)
{
    int error = check_descriptors(spec);

    for (int stage = 0; stage < JAIL_STAGE_COUNT; stage++)
        if ((spec->allow_missing & JAIL_BIT(stage)) && !jail_stages[stage].may_be_missing)
            error = -EINVAL;
    if (!spec->role || !spec->argv || spec->limits.tasks == 0)
        error = -EINVAL;
    if (error == 0)
        error = jail_identity_choose(spec, &child->uid, &child->gid);
    return error;
}

// Everything from the clone to the exec. On failure *failed is the stage at fault, or
// JAIL_STAGE_COUNT when it was none of them.
static int start(struct jail_child *child, uint32_t skipped, struct jailed *out,
                 enum jail_stage *failed)
{
    _cleanup_fd_
    int ours = -1;
    int pair[2], error;

    *failed = JAIL_STAGE_COUNT;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    ours = pair[0];
    out->pid = jail_clone(child->spec, skipped, &out->pidfd, &out->missing, failed);
    if (out->pid == 0) {
        close(ours);
        child->warden = pair[1];
        child->namespaces = (JAIL_BIT(JAIL_NAMESPACE_COUNT) - 1) & ~skipped & ~out->missing;
        child_main(child, skipped);
    }
    close(pair[1]);
    if (out->pid < 0)
        return out->pid;
    child->namespaces = (JAIL_BIT(JAIL_NAMESPACE_COUNT) - 1) & ~skipped & ~out->missing;
    error = let_child_go(child, out->pid, ours);
    *failed = error ? JAIL_IDENTITY : JAIL_STAGE_COUNT;
    if (error == 0)
        error = listen_to_child(ours, &out->missing, failed);
    if (error < 0)
        end_child(out->pid, out->pidfd);
    return error;
}

int jail_spawn_without(const struct jail_spec *spec, uint32_t skipped, struct jailed *out,
                       char *reason, size_t reason_size)
{
    struct jail_child child = {
        .spec = spec, .executable = spec->executable_fd, .privileged = geteuid() == 0};
    enum jail_stage failed = JAIL_STAGE_COUNT;
    sigset_t all, before;
    int error = check_spec(spec, &child);

    // The child must not run the warden's signal handlers; its session stage unblocks.
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    if (error == 0)
        error = start(&child, skipped, out, &failed);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        return 0;
    *out = (struct jailed){.pid = -1, .pidfd = -1};
    jail_explain(spec, failed, error, reason, reason_size);
    return error;
}

int jail_spawn(const struct jail_spec *spec, struct jailed *out, char *reason, size_t reason_size)
{
    return jail_spawn_without(spec, 0, out, reason, reason_size);
}
