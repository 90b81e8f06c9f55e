// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Random policies and random calls: what the compiled filter says must be what the plain reading of
// the policy says, for every call, in every mode. Random, but the same on every run.
#include "jail/policy/policy.h"
#include "jail/policy/simulate.h"

#include <linux/audit.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define POLICIES 4000
#define CALLS_PER_POLICY 40 // 160,000 verdicts in all

static uint64_t state;

// xorshift64*, seeded by each test: no randomness of the machine.
static uint64_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1dULL;
}

static unsigned below(unsigned limit)
{
    return (unsigned)(next() >> 33) % limit;
}

// Few values, with neighbours and with bits in both halves, so that rules and calls meet often.
static const uint64_t values[] = {
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    0x10,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0x100000001,
    0x5401,
    0xc018aa3f,
    0xfffffffffffffffb,
    0x8000000000000000,
    0xffffffffffffffff,
    0x300000004,
    0x400000000,
};

static uint64_t some_value(void)
{
    uint64_t value = values[below(sizeof(values) / sizeof(values[0]))];

    switch (below(6)) {
    case 0:
        return value + 1;
    case 1:
        return value - 1;
    case 2:
        return value ^ 0x100000000ULL;
    case 3:
        return value | values[below(sizeof(values) / sizeof(values[0]))];
    default:
        return value;
    }
}

static const unsigned numbers[] = {0,  1,   2,   3,   9,   10,  16,  28,  39,  41,  56,
                                   72, 157, 202, 231, 257, 281, 318, 425, 426, 435, 448};

struct text {
    char bytes[65536];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text->length += (size_t)vsnprintf(text->bytes + text->length,
                                      sizeof(text->bytes) - text->length, format, arguments);
    va_end(arguments);
    assert_true(text->length < sizeof(text->bytes));
}

static void put_action(struct text *text)
{
    static const char *const actions[] = {
        "allow", "kill", "kill-process", "kill-thread",  "trap",          "trace",
        "log",   "1",    "user-notify",  "return EPERM", "return ENOENT", "return 0"};

    put(text, "%s", actions[below(sizeof(actions) / sizeof(actions[0]))]);
}

static void put_atom(struct text *text, unsigned arguments)
{
    static const char *const operators[] = {"==", "!=", "<", "<=", ">", ">=", "&", "in"};

    put(text, "arg%u %s %s0x%llx", below(arguments), operators[below(8)], below(5) ? "" : "~",
        (unsigned long long)some_value());
    if (below(8) == 0)
        put(text, "|(0x%llx)", (unsigned long long)some_value());
}

static void put_expression(struct text *text, unsigned depth, unsigned arguments)
{
    unsigned terms = 1 + below(3);

    for (unsigned i = 0; i < terms; i++) {
        if (i)
            put(text, "%s", below(2) ? " && " : " || ");
        if (depth < 3 && below(5) == 0) {
            put(text, "(");
            put_expression(text, depth + 1, arguments);
            put(text, ")");
        } else {
            put_atom(text, arguments);
        }
    }
}

static void put_rule(struct text *text, unsigned number)
{
    unsigned arguments = 1 + below(6);

    put(text, "%u: ", number);
    switch (below(6)) {
    case 0:
        put(text, "1");
        break;
    case 1:
        put_action(text);
        break;
    case 2:
        put_expression(text, 0, arguments);
        put(text, "; return EACCES");
        break;
    case 3:
        put(text, "{ ");
        for (unsigned i = 0, count = 1 + below(4); i < count; i++) {
            put(text, "%s", i ? ", " : "");
            put_expression(text, 0, arguments);
            put(text, "; ");
            put_action(text);
        }
        put(text, " }");
        break;
    default:
        put_expression(text, 0, arguments);
        break;
    }
    put(text, "\n");
}

static void put_policy(struct text *text)
{
    static const char *const defaults[] = {"",
                                           "",
                                           "@default kill-process\n",
                                           "@default kill-thread\n",
                                           "@default trap\n",
                                           "@default log\n",
                                           "@default user-notify\n",
                                           "@default return ENOSYS\n"};
    unsigned step = 1 + below(4);

    text->length = 0;
    put(text, "%s", defaults[below(8)]);
    for (unsigned i = below(3); i < sizeof(numbers) / sizeof(numbers[0]); i += step) {
        put_rule(text, numbers[i]);
        if (below(8) == 0) {
            put(text, "%u: ", numbers[i]);
            put_expression(text, 0, 3);
            put(text, "\n");
        }
    }
}

static struct seccomp_data some_call(void)
{
    struct seccomp_data data = {.arch = AUDIT_ARCH_X86_64,
                                .instruction_pointer = next(),
                                .nr = (int)numbers[below(sizeof(numbers) / sizeof(numbers[0]))]};

    if (below(20) == 0)
        data.nr = (int)below(500);
    for (unsigned i = 0; i < 6; i++)
        data.args[i] = some_value();
    return data;
}

static void compare(const struct text *text, const struct policy *policy,
                    const struct policy_options *options, const struct policy_program *program,
                    const struct seccomp_data *data)
{
    uint64_t arguments[POLICY_ARGUMENTS];
    struct policy_verdict plain;
    uint32_t compiled = 0;
    char one[64], two[64];

    memcpy(arguments, data->args, sizeof(arguments));
    plain = policy_decide(policy, options, (unsigned)data->nr, arguments);
    assert_int_equal(bpf_simulate(program->insns, program->count, data, &compiled, NULL), 0);
    if (compiled == plain.action)
        return;
    print_error("call %d %llx %llx %llx %llx %llx %llx\nplain %s, compiled %s under\n%s", data->nr,
                (unsigned long long)data->args[0], (unsigned long long)data->args[1],
                (unsigned long long)data->args[2], (unsigned long long)data->args[3],
                (unsigned long long)data->args[4], (unsigned long long)data->args[5],
                policy_action_text(plain.action, one, sizeof(one)),
                policy_action_text(compiled, two, sizeof(two)), text->bytes);
    fail();
}

static void check_policy(const struct text *text, const struct policy_options *options)
{
    struct policy_source source = {.bytes = text->bytes, .length = text->length, .sealed = true};
    struct policy_diagnostics diagnostics = {0};
    struct policy_program program = {0};
    struct policy *policy = NULL;
    int error = policy_load(&source, &policy, &diagnostics);

    if (error == 0)
        error = policy_compile(policy, options, &program, &diagnostics);
    if (error < 0) {
        policy_diagnostics_print(&diagnostics, stderr);
        print_error("%s", text->bytes);
    }
    assert_int_equal(error, 0);
    for (unsigned i = 0; i < CALLS_PER_POLICY; i++) {
        struct seccomp_data data = some_call();

        compare(text, policy, options, &program, &data);
    }
    policy_program_destroy(&program);
    policy_destroy(policy);
    policy_diagnostics_clear(&diagnostics);
}

static void test_compiled_filters_mean_what_policies_say(void **unused)
{
    static struct text text;

    state = 0x9e3779b97f4a7c15ULL;
    for (unsigned i = 0; i < POLICIES; i++) {
        struct policy_options options = {.violation = (enum policy_violation)below(5), .error = 38};

        put_policy(&text);
        check_policy(&text, below(2) ? &options : NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compiled_filters_mean_what_policies_say),
    };

    return cmocka_run_group_tests_name("policy: compiled against plain", tests, NULL, NULL);
}
