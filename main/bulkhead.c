// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The `bulkhead` command: a table of verbs. Each verb reads its own arguments in main/cmd_*.c.
#include "main/cmd.h"

#include "ipc/cleanup.h"

#include <stdio.h>
#include <string.h>

#ifndef BULKHEAD_VERSION
#error "the Makefile defines BULKHEAD_VERSION"
#endif

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct verb verbs[] = {
    {"run", cmd_run, "start a VM and stay with it until it ends"},
    {"ps", cmd_ps, "show the processes of the running VMs and their jails"},
    {"policy", cmd_policy, "check and explain the system call policies"},
};

static void print_help(void)
{
    printf("Usage: bulkhead COMMAND [ARGUMENTS]\n"
           "Runs desktop virtual machines whose every device is a jailed process of its own.\n\n"
           "Commands:\n");
    for (size_t i = 0; i < array_size(verbs); i++)
        printf("  %-10s %s\n", verbs[i].name, verbs[i].help);
    printf("\nOptions:\n"
           "  --help     show this text; 'bulkhead COMMAND --help' shows more\n"
           "  --version  show the version\n\n"
           "Manual: bulkhead(1), bulkhead-run(1), bulkhead.yaml(5)\n");
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < array_size(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

// What was printed must have arrived: `bulkhead --help > /dev/full` is a failure.
static int end_of_output(void)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return CMD_OK;
    fprintf(stderr, "bulkhead: cannot write to standard output; is its disk full?\n");
    return CMD_FAILED;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const struct verb *verb = find_verb(name);

    if (verb != NULL)
        return verb->run(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help();
        return end_of_output();
    }
    if (strcmp(name, "--version") == 0) {
        printf("bulkhead %s\n", BULKHEAD_VERSION);
        return end_of_output();
    }
    if (argc < 2)
        fprintf(stderr,
                "bulkhead: no command; say 'bulkhead run VM.yaml', or 'bulkhead --help' for "
                "all of them\n");
    else
        fprintf(stderr, "bulkhead: unknown command '%.80s'; 'bulkhead --help' lists them\n", name);
    return CMD_WRONG_USAGE;
}
