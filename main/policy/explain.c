// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// `bulkhead policy explain FILE SYSCALL`: what the policy says of one call, where, and why.
#include "main/policy/commands.h"

#include "main/cmd.h"

#include <getopt.h>

static void print_rule(const struct policy_rule *rule)
{
    char action[64];

    printf("  %s:%u: %s%s%s%s\n", rule->file, rule->line, rule->fallback ? "otherwise " : "",
           policy_action_text(rule->action, action, sizeof(action)),
           rule->conditional ? " if " : "", rule->condition);
    if (rule->unreachable)
        puts("      never reached: an earlier line decides every call");
    printf("      why: %s\n", rule->reason[0] ? rule->reason : "(no comment says)");
}

static void explain(const struct policy *policy, unsigned call)
{
    const char *name = policy_call_name(call);
    unsigned rules = 0;
    bool decided = false;
    char action[64];

    printf("%s (system call %u) under %s:\n", name ? name : "unnamed", call, policy_name(policy));
    for (size_t i = 0; i < policy_rule_count(policy); i++) {
        struct policy_rule rule = policy_rule_at(policy, i);

        if (rule.call != call)
            continue;
        print_rule(&rule);
        rules++;
        decided = decided || !rule.conditional;
    }
    if (!decided)
        printf("  %s%s, the default\n", rules ? "otherwise " : "no rule: ",
               policy_action_text(policy_default_action(policy, NULL), action, sizeof(action)));
}

int policy_explain(int argc, char **argv)
{
    static const struct option options[] = {{"policy-dir", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct policy_paths paths = {0};
    struct policy *policy = NULL;
    int option, call;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (option != 'd' || !policy_paths_add(&paths, optarg))
            return CMD_WRONG_USAGE;
    if (optind != argc - 2)
        return policy_usage("explain", "give FILE and SYSCALL");
    call = policy_call_argument(argv[optind + 1]);
    if (call < 0)
        return CMD_WRONG_USAGE;
    if (policy_open_or_say(argv[optind], &paths, &policy) < 0)
        return CMD_FAILED;
    explain(policy, (unsigned)call);
    policy_destroy(policy);
    return CMD_OK;
}
