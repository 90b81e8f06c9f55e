// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Reading a thread's seccomp filters by ptrace. Runs in `bulkhead ps`, as root. It changes nothing
// in the thread; PTRACE_SEIZE, unlike PTRACE_ATTACH, sends no signal that could be left behind.
#include "jail/filter_read.h"

#include "ipc/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

// A thread stops within microseconds unless it waits for a disk.
#define STOP_POLL_NS 200000
#define STOP_POLLS 2500 // half a second

void jail_filters_clear(struct jail_filter *filters, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(filters[i].insns);
        filters[i] = (struct jail_filter){0};
    }
}

// Waits until the seized thread has stopped. Returns the signal that it must be given when it goes
// on (0: none), or a negative errno.
static int wait_for_stop(pid_t thread)
{
    const struct timespec pause = {.tv_nsec = STOP_POLL_NS};

    for (unsigned i = 0; i < STOP_POLLS; i++) {
        int status;
        pid_t found = waitpid(thread, &status, WNOHANG | __WALL);

        if (found < 0)
            return errno == ECHILD ? -ESRCH : -errno;
        if (found == thread && !WIFSTOPPED(status))
            return -ESRCH;
        // Either the stop that was asked for or, before it, one for a signal of its own.
        if (found == thread)
            return status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
        nanosleep(&pause, NULL);
    }
    return -ETIMEDOUT;
}

static long get_filter(pid_t thread, unsigned index, struct sock_filter *insns)
{
    long count = ptrace(PTRACE_SECCOMP_GET_FILTER, thread, (void *)(uintptr_t)index, insns);

    if (count >= 0)
        return count;
    return errno == EIO || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

// One filter. -ENOENT: the thread has none of that index; -EINVAL: it has none at all.
static int read_one(pid_t thread, unsigned index, struct jail_filter *filter)
{
    long count = get_filter(thread, index, NULL);

    if (count < 0)
        return (int)count;
    filter->insns = calloc((size_t)count + 1, sizeof(filter->insns[0]));
    if (filter->insns == NULL)
        return -ENOMEM;
    count = get_filter(thread, index, filter->insns);
    filter->count = count > 0 ? (unsigned)count : 0;
    return count < 0 ? (int)count : 0;
}

static int read_all(pid_t thread, struct jail_filter *filters, unsigned capacity)
{
    unsigned read = 0;
    int error = 0;

    while (error == 0 && read < capacity) {
        error = read_one(thread, read, &filters[read]);
        read += error == 0;
    }
    if (error == 0)
        error = get_filter(thread, capacity, NULL) < 0 ? 0 : -E2BIG;
    if (error == -ENOENT || error == -EINVAL)
        error = 0;
    if (error == 0)
        return (int)read;
    jail_filters_clear(filters, read < capacity ? read + 1 : read);
    return error;
}

static int read_stopped(pid_t thread, struct jail_filter *filters, unsigned capacity)
{
    int signal, result;

    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0)
        return -errno;
    if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0)
        return -errno; // it is dead, for else it is ours to interrupt
    signal = wait_for_stop(thread);
    if (signal < 0)
        return signal;
    result = read_all(thread, filters, capacity);
    ptrace(PTRACE_DETACH, thread, NULL, (void *)(uintptr_t)(unsigned)signal);
    return result;
}

// No signal may stop or end us while the thread is stopped, for as long as that can be avoided.
int jail_filters_read(pid_t thread, struct jail_filter *filters, unsigned capacity)
{
    sigset_t all, before;
    int result;

    for (unsigned i = 0; i < capacity; i++)
        filters[i] = (struct jail_filter){0};
    if (geteuid() != 0)
        return -EACCES;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    result = read_stopped(thread, filters, capacity);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}
