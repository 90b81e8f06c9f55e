// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Starts processes in their jails, verifies the jails, reaps the processes.
#include "main/warden_state.h"

#include "ipc/cleanup.h"
#include "main/message.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// RLIMIT_NPROC counts the kernel's own workers of an io_uring as well.
#define IO_URING_WORKERS 64

static struct warden_process *free_process(struct warden *warden)
{
    for (unsigned i = 0; i < WARDEN_PROCESSES_MAX; i++)
        if (warden->processes[i].jailed.pid == 0)
            return &warden->processes[i];
    return NULL;
}

struct warden_process *warden_process_of_device(struct warden *warden, unsigned index)
{
    for (unsigned i = 0; i < WARDEN_PROCESSES_MAX; i++)
        if (warden->processes[i].jailed.pid != 0 && warden->processes[i].device == (int)index)
            return &warden->processes[i];
    return NULL;
}

// What a process may come to hold after it was started: what Attach brings, what it makes before
// its lock-down.
static void expect_later(const struct warden *warden, struct warden_process *process)
{
    uint16_t *later = process->spec.later;

    later[JAIL_FD_EPOLL] = 1;
    if (process->device < 0) {
        later[JAIL_FD_KVM] = (uint16_t)(1 + warden->config->cpus);
        later[JAIL_FD_PATH] = 1; // /dev/kvm
        later[JAIL_FD_MEMFD] = (uint16_t)(4 + warden->device_count);
        later[JAIL_FD_SOCKET] = (uint16_t)warden->device_count;
        later[JAIL_FD_EVENTFD] = 3;
        for (unsigned i = 0; i < warden->device_count; i++)
            later[JAIL_FD_EVENTFD] += (uint16_t)(2 * warden->devices[i].queue_count + 3);
        return;
    }
    later[JAIL_FD_EVENTFD] = (uint16_t)(2 * warden->devices[process->device].queue_count + 3);
    later[JAIL_FD_IO_URING] = warden->devices[process->device].io_uring;
    // A back end may be a file, a terminal, a pipe or a socket.
    later[JAIL_FD_PATH] = (uint16_t)warden->devices[process->device].backend_count;
    later[JAIL_FD_PIPE] = (uint16_t)warden->devices[process->device].backend_count;
    later[JAIL_FD_SOCKET] = (uint16_t)warden->devices[process->device].backend_count;
}

static struct jail_limits limits_of(const struct warden *warden,
                                    const struct warden_process *process)
{
    struct jail_limits limits = {
        .descriptors = 512,
        .tasks = 1,
        .address_space = RLIM_INFINITY, // guest memory is mapped, and counts
        .locked_memory = 0,
        .file_size = RLIM_INFINITY,
    };

    if (process->device >= 0) {
        limits.tasks = warden->devices[process->device].tasks;
        limits.file_size = warden->devices[process->device].file_size;
        if (warden->devices[process->device].io_uring) {
            limits.tasks += IO_URING_WORKERS;
            limits.locked_memory = 1 << 20; // the rings, on kernels before 5.12
        }
    } else if (strcmp(process->executable, "coordinator") == 0) {
        limits.tasks = 1 + warden->config->cpus;
        limits.descriptors = 4096;
    }
    return limits;
}

// What the warden holds of a process that is gone.
static void forget(struct warden_process *process)
{
    process_log_close(&process->log);
    cleanup_fd(&process->spec.executable_fd);
    process->jailed = (struct jailed){.pidfd = -1};
    process->verified = false;
}

static void on_exit_of_process(void *context, uint32_t events)
{
    struct warden_process *process = context;
    int wait_status;

    if (waitpid(process->jailed.pid, &wait_status, WNOHANG) != process->jailed.pid)
        return;
    process_log_close(&process->log);
    event_loop_remove(&process->warden->loop, process->pidfd_source);
    close(process->jailed.pidfd);
    warden_process_ended(process, wait_status);
    forget(process);
}

static void prepare(struct warden *warden, struct warden_process *process, const char *id,
                    const char *executable, int device)
{
    process->warden = warden;
    process->device = device;
    process->silent = false;
    process->failure[0] = '\0';
    process->finished = false;
    process->executable = executable;
    snprintf(process->id, sizeof(process->id), "%s", id);
    process->spec = (struct jail_spec){
        .role = process->id,
        .executable_fd = -1,
        .allow_missing = warden->allow_missing,
        .uid = jail_uid(getpid(), (unsigned)(process - warden->processes)),
        .limits = limits_of(warden, process),
#ifdef BULKHEAD_SANITIZE
        .libraries = true,
#endif
    };
    expect_later(warden, process);
}

// Starts the process with the descriptors of the closed set: nothing, nothing, its log, its
// channel.
static int spawn(struct warden *warden, struct warden_process *process, int channel, int log_fd)
{
    const char *const argv[] = {process->id, NULL};
    char reason[256];
    int error;

    process->spec.executable_fd =
        openat(warden->libexec_fd, process->executable, O_RDONLY | O_CLOEXEC);
    if (process->spec.executable_fd < 0) {
        error = -errno;
        user_message("the executable of %s, %s, cannot be opened: %s; install Bulkhead again",
                     process->id, process->executable, strerror(-error));
        return error;
    }
    process->descriptors[0] = (struct jail_descriptor){.source = warden->null_fd, .target = 0};
    process->descriptors[1] = (struct jail_descriptor){.source = warden->null_fd, .target = 1};
    process->descriptors[2] = (struct jail_descriptor){.source = log_fd, .target = 2};
    process->descriptors[3] = (struct jail_descriptor){.source = channel, .target = 3};
    process->spec.descriptors = process->descriptors;
    process->spec.descriptor_count = array_size(process->descriptors);
    process->spec.argv = argv;
    error = jail_spawn(&process->spec, &process->jailed, reason, sizeof(reason));
    process->spec.argv = NULL;
    if (error < 0)
        user_message("%s", reason);
    return error;
}

// Once for each stage: the user allowed it, and shall know that it was needed.
static void tell_missing(struct warden *warden, const struct warden_process *process)
{
    for (int stage = 0; stage < JAIL_STAGE_COUNT; stage++) {
        if ((process->jailed.missing & ~warden->missing_told & JAIL_BIT(stage)) == 0)
            continue;
        user_message("running without the jail stage %s (%s), as --allow-missing says",
                     jail_stage_name((enum jail_stage)stage),
                     jail_stage_purpose((enum jail_stage)stage));
        warden->missing_told |= JAIL_BIT(stage);
    }
}

struct warden_process *warden_process_start(struct warden *warden, const char *id,
                                            const char *executable, int device, int channel)
{
    struct warden_process *process = free_process(warden);
    int log_fd = -1;
    int error;

    if (process == NULL)
        return NULL;
    prepare(warden, process, id, executable, device);
    error = process_log_open(&process->log, &warden->loop, process->id, &log_fd);
    error = error ? error : spawn(warden, process, channel, log_fd);
    if (log_fd >= 0)
        close(log_fd);
    if (error < 0) {
        forget(process);
        return NULL;
    }
    tell_missing(warden, process);
    process->pidfd_source =
        event_loop_add(&warden->loop, process->jailed.pidfd, EPOLLIN, on_exit_of_process, process);
    return process;
}

#ifndef BULKHEAD_SANITIZE
// Jails are jails from each other, too.
static int compare_with_others(struct warden_process *process)
{
    for (unsigned i = 0; i < WARDEN_PROCESSES_MAX; i++) {
        const struct warden_process *other = &process->warden->processes[i];
        enum jail_stage shared;

        if (other == process || other->jailed.pid == 0 || !other->verified)
            continue;
        shared = jail_shared_namespace(&process->facts, &other->facts);
        if (shared == JAIL_NAMESPACE_COUNT || (process->jailed.missing & JAIL_BIT(shared)) != 0)
            continue;
        user_message("%s and %s share a namespace (%s); this kernel does not separate them",
                     process->id, other->id, jail_stage_name(shared));
        return -EPERM;
    }
    return 0;
}
#endif

int warden_process_verify(struct warden_process *process)
{
#ifdef BULKHEAD_SANITIZE
    return 0; // the runtime's threads, descriptors and mappings are not what was asked for
#else
    char reason[256];
    int error =
        jail_verify(&process->jailed, &process->spec, &process->facts, reason, sizeof(reason));

    if (error < 0)
        user_message("%s", reason);
    else
        error = compare_with_others(process);
    process->verified = error == 0;
    return error;
#endif
}

void warden_process_end_all(struct warden *warden)
{
    for (unsigned i = 0; i < WARDEN_PROCESSES_MAX; i++)
        if (warden->processes[i].jailed.pid != 0)
            kill(warden->processes[i].jailed.pid, SIGKILL);
    for (unsigned i = 0; i < WARDEN_PROCESSES_MAX; i++) {
        struct warden_process *process = &warden->processes[i];
        int wait_status;

        if (process->jailed.pid == 0)
            continue;
        waitpid(process->jailed.pid, &wait_status, 0);
        close(process->jailed.pidfd);
        forget(process);
    }
}
