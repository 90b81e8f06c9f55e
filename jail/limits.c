// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The limits stage: one table, from which the child sets its limits and the warden reads them back.
#include "ipc/cleanup.h"
#include "jail/stage.h"

#include <errno.h>
#include <sys/resource.h>

#ifdef BULKHEAD_SANITIZE
// The sanitizers' shadow memory is terabytes of address space, and their frames are large.
enum { SANITIZED = 1 };
static const uint64_t stack_size = 8 << 20;
#else
enum { SANITIZED = 0 };
static const uint64_t stack_size = 1 << 20;
#endif

static uint64_t limit_descriptors(const struct jail_limits *limits)
{
    return limits->descriptors;
}

static uint64_t limit_tasks(const struct jail_limits *limits)
{
    return limits->tasks;
}

static uint64_t limit_address_space(const struct jail_limits *limits)
{
    return SANITIZED ? RLIM_INFINITY : limits->address_space;
}

static uint64_t limit_locked_memory(const struct jail_limits *limits)
{
    return limits->locked_memory;
}

static uint64_t limit_file_size(const struct jail_limits *limits)
{
    return limits->file_size;
}

// Either the spec says, or every process has the same.
//
// The core limit is 1 and not 0: core(5), where core_pattern is a pipe, 0 is not heeded, but 1
// means "no core". A core holds guest memory.
static const struct {
    int resource;
    const char *name;
    uint64_t (*from_spec)(const struct jail_limits *limits);
    uint64_t fixed;
} rows[] = {
    {RLIMIT_NOFILE, "descriptors", limit_descriptors, 0},
    {RLIMIT_NPROC, "tasks", limit_tasks, 0},
    {RLIMIT_AS, "address space", limit_address_space, 0},
    {RLIMIT_MEMLOCK, "locked memory", limit_locked_memory, 0},
    {RLIMIT_FSIZE, "file size", limit_file_size, 0},
    {RLIMIT_STACK, "stack", NULL, stack_size},
    {RLIMIT_CORE, "core", NULL, 1},
    {RLIMIT_SIGPENDING, "pending signals", NULL, 16},
    {RLIMIT_MSGQUEUE, "message queues", NULL, 0},
    {RLIMIT_NICE, "nice", NULL, 0},
    {RLIMIT_RTPRIO, "real-time priority", NULL, 0},
};

int jail_limit_row(const struct jail_spec *spec, size_t index, int *resource, uint64_t *value,
                   const char **name)
{
    if (index >= array_size(rows))
        return -ENOENT;
    *resource = rows[index].resource;
    *name = rows[index].name;
    *value = rows[index].from_spec ? rows[index].from_spec(&spec->limits) : rows[index].fixed;
    return 0;
}

// "No limit of ours" leaves what the user's own limits allow.
static int set_limit(int resource, uint64_t value)
{
    struct rlimit limit = {.rlim_cur = value, .rlim_max = value};

    if (value == RLIM_INFINITY) {
        if (getrlimit(resource, &limit) != 0)
            return -errno;
        limit.rlim_cur = limit.rlim_max;
    }
    return setrlimit(resource, &limit) == 0 ? 0 : -errno;
}

int jail_limits_apply(struct jail_child *child)
{
    int resource;
    uint64_t value;
    const char *name;
    int error = 0;

    for (size_t i = 0; error == 0 && jail_limit_row(child->spec, i, &resource, &value, &name) == 0;
         i++)
        error = set_limit(resource, value);
    return error;
}
