// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// `bulkhead policy show [DEVICE]`: a built-in policy as it was written, or the list of them.
#include "main/policy/commands.h"

#include "jail/policy/builtin.h"
#include "main/cmd.h"
#include "main/message.h"

static int list(void)
{
    size_t count;
    const struct builtin_policy *policies = builtin_policies(&count);

    for (size_t i = 0; i < count; i++)
        printf("%-14s %3u system calls allowed, %4u BPF instructions\n", policies[i].name,
               policies[i].syscalls_allowed, policies[i].count);
    return CMD_OK;
}

int policy_show(int argc, char **argv)
{
    const struct builtin_policy *builtin;

    if (argc == 1)
        return list();
    if (argc != 2 || argv[1][0] == '-')
        return policy_usage("show", "give one DEVICE, or none for a list");
    builtin = builtin_policy_find(argv[1]);
    if (!builtin) {
        user_message("there is no built-in policy '%s'; 'bulkhead policy show' lists them",
                     argv[1]);
        return CMD_FAILED;
    }
    fwrite(builtin->text, 1, builtin->length, stdout);
    return CMD_OK;
}
