// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The identity stage: one uid and gid, which mean themselves inside and outside of the jail. The
// warden writes the maps (jail_identity_map), and where root started it the child becomes a user
// that nothing else on the machine runs as.
//
// A warden without privilege cannot leave the user's supplementary groups; they give rights to open
// things by name, and a jail has no names.
#include "ipc/cleanup.h"
#include "jail/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

// Above what systemd's containers use (it ends at 0x6fffffff), below what it keeps for foreign
// images (from 0x7ffe0000): 4194304 (PID_MAX_LIMIT) × 60 is 0x0f000000.
static const uid_t first_uid = 0x70000000;

uid_t jail_uid(pid_t warden, unsigned index)
{
    if (index >= JAIL_UIDS_PER_WARDEN || warden <= 0 || warden >= 4194304)
        return 0;
    return first_uid + (uid_t)warden * JAIL_UIDS_PER_WARDEN + index;
}

int jail_identity_choose(const struct jail_spec *spec, uid_t *uid, gid_t *gid)
{
    bool privileged = geteuid() == 0;

    *uid = privileged ? spec->uid : geteuid();
    *gid = privileged ? spec->uid : getegid();
    return *uid != 0 ? 0 : -EINVAL;
}

static int write_file(const char *path, const char *text)
{
    _cleanup_fd_
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) >= 0 ? 0 : -errno;
}

static int write_map(pid_t pid, const char *name, unsigned id)
{
    char path[48], line[48];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    snprintf(line, sizeof(line), "%u %u 1\n", id, id);
    return write_file(path, line);
}

// user_namespaces(7): without privilege the gid map can only be written once setgroups is denied.
int jail_identity_map(pid_t pid, uid_t uid, gid_t gid)
{
    char path[48];
    int error = 0;

    snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
    if (geteuid() != 0)
        error = write_file(path, "deny");
    if (error == 0)
        error = write_map(pid, "gid_map", gid);
    if (error == 0)
        error = write_map(pid, "uid_map", uid);
    return error;
}

// The securebit keeps the capabilities that the next stages need; they drop them for good.
static int become(uid_t uid, gid_t gid)
{
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 ||
        setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return -errno;
    return 0;
}

// The warden has written the maps before it let the child go.
int jail_identity_apply(struct jail_child *child)
{
    return child->privileged ? become(child->uid, child->gid) : 0;
}
