// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// libFuzzer target: any bytes as policy text. Whatever they are, the answer is messages about them
// or a policy whose filter the kernel would take and which says what the policy says.
#include "jail/policy/lint.h"
#include "jail/policy/policy.h"
#include "jail/policy/simulate.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(int holds)
{
    if (!holds)
        abort();
}

// One call whose number and arguments come out of the text itself.
static void check_call(const struct policy *policy, const struct policy_options *options,
                       const struct policy_program *program, unsigned call, uint64_t value)
{
    struct seccomp_data data = {.nr = (int)call, .arch = AUDIT_ARCH_X86_64};
    uint64_t arguments[POLICY_ARGUMENTS];
    uint32_t action = 0;

    for (unsigned i = 0; i < POLICY_ARGUMENTS; i++)
        arguments[i] = data.args[i] = value + i;
    check(bpf_simulate(program->insns, program->count, &data, &action, NULL) == 0);
    check(action == policy_decide(policy, options, call, arguments).action);
}

static void check_rules(const struct policy *policy, const struct policy_options *options,
                        const struct policy_program *program, const uint8_t *bytes, size_t length)
{
    struct policy_nearest nearest;
    uint64_t value = 0;

    memcpy(&value, bytes, length < sizeof(value) ? length : sizeof(value));
    for (size_t i = 0; i < policy_rule_count(policy) && i < 64; i++) {
        struct policy_rule rule = policy_rule_at(policy, i);
        uint64_t arguments[POLICY_ARGUMENTS] = {value};

        check(rule.condition && rule.reason && rule.file && rule.line > 0);
        check_call(policy, options, program, rule.call, i);
        check_call(policy, options, program, rule.call, value);
        policy_find_nearest(policy, rule.call, arguments, &nearest);
        check(nearest.listed && nearest.allow[0] != '\0');
    }
    check_call(policy, options, program, 0x3fffffff, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct policy_source source = {
        .path = "fuzz", .bytes = (const char *)bytes, .length = length, .sealed = true};
    struct policy_options options = {
        .violation = (enum policy_violation)(length % (POLICY_VIOLATION_NOTIFY + 1))};
    struct policy_diagnostics diagnostics = {0};
    struct policy_program program = {0};
    struct policy *policy = NULL;
    char line[128];
    int error = policy_load(&source, &policy, &diagnostics);

    check((error == 0) == (policy != NULL));
    check(error == 0 || diagnostics.errors > 0);
    policy_diagnostics_summary(&diagnostics, line, sizeof(line));
    check(strchr(line, '\n') == NULL && (error == 0 || line[0] != '\0'));
    if (error == 0) {
        error = policy_compile(policy, &options, &program, &diagnostics);
        check(error == 0 || error == -E2BIG);
    }
    if (error == 0) {
        check(program.count > 0 && program.count <= BPF_MAXINSNS);
        check_rules(policy, &options, &program, bytes, length);
        if (length < 4096)
            policy_lint(policy, true, &diagnostics);
    }
    policy_program_destroy(&program);
    policy_destroy(policy);
    policy_diagnostics_clear(&diagnostics);
    return 0;
}
