// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// `bulkhead run`: from arguments to a configuration, and on to the warden.
#include "main/cmd.h"

#include "main/config/schema.h"
#include "main/warden.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 30 };

static void print_option(const struct config_field *field)
{
    const char *initial = field->initial != NULL ? field->initial : field->initial_rule;
    char synopsis[80], range[64];

    if (field->flag)
        snprintf(synopsis, sizeof(synopsis), "--%s", field->key);
    else
        snprintf(synopsis, sizeof(synopsis), "--%s %s", field->key, field->argument);
    printf("  %-*s", HELP_COLUMN - 2, synopsis);
    if (strlen(synopsis) > HELP_COLUMN - 3)
        printf("\n%*s", HELP_COLUMN, "");
    printf("%s", field->help);
    config_field_range(field, range, sizeof(range));
    if (range[0] != '\0')
        printf(", %s", range);
    if (initial != NULL && !field->flag)
        printf(" (default: %s)", initial);
    printf("\n");
}

static int print_help(void)
{
    printf("Usage: bulkhead run [OPTIONS] [VM.yaml]\n"
           "Starts a VM and stays with it until it ends. VM.yaml says the same things in the same\n"
           "words; an option replaces the file's value or adds to the file's list.\n\n");
    for (const struct config_field *field = config_fields; field->key != NULL; field++)
        print_option(field);
    printf("  %-*sshow this text\n\n", HELP_COLUMN - 2, "--help");
    printf(
        "Exit status: 0 power off, 10 reset under --on-reset exit, 11 panic of the guest, 1 could\n"
        "not start or failed, 2 wrong usage. Manual: bulkhead-run(1), bulkhead.yaml(5)\n");
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr, "bulkhead: cannot write to standard output; is its disk full?\n");
        return CMD_FAILED;
    }
    return CMD_OK;
}

static int asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    }
    return 0;
}

int cmd_run(int argc, char **argv)
{
    const struct vm_config_limits limits = vm_config_host_limits();
    struct vm_config config;
    struct vm_config_message message;
    int error, status;

    if (asks_for_help(argc, argv))
        return print_help();
    error = vm_config_load(&config, argc, argv, &limits, &message);
    if (error != 0) {
        fprintf(stderr, "bulkhead: %s\n", message.text);
        return error == -EINVAL ? CMD_WRONG_USAGE : CMD_FAILED;
    }
    status = warden_run(&config);
    vm_config_destroy(&config);
    return status;
}
