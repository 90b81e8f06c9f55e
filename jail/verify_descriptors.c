// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Verifying the closed set of descriptors: those that the process was started with, and of each
// kind as many as it may have been sent or have made since.
#include "ipc/cleanup.h"
#include "jail/verify.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *prefix; // of the link in /proc/PID/fd; the first that matches counts
    enum jail_fd_kind kind;
} kinds[] = {
    {"socket:[", JAIL_FD_SOCKET},
    {"pipe:[", JAIL_FD_PIPE},
    {"anon_inode:[eventfd]", JAIL_FD_EVENTFD},
    {"anon_inode:[eventpoll]", JAIL_FD_EPOLL},
    {"anon_inode:[timerfd]", JAIL_FD_TIMERFD},
    {"anon_inode:[signalfd]", JAIL_FD_SIGNALFD},
    {"anon_inode:[io_uring]", JAIL_FD_IO_URING},
    {"anon_inode:kvm-", JAIL_FD_KVM},
    {"/memfd:", JAIL_FD_MEMFD},
    {"/", JAIL_FD_PATH},
};

static enum jail_fd_kind kind_of(const char *link)
{
    for (size_t i = 0; i < array_size(kinds); i++)
        if (strncmp(link, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return kinds[i].kind;
    return JAIL_FD_OTHER;
}

static bool was_given(const struct jail_spec *spec, int fd)
{
    for (size_t i = 0; i < spec->descriptor_count; i++)
        if (spec->descriptors[i].target == fd)
            return true;
    return false;
}

static int check_descriptor(struct look *look, int directory, const char *name, unsigned *counts)
{
    char link[128];
    ssize_t length;
    enum jail_fd_kind kind;

    if (was_given(look->spec, atoi(name)))
        return 0;
    length = readlinkat(directory, name, link, sizeof(link) - 1);
    if (length < 0)
        return errno == ENOENT ? 0 : -errno; // closed meanwhile
    link[length] = '\0';
    kind = kind_of(link);
    if (++counts[kind] > look->spec->later[kind])
        return jail_complain(look, "it holds descriptor %s, which is %s, uninvited", name, link);
    return 0;
}

int jail_check_descriptors(struct look *look)
{
    _cleanup_(jail_close_directory) DIR *directory = jail_open_directory(look->proc, "fd");
    unsigned counts[JAIL_FD_KIND_COUNT] = {0};
    int error = 0;
    const char *name;

    if (!directory)
        return -errno;
    while (error == 0 && (name = jail_next_name(directory)))
        error = check_descriptor(look, dirfd(directory), name, counts);
    return error;
}
