// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Verdicts in words.
#include "jail/policy/model.h"

#include <string.h>

const char *policy_action_text(uint32_t action, char *buffer, size_t size)
{
    static const struct {
        uint32_t kind;
        const char *name;
    } names[] = {
        {SECCOMP_RET_KILL_PROCESS, "KILL_PROCESS"},
        {SECCOMP_RET_KILL_THREAD, "KILL_THREAD"},
        {SECCOMP_RET_TRAP, "TRAP"},
        {SECCOMP_RET_TRACE, "TRACE"},
        {SECCOMP_RET_LOG, "LOG"},
        {SECCOMP_RET_USER_NOTIF, "USER_NOTIFY"},
        {SECCOMP_RET_ALLOW, "ALLOW"},
    };
    uint32_t kind = action & SECCOMP_RET_ACTION_FULL, data = action & SECCOMP_RET_DATA;
    const char *error;

    if (kind == SECCOMP_RET_ERRNO) {
        error = data ? strerrorname_np((int)data) : NULL;
        if (error)
            snprintf(buffer, size, "ERRNO %s", error);
        else
            snprintf(buffer, size, "ERRNO %u", data);
        return buffer;
    }
    snprintf(buffer, size, "0x%08x", action);
    for (size_t i = 0; i < array_size(names); i++)
        if (names[i].kind == kind)
            snprintf(buffer, size, "%s", names[i].name);
    return buffer;
}
