// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What policies.sh asks of each policy, by the parser that the warden uses: a reason for each rule
// that allows something, and no more system calls than the design allows.
#include "ipc/cleanup.h"
#include "jail/policy/policy.h"

#include <stdio.h>
#include <string.h>

#define REASON_MIN 6 // characters: shorter ones say nothing

static const struct {
    const char *name;
    unsigned calls;
} limits[] = {
    {"rng", 10},  {"console", 10}, {"balloon", 10}, {"input", 10},
    {"vcpu", 10}, {"block", 16},   {"net", 16},     {"vsock", 16},
};

// Whether the file is NAME.policy.
static bool is_policy(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t length = strlen(name);

    return strncmp(base, name, length) == 0 && strcmp(base + length, ".policy") == 0;
}

static unsigned check_reasons(const struct policy *policy)
{
    unsigned findings = 0;

    for (size_t i = 0; i < policy_rule_count(policy); i++) {
        const struct policy_rule rule = policy_rule_at(policy, i);

        if (!policy_action_permits(rule.action) || strlen(rule.reason) >= REASON_MIN)
            continue;
        printf("%s:%u: %s is allowed without a reason; say behind it, after '#', what for\n",
               rule.file, rule.line, rule.name);
        findings++;
    }
    return findings;
}

static unsigned check_number(const struct policy *policy, const char *path)
{
    unsigned calls = policy_syscalls_allowed(policy);

    for (size_t i = 0; i < array_size(limits); i++) {
        if (!is_policy(path, limits[i].name) || calls <= limits[i].calls)
            continue;
        printf("%s:1: allows %u system calls, %u are the limit\n", path, calls, limits[i].calls);
        return 1;
    }
    return 0;
}

static unsigned check(const char *path)
{
    const struct policy_source source = {.path = path};
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;
    unsigned findings = 0;

    if (policy_load(&source, &policy, &diagnostics) == 0)
        findings = check_reasons(policy) + check_number(policy, path);
    if (policy == NULL || diagnostics.count > 0) {
        policy_diagnostics_print(&diagnostics, stdout);
        findings++;
    }
    policy_destroy(policy);
    policy_diagnostics_clear(&diagnostics);
    return findings;
}

int main(int argc, char **argv)
{
    unsigned findings = 0;

    for (int i = 1; i < argc; i++)
        findings += check(argv[i]);
    if (argc < 2)
        printf("policies:1: there are none\n");
    return findings > 0 || argc < 2;
}
