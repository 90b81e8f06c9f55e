// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// `bulkhead policy compile [--disassemble] [--on-violation WHAT] [-o OUT] FILE`
#include "main/policy/commands.h"

#include "ipc/cleanup.h"
#include "jail/policy/simulate.h"
#include "main/cmd.h"
#include "main/message.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

struct request {
    bool disassemble;
    const char *output;
    struct policy_options options;
    struct policy_paths paths;
};

static bool parse_violation(const char *text, struct policy_options *options)
{
    static const struct {
        const char *word;
        enum policy_violation violation;
    } words[] = {
        {"as-written", POLICY_VIOLATION_AS_WRITTEN},
        {"log", POLICY_VIOLATION_LOG},
        {"trap", POLICY_VIOLATION_TRAP},
        {"user-notify", POLICY_VIOLATION_NOTIFY},
    };

    for (size_t i = 0; i < array_size(words); i++) {
        if (strcmp(words[i].word, text) != 0)
            continue;
        options->violation = words[i].violation;
        return true;
    }
    policy_usage("compile", "--on-violation is as-written, log, trap or user-notify, not '%s'",
                 text);
    return false;
}

static int parse_options(struct request *request, int argc, char **argv)
{
    static const struct option options[] = {{"disassemble", no_argument, NULL, 'D'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"on-violation", required_argument, NULL, 'v'},
                                            {"policy-dir", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == 'D')
            request->disassemble = true;
        else if (option == 'o')
            request->output = optarg;
        else if (option == 'v' && parse_violation(optarg, &request->options))
            continue;
        else if (option != 'd' || !policy_paths_add(&request->paths, optarg))
            return CMD_WRONG_USAGE;
    }
    if (optind != argc - 1)
        return policy_usage("compile", "give one FILE");
    if (!request->output && !request->disassemble)
        return policy_usage("compile", "give -o OUT, or --disassemble to read it");
    return CMD_OK;
}

static int write_program(const char *path, const struct policy_program *program)
{
    FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    bool good = out && fwrite(program->insns, sizeof(*program->insns), program->count, out) ==
                           program->count;

    if (out)
        good = (out == stdout ? fflush(out) : fclose(out)) == 0 && good;
    if (good)
        return CMD_OK;
    user_message("cannot write the filter to %s: %s", path, strerror(errno));
    return CMD_FAILED;
}

int policy_compile_file(int argc, char **argv)
{
    struct request request = {0};
    struct policy_diagnostics diagnostics _cleanup_(policy_diagnostics_clear) = {0};
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    struct policy *policy = NULL;
    int status = parse_options(&request, argc, argv), error;

    if (status != CMD_OK)
        return status;
    if (policy_open_or_say(argv[optind], &request.paths, &policy) < 0)
        return CMD_FAILED;
    error = policy_compile(policy, &request.options, &program, &diagnostics);
    policy_diagnostics_print(&diagnostics, stderr);
    policy_destroy(policy);
    if (error < 0)
        return CMD_FAILED;
    if (request.disassemble)
        bpf_disassemble(program.insns, program.count, stdout);
    return request.output ? write_program(request.output, &program) : CMD_OK;
}
