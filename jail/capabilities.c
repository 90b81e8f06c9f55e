// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The capabilities stage: none in any set, and securebits locked so that uid 0 would mean nothing.
// Runs in the child.
#include "jail/stage.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LOCKED_BITS = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED
};

// The kernel tells its highest capability by refusing the next one.
static int drop_bounding_set(void)
{
    for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
        ;
    return errno == EINVAL ? 0 : -errno;
}

static int drop_all_sets(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
        syscall(SYS_capset, &header, none) != 0)
        return -errno;
    return 0;
}

// Does all it can even where one part fails: without a user namespace and without privilege the
// bounding set stays, but is out of reach behind no_new_privs.
int jail_capabilities_apply(struct jail_child *child)
{
    int bits = prctl(PR_SET_SECUREBITS, LOCKED_BITS, 0, 0, 0) == 0 ? 0 : -errno;
    int bounding = drop_bounding_set();
    int sets = drop_all_sets();

    return sets < 0 ? sets : bounding < 0 ? bounding : bits;
}
