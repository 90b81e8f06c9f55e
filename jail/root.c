// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The root stage: a tmpfs that is born read-only, so that it never held anything, becomes the root,
// and everything else is unmounted. Runs in the child, in its own mount namespace. For a dynamic
// executable the tmpfs holds the system's library directories, and only then is it ever writable.
//
// noexec on the root does not stop the exec stage: the executable is held by a descriptor and lies
// in the warden's mount.
#include "ipc/cleanup.h"
#include "jail/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

// Where the new root is mounted first: a directory that is there on every system that can run the
// warden.
#define STAGING "/proc"

enum { ROOT_FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC };

bool jail_root_has_libraries(const struct jail_spec *spec)
{
#ifdef BULKHEAD_SANITIZE
    return true;
#else
    return spec->libraries;
#endif
}

// One library directory, as it is in the old root: a link ("/lib" of a merged /usr), a directory,
// or nothing.
static int add_library_directory(const char *path)
{
    char target[PATH_MAX], link[PATH_MAX];
    struct stat status;

    if (lstat(path, &status) != 0)
        return errno == ENOENT ? 0 : -errno;
    snprintf(target, sizeof(target), STAGING "%s", path);
    if (S_ISLNK(status.st_mode)) {
        ssize_t length = readlink(path, link, sizeof(link) - 1);

        if (length < 0)
            return -errno;
        link[length] = '\0';
        return symlink(link, target) == 0 ? 0 : -errno;
    }
    if (mkdir(target, 0555) != 0 || mount(path, target, NULL, MS_BIND | MS_REC, NULL) != 0)
        return -errno;
    return 0;
}

static int mount_libraries(void)
{
    static const char *const directories[] = {"/usr/lib", "/usr/lib64", "/lib", "/lib64"};
    struct mount_attr attributes = {.attr_set =
                                        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};

    if (mount("jail", STAGING, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,nr_inodes=16,mode=0755") !=
            0 ||
        mkdir(STAGING "/usr", 0755) != 0)
        return -errno;
    for (size_t i = 0; i < array_size(directories); i++) {
        int error = add_library_directory(directories[i]);

        if (error < 0)
            return error;
    }
    if (mount_setattr(AT_FDCWD, STAGING, AT_RECURSIVE, &attributes, sizeof(attributes)) != 0)
        return -errno;
    return 0;
}

static int mount_empty(void)
{
    return mount("jail", STAGING, "tmpfs", MS_RDONLY | ROOT_FLAGS,
                 "size=4k,nr_inodes=1,mode=0555") == 0
               ? 0
               : -errno;
}

// pivot_root(2), "pivot_root(".", ".")": the old root ends on top of the new one and goes from
// there, without a directory to hold it.
static int enter_new_root(void)
{
    if (chdir(STAGING) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
        umount2(".", MNT_DETACH) != 0)
        return -errno;
    return 0;
}

int jail_root_apply(struct jail_child *child)
{
    int error;

    // Without a mount namespace this would empty the root of the whole machine.
    if (!(child->namespaces & JAIL_BIT(JAIL_MOUNT_NS)))
        return -ENOSYS;
    // Nothing that happens here may reach the mounts of others. A new user namespace has seen to
    // that (mount_namespaces(7)): what it copies are slaves.
    if (!(child->namespaces & JAIL_BIT(JAIL_USER_NS)) &&
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return -errno;
    error = jail_root_has_libraries(child->spec) ? mount_libraries() : mount_empty();
    return error == 0 ? enter_new_root() : error;
}
