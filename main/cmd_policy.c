// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// `bulkhead policy VERB …`: a table of verbs, each in main/policy/.
#include "main/cmd.h"

#include "ipc/cleanup.h"
#include "main/message.h"
#include "main/policy/commands.h"

#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments, *help;
} verbs[] = {
    {"check", policy_check, "[--json] [--strict] [--reasons] FILE…",
     "find errors, dangerous calls and rules that never match"},
    {"compile", policy_compile_file, "[--disassemble] [-o OUT] FILE", "make the seccomp filter"},
    {"simulate", policy_simulate, "FILE --syscall NAME [--arg N=VALUE]…",
     "what happens to one call, and which line says so"},
    {"explain", policy_explain, "FILE SYSCALL", "what the policy says of a call, and why"},
    {"diff", policy_diff, "[--json] OLD NEW", "what becomes allowed and what forbidden"},
    {"show", policy_show, "[DEVICE]", "print a built-in policy, or list them"},
};

static void print_help(void)
{
    puts("Usage: bulkhead policy VERB [ARGUMENTS]\n"
         "Checks, compiles and explains the system call policies of jailed processes.\n\n"
         "Verbs:");
    for (size_t i = 0; i < array_size(verbs); i++)
        printf("  %-9s %s\n            %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
    puts("\nFILE may be builtin:DEVICE. --policy-dir DIR says where else includes are looked for.\n"
         "Manual: bulkhead-policy(1), and bulkhead-policy(5) for the language");
}

// What was printed must have arrived.
static int end_of_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    user_message("cannot write to standard output; is its disk full?");
    return CMD_FAILED;
}

int cmd_policy(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help();
        return end_of_output(CMD_OK);
    }
    for (size_t i = 0; i < array_size(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return end_of_output(verbs[i].run(argc - 1, argv + 1));
    user_message("policy: %s%s; see 'bulkhead policy --help'",
                 argc > 1 ? "unknown verb " : "which verb?", name);
    return CMD_WRONG_USAGE;
}
