// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The Landlock stage: a ruleset that handles every right which the running kernel knows and grants
// one: to execute the executable, which exec by descriptor needs too. Runs in the child, after the
// root stage, since a Landlock domain cannot change mounts.
//
// The constants are written down here, by their ABI version (Linux, Documentation/userspace-api/
// landlock.rst), because the headers of the build machine may be older than the running kernel.
#include "ipc/cleanup.h"
#include "jail/stage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>

// struct landlock_ruleset_attr as of ABI 6. Older kernels take it while what they lack is zero.
struct ruleset {
    uint64_t files;
    uint64_t network; // ABI 4
    uint64_t scoped;  // ABI 6
};
static_assert(sizeof(struct ruleset) == 24, "struct landlock_ruleset_attr, ABI 6");

// Rights up to and with the given ABI: the lowest bits of each field.
static const struct {
    int abi;
    struct ruleset handled;
} versions[] = {
    {1, {.files = 0x1fff}},                            // execute … make symbolic link
    {2, {.files = 0x3fff}},                            // refer
    {3, {.files = 0x7fff}},                            // truncate
    {4, {.files = 0x7fff, .network = 3}},              // bind and connect TCP
    {5, {.files = 0xffff, .network = 3}},              // ioctl on devices
    {6, {.files = 0xffff, .network = 3, .scoped = 3}}, // abstract sockets, signals
};

static struct ruleset everything(int abi)
{
    struct ruleset handled = {0};

    for (size_t i = 0; i < array_size(versions); i++)
        if (versions[i].abi <= abi)
            handled = versions[i].handled;
    return handled;
}

static int allow(int ruleset, int object, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = object};

    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0
               ? 0
               : -errno;
}

static int allow_exec(int ruleset, const struct jail_child *child)
{
    const uint64_t rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE;
    int error = allow(ruleset, child->executable, rights);

    if (error == 0 && jail_root_has_libraries(child->spec)) {
        _cleanup_fd_
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (root < 0)
            return -errno;
        error = allow(ruleset, root, rights | LANDLOCK_ACCESS_FS_READ_DIR);
    }
    return error;
}

int jail_landlock_apply(struct jail_child *child)
{
    int abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    _cleanup_fd_
    int ruleset = -1;
    struct ruleset handled;
    int error;

    if (abi < 0)
        return -errno;
    handled = everything(abi);
    ruleset = syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
    if (ruleset < 0)
        return -errno;
    error = allow_exec(ruleset, child);
    if (error < 0)
        return error;
    return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0 ? 0 : -errno;
}
