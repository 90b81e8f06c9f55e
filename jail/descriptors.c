// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The stages of the closed set of descriptors and of exec. Everything becomes close-on-exec; only
// what is moved onto its target number survives. Runs in the child.
#include "jail/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

// The first number above all targets.
static int first_free(const struct jail_spec *spec)
{
    int first = 0;

    for (size_t i = 0; i < spec->descriptor_count; i++)
        if (spec->descriptors[i].target >= first)
            first = spec->descriptors[i].target + 1;
    return first;
}

// Moves what the child itself still needs, and every source, out of the way of all targets.
static int move_up(struct jail_child *child, int *sources)
{
    const struct jail_spec *spec = child->spec;
    int first = first_free(spec);

    child->executable = fcntl(child->executable, F_DUPFD_CLOEXEC, first);
    if (child->executable < 0)
        return -errno;
    for (size_t i = 0; i < spec->descriptor_count; i++) {
        sources[i] = fcntl(spec->descriptors[i].source, F_DUPFD_CLOEXEC, first);
        if (sources[i] < 0)
            return -errno;
    }
    return 0;
}

int jail_descriptors_apply(struct jail_child *child)
{
    const struct jail_spec *spec = child->spec;
    int sources[JAIL_DESCRIPTORS_MAX];
    int warden, error;

    // The socket goes first, so that a failure of the others can still be reported.
    warden = fcntl(child->warden, F_DUPFD_CLOEXEC, first_free(spec));
    if (warden < 0)
        return -errno;
    child->warden = warden;
    error = move_up(child, sources);
    if (error < 0)
        return error;
    if (syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        return -errno;
    for (size_t i = 0; i < spec->descriptor_count; i++)
        if (dup2(sources[i], spec->descriptors[i].target) < 0)
            return -errno;
    return 0;
}

int jail_exec_apply(struct jail_child *child)
{
    static char *const environment[] = {NULL};

    execveat(child->executable, "", (char *const *)child->spec->argv, environment, AT_EMPTY_PATH);
    return -errno;
}
