// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The last stage: the jailed process installs the filter that it was sent. Trusted with nothing but
// the process itself; the kernel checks the program.
#include "jail/lockdown.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// How many instructions the file holds, or a negative errno.
static ssize_t program_length(int program_fd, size_t capacity)
{
    struct stat status;

    if (fstat(program_fd, &status) != 0)
        return -errno;
    if (status.st_size <= 0 || status.st_size % sizeof(struct sock_filter) != 0)
        return -EINVAL;
    if ((size_t)status.st_size / sizeof(struct sock_filter) > capacity)
        return -E2BIG;
    return status.st_size / sizeof(struct sock_filter);
}

ssize_t jail_lockdown_read(int program_fd, struct sock_filter *program, size_t capacity)
{
    ssize_t count = program_length(program_fd, capacity);
    ssize_t size;

    if (count < 0)
        return count;
    size = pread(program_fd, program, count * sizeof(*program), 0);
    if (size < 0)
        return -errno;
    return size == count * (ssize_t)sizeof(*program) ? count : -EIO;
}

int jail_lockdown_install(const struct sock_filter *program, size_t count,
                          enum jail_lockdown_scope scope)
{
    const struct sock_fprog filter = {.len = count, .filter = (struct sock_filter *)program};
    unsigned flags = scope == JAIL_LOCKDOWN_PROCESS ? SECCOMP_FILTER_FLAG_TSYNC : 0;
    long result;

    if (count == 0 || count > JAIL_FILTER_INSTRUCTIONS_MAX)
        return -EINVAL;
    // A positive result is the thread that could not be synchronised.
    result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
    if (result > 0)
        return -ESRCH;
    return result == 0 ? 0 : -errno;
}

// Mapped and not copied: a copy would leave 32 KiB of touched stack in every process. The kernel
// reads it once, before it checks it, and fails with EFAULT should the sender truncate it.
int jail_lockdown_filter(int steal_program_fd)
{
    ssize_t count = program_length(steal_program_fd, JAIL_FILTER_INSTRUCTIONS_MAX);
    size_t size = count < 0 ? 0 : count * sizeof(struct sock_filter);
    void *program = MAP_FAILED;
    int error = count < 0 ? (int)count : 0;

    if (error == 0) {
        program = mmap(NULL, size, PROT_READ, MAP_PRIVATE, steal_program_fd, 0);
        if (program == MAP_FAILED)
            error = -errno;
    }
    close(steal_program_fd);
    if (error < 0)
        return error;
    error = jail_lockdown_install(program, count, JAIL_LOCKDOWN_PROCESS);
    // The new filter may stop the process at munmap, so the mapping of a page or a few stays.
    if (error < 0)
        munmap(program, size);
    return error;
}
