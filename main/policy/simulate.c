// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// `bulkhead policy simulate FILE --syscall NAME|NR [--arg N=VALUE]… [--arch A] [--json]`: runs the
// compiled filter, and says which line of the policy that was.
#include "main/policy/commands.h"

#include "ipc/cleanup.h"
#include "jail/policy/simulate.h"
#include "main/cmd.h"
#include "main/message.h"

#include <getopt.h>
#include <linux/audit.h>
#include <string.h>

#define X32_BIT 0x40000000

struct request {
    bool json;
    struct seccomp_data data;
    struct policy_paths paths;
};

static const struct {
    const char *name;
    uint32_t architecture;
    int bits; // of the call number
} architectures[] = {
    {"x86_64", AUDIT_ARCH_X86_64, 0}, {"x32", AUDIT_ARCH_X86_64, X32_BIT},
    {"i386", AUDIT_ARCH_I386, 0},     {"aarch64", AUDIT_ARCH_AARCH64, 0},
    {"arm", AUDIT_ARCH_ARM, 0},       {"riscv64", AUDIT_ARCH_RISCV64, 0},
};

static bool parse_architecture(struct request *request, const char *text)
{
    for (size_t i = 0; i < array_size(architectures); i++) {
        if (strcmp(architectures[i].name, text) != 0)
            continue;
        request->data.arch = architectures[i].architecture;
        request->data.nr |= architectures[i].bits;
        return true;
    }
    policy_usage("simulate", "--arch is x86_64, x32, i386, aarch64, arm or riscv64, not '%s'",
                 text);
    return false;
}

static bool parse_argument(struct request *request, const char *text)
{
    uint64_t value;

    if (text[0] >= '0' && text[0] <= '5' && text[1] == '=' &&
        policy_parse_value(text + 2, &value) == 0) {
        request->data.args[text[0] - '0'] = value;
        return true;
    }
    policy_usage("simulate", "--arg is N=VALUE with N from 0 to 5, not '%s'", text);
    return false;
}

static int parse_options(struct request *request, int argc, char **argv)
{
    static const struct option options[] = {
        {"syscall", required_argument, NULL, 's'},    {"arg", required_argument, NULL, 'a'},
        {"arch", required_argument, NULL, 'A'},       {"json", no_argument, NULL, 'j'},
        {"policy-dir", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
    const char *architecture = "x86_64", *call = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            call = optarg;
        else if (option == 'A')
            architecture = optarg;
        else if (option == 'j')
            request->json = true;
        else if (option == 'a' && parse_argument(request, optarg))
            continue;
        else if (option != 'd' || !policy_paths_add(&request->paths, optarg))
            return CMD_WRONG_USAGE;
    }
    if (optind != argc - 1 || !call)
        return policy_usage("simulate", "give one FILE and --syscall NAME");
    request->data.nr = policy_call_argument(call);
    if (request->data.nr < 0 || !parse_architecture(request, architecture))
        return CMD_WRONG_USAGE;
    return CMD_OK;
}

// What decided, in words.
static void print_decision(const struct policy *policy, const struct request *request,
                           const struct policy_verdict *verdict)
{
    const char *name = policy_call_name((unsigned)request->data.nr);

    if (request->data.arch != AUDIT_ARCH_X86_64 || (request->data.nr & X32_BIT)) {
        puts("by: calls of other architectures are always refused");
    } else if (verdict->by_rule) {
        struct policy_rule rule = policy_rule_at(policy, verdict->rule);

        printf("by: %s:%u: ", rule.file, rule.line);
        policy_print_rule(&rule, stdout);
        if (rule.reason[0])
            printf("  # %s", rule.reason);
        putchar('\n');
    } else {
        printf("by: the default of %s, as no rule for %s matches\n", policy_name(policy),
               name ? name : "this call");
    }
}

static void print_json(const struct policy *policy, const struct policy_verdict *verdict,
                       uint32_t action, unsigned steps)
{
    char text[64];

    printf("{\"verdict\": \"%s\", \"instructions_executed\": %u",
           policy_action_text(action, text, sizeof(text)), steps);
    if (verdict->by_rule) {
        struct policy_rule rule = policy_rule_at(policy, verdict->rule);

        fputs(", \"file\": ", stdout);
        json_string(stdout, rule.file);
        printf(", \"line\": %u, \"condition\": ", rule.line);
        json_string(stdout, rule.condition);
        fputs(", \"reason\": ", stdout);
        json_string(stdout, rule.reason);
    }
    puts("}");
}

static int run(const struct policy *policy, const struct request *request)
{
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    struct policy_diagnostics diagnostics _cleanup_(policy_diagnostics_clear) = {0};
    struct policy_verdict verdict = {.action = SECCOMP_RET_KILL_PROCESS};
    uint64_t arguments[POLICY_ARGUMENTS];
    uint32_t action = 0;
    unsigned steps = 0;
    char text[64];

    if (policy_compile(policy, NULL, &program, &diagnostics) < 0) {
        policy_diagnostics_print(&diagnostics, stderr);
        return CMD_FAILED;
    }
    memcpy(arguments, request->data.args, sizeof(arguments));
    if (request->data.arch == AUDIT_ARCH_X86_64)
        verdict = policy_decide(policy, NULL, (unsigned)request->data.nr, arguments);
    if (bpf_simulate(program.insns, program.count, &request->data, &action, &steps) < 0 ||
        action != verdict.action) {
        user_message("the compiled filter disagrees with the policy; please report this as a bug");
        return CMD_FAILED;
    }
    if (request->json) {
        print_json(policy, &verdict, action, steps);
        return CMD_OK;
    }
    puts(policy_action_text(action, text, sizeof(text)));
    print_decision(policy, request, &verdict);
    printf("after %u of %u BPF instructions\n", steps, program.count);
    return CMD_OK;
}

int policy_simulate(int argc, char **argv)
{
    struct request request = {0};
    struct policy *policy = NULL;
    int status = parse_options(&request, argc, argv);

    if (status != CMD_OK)
        return status;
    if (policy_open_or_say(argv[optind], &request.paths, &policy) < 0)
        return CMD_FAILED;
    status = run(policy, &request);
    policy_destroy(policy);
    return status;
}
