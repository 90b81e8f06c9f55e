// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// `bulkhead policy check [--json] [--strict] [--reasons] [--policy-dir DIR] FILE…`
#include "main/policy/commands.h"

#include "ipc/cleanup.h"
#include "jail/policy/lint.h"
#include "main/cmd.h"

#include <getopt.h>
#include <string.h>

struct check {
    bool json, strict, reasons;
    struct policy_paths paths;
};

static void print_result(const struct check *check, const char *path,
                         const struct policy_program *program,
                         const struct policy_diagnostics *diagnostics, bool first)
{
    if (!check->json) {
        fflush(stdout);
        policy_diagnostics_print(diagnostics, stderr);
        if (diagnostics->errors == 0)
            printf("%s: %u system calls allowed, %u BPF instructions\n", path,
                   program->syscalls_allowed, program->count);
        return;
    }
    printf("%s{\"file\": ", first ? "" : ",\n ");
    json_string(stdout, path);
    printf(", \"errors\": %u, \"warnings\": %u, \"system_calls_allowed\": %u, "
           "\"instructions\": %u, \"diagnostics\": ",
           diagnostics->errors, diagnostics->warnings, program->syscalls_allowed, program->count);
    json_diagnostics(stdout, diagnostics);
    putchar('}');
}

static bool check_file(const struct check *check, const char *path, bool first)
{
    struct policy_diagnostics diagnostics _cleanup_(policy_diagnostics_clear) = {0};
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    struct policy *policy = NULL;
    int error = policy_open(path, &check->paths, &policy, &diagnostics);

    if (error == 0)
        error = policy_compile(policy, NULL, &program, &diagnostics);
    if (error == 0)
        policy_lint(policy, check->reasons, &diagnostics);
    if (error < 0 && diagnostics.errors == 0)
        fprintf(stderr, "bulkhead: %s: %s\n", path, strerror(-error));
    policy_destroy(policy);
    print_result(check, path, &program, &diagnostics, first);
    return error == 0 && diagnostics.errors == 0 && !(check->strict && diagnostics.warnings);
}

static int parse_options(struct check *check, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"strict", no_argument, NULL, 's'},
                                            {"reasons", no_argument, NULL, 'r'},
                                            {"policy-dir", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'j')
            check->json = true;
        else if (option == 's')
            check->strict = true;
        else if (option == 'r')
            check->reasons = true;
        else if (option != 'd' || !policy_paths_add(&check->paths, optarg))
            return CMD_WRONG_USAGE;
    }
    return optind < argc ? CMD_OK : policy_usage("check", "which FILE?");
}

int policy_check(int argc, char **argv)
{
    struct check check = {0};
    bool good = true;
    int status = parse_options(&check, argc, argv);

    if (status != CMD_OK)
        return status;
    if (check.json)
        putchar('[');
    for (int i = optind; i < argc; i++)
        good = check_file(&check, argv[i], i == optind) && good;
    if (check.json)
        puts("]");
    return good ? CMD_OK : CMD_FAILED;
}
