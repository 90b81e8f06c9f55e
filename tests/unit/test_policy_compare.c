// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Policies compared by meaning, and what the check warns of. Both rest on a search for arguments;
// random policies show that it misses nothing that random calls find.
#include "ipc/cleanup.h"
#include "jail/policy/diff.h"
#include "jail/policy/lint.h"
#include "jail/policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

static struct policy *load(const char *text)
{
    struct policy_source source = {
        .path = "test.policy", .bytes = text, .length = strlen(text), .sealed = true};
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;

    if (policy_load(&source, &policy, &diagnostics) < 0) {
        policy_diagnostics_print(&diagnostics, stderr);
        print_error("%s\n", text);
    }
    assert_non_null(policy);
    policy_diagnostics_clear(&diagnostics);
    return policy;
}

static struct differences compare(const char *before, const char *after)
{
    struct policy *old = load(before), *new = load(after);
    struct differences differences;

    assert_int_equal(policy_compare(old, new, &differences), 0);
    policy_destroy(old);
    policy_destroy(new);
    return differences;
}

static void expect_same(const char *before, const char *after)
{
    struct differences differences _cleanup_(differences_clear) = compare(before, after);

    if (differences.count)
        print_error("%s\nand\n%s\nshould be the same\n", before, after);
    assert_int_equal(differences.count, 0);
}

static void expect_one(const char *before, const char *after, enum difference_kind kind,
                       unsigned call)
{
    struct differences differences _cleanup_(differences_clear) = compare(before, after);

    assert_int_equal(differences.count, 1);
    assert_int_equal(differences.list[0].kind, kind);
    assert_int_equal(differences.list[0].call, call);
}

static void test_spelling_makes_no_difference(void **unused)
{
    expect_same("read: 1\nwrite: 1", "{write, read}: allow # why");
    expect_same("ioctl: arg1 == 1 || arg1 == 2", "ioctl: arg1 == 2\nioctl: arg1 == 1");
    expect_same("dup: arg0 > 1 && arg0 < 4", "dup: arg0 == 2 || arg0 == 3");
    expect_same("mmap: arg2 in PROT_READ|PROT_WRITE", "mmap: arg2 <= 3");
    expect_same("mmap: arg2 & 3", "mmap: arg2 & 1 || arg2 & 2");
    expect_same("dup: arg0 < 5; return EPERM", "dup: { arg0 >= 5; return EPERM, allow }");
    expect_same("dup: arg0 & 0", "");
    expect_same("dup: arg0 != 1 && arg0 == 1", "read: kill");
    expect_same("@default kill", "");
    expect_same("dup: (arg0 == 1 || arg0 == 2) && arg1 == 3",
                "dup: arg0 == 1 && arg1 == 3 || arg0 == 2 && arg1 == 3");
}

static void test_differences_are_found_and_named(void **unused)
{
    expect_one("read: 1", "", DIFFERENCE_FORBIDDEN, SYS_read);
    expect_one("", "read: 1", DIFFERENCE_ALLOWED, SYS_read);
    expect_one("read: return EPERM", "", DIFFERENCE_OTHER, SYS_read);
    expect_one("read: log", "read: 1", DIFFERENCE_OTHER, SYS_read);
    expect_one("ioctl: arg1 == 1", "ioctl: arg1 == 1 || arg1 == 2", DIFFERENCE_ALLOWED, SYS_ioctl);
    expect_one("dup: arg0 < 10", "dup: arg0 < 9", DIFFERENCE_FORBIDDEN, SYS_dup);
    expect_one("", "@default trap", DIFFERENCE_OTHER, DIFFERENCE_ALL_OTHERS);
    expect_one("", "@default log", DIFFERENCE_ALLOWED, DIFFERENCE_ALL_OTHERS);
    // Both wider and narrower.
    struct differences differences _cleanup_(differences_clear) =
        compare("dup: arg0 == 1", "dup: arg0 == 2");
    assert_int_equal(differences.count, 2);
}

static void test_the_example_shows_the_difference(void **unused)
{
    static const char before[] = "ioctl: arg1 in 0xff && arg1 != 7 && arg0 > 2";
    static const char after[] = "ioctl: arg1 in 0x1ff && arg1 != 7 && arg0 > 2";
    struct differences differences _cleanup_(differences_clear) = compare(before, after);
    struct policy *old = load(before), *new = load(after);

    assert_int_equal(differences.count, 1);
    assert_int_equal(differences.list[0].kind, DIFFERENCE_ALLOWED);
    assert_int_equal(policy_decide(old, NULL, SYS_ioctl, differences.list[0].arguments).action,
                     SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(policy_decide(new, NULL, SYS_ioctl, differences.list[0].arguments).action,
                     SECCOMP_RET_ALLOW);
    policy_destroy(old);
    policy_destroy(new);
}

// ---------------------------------------------------------------------------- random policies

static uint64_t state;

static unsigned below(unsigned limit)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (unsigned)((state * 0x2545f4914f6cdd1dULL) >> 33) % limit;
}

static const uint64_t values[] = {
    0, 1, 2, 3, 5, 8, 0x80000000, 0xffffffff, 0x100000000, 0xfffffffffffffffe, 0xffffffffffffffff};

static uint64_t some_value(void)
{
    return values[below(array_size(values))];
}

static void random_policy(char *text, size_t size)
{
    static const char *const operators[] = {"==", "!=", "<", "<=", ">", ">=", "&", "in"};
    static const char *const actions[] = {"1", "return EPERM", "kill", "log"};
    size_t length = (size_t)snprintf(text, size, "dup: {");

    for (unsigned i = 0, rules = 1 + below(4); i < rules; i++) {
        length += (size_t)snprintf(text + length, size - length, i ? ", " : " ");
        for (unsigned k = 0, atoms = 1 + below(3); k < atoms; k++)
            length += (size_t)snprintf(text + length, size - length, "%sarg%u %s 0x%llx",
                                       k ? (below(2) ? " && " : " || ") : "", below(2),
                                       operators[below(8)], (unsigned long long)some_value());
        length += (size_t)snprintf(text + length, size - length, "; %s", actions[below(4)]);
    }
    snprintf(text + length, size - length, " }");
}

static bool is_listed(const struct differences *differences, uint32_t before, uint32_t after)
{
    for (size_t i = 0; i < differences->count; i++)
        if (differences->list[i].kind == DIFFERENCE_UNKNOWN ||
            (differences->list[i].before == before && differences->list[i].after == after))
            return true;
    return false;
}

static void check_pair(const char *before, const char *after)
{
    struct differences differences _cleanup_(differences_clear) = compare(before, after);
    struct policy *old = load(before), *new = load(after);

    // No difference that is not there.
    for (size_t i = 0; i < differences.count; i++) {
        const struct difference *difference = &differences.list[i];

        assert_int_not_equal(difference->kind, DIFFERENCE_UNKNOWN);
        assert_int_equal(policy_decide(old, NULL, SYS_dup, difference->arguments).action,
                         difference->before);
        assert_int_equal(policy_decide(new, NULL, SYS_dup, difference->arguments).action,
                         difference->after);
    }
    // None that is missing.
    for (unsigned i = 0; i < 60; i++) {
        uint64_t arguments[POLICY_ARGUMENTS] = {some_value() + below(3) - 1,
                                                some_value() + below(3) - 1};
        uint32_t then = policy_decide(old, NULL, SYS_dup, arguments).action;
        uint32_t now = policy_decide(new, NULL, SYS_dup, arguments).action;

        if (then != now && !is_listed(&differences, then, now)) {
            print_error("%s\n%s\nwith %llx %llx: 0x%x, 0x%x\n", before, after,
                        (unsigned long long)arguments[0], (unsigned long long)arguments[1], then,
                        now);
            fail();
        }
    }
    policy_destroy(old);
    policy_destroy(new);
}

static void test_random_policies_differ_as_random_calls_say(void **unused)
{
    char before[2048], after[2048];

    state = 0x853c49e6748fea9bULL;
    for (unsigned i = 0; i < 4000; i++) {
        random_policy(before, sizeof(before));
        random_policy(after, sizeof(after));
        check_pair(before, after);
        expect_same(before, before);
    }
}

// ---------------------------------------------------------------------------- the check

static bool warns(const char *text, bool reasons, const char *message)
{
    struct policy *policy = load(text);
    struct policy_diagnostics diagnostics = {0};
    bool found = false;

    policy_lint(policy, reasons, &diagnostics);
    for (size_t i = 0; i < diagnostics.count; i++)
        found = found || strstr(diagnostics.entries[i].message, message);
    policy_diagnostics_clear(&diagnostics);
    policy_destroy(policy);
    return found;
}

static void test_dangerous_calls_are_named(void **unused)
{
    static const struct {
        const char *text, *message;
        bool warned;
    } rows[] = {
        {"mmap: 1", "executable memory", true},
        {"mmap: arg2 in ~PROT_EXEC", "executable", false},
        {"mmap: arg2 == PROT_READ || arg2 == PROT_READ|PROT_WRITE", "executable", false},
        {"mmap: arg2 == PROT_READ|PROT_EXEC", "executable memory", true},
        {"mprotect: { arg2 & PROT_EXEC; kill, allow }", "executable", false},
        {"mprotect: { arg0 == 1 && arg2 & PROT_EXEC; kill, allow }", "executable", true},
        {"openat: 1", "opens files", true},
        {"openat: return EPERM", "opens files", false},
        {"socket: arg0 == AF_UNIX", "new sockets", true},
        {"ptrace: 1", "other processes", true},
        {"io_uring_setup: 1", "past this filter", true},
        {"io_uring_enter: 1", "past this filter", false},
        {"ioctl: 1", "every request", true},
        {"ioctl: arg0 == 3", "every request", true},
        {"ioctl: arg1 == TCGETS", "every request", false},
        {"clone: arg0 & CLONE_THREAD\nclone3: 1", "conditions of clone", true},
        {"clone: arg0 & CLONE_THREAD\nclone3: return ENOSYS", "clone3", false},
        {"clone: arg0 & CLONE_THREAD", "namespaces", true},
        {"clone: arg0 in CLONE_THREAD|CLONE_VM", "namespaces", false},
        {"@denylist\nread: kill", "deny list", true},
        {"@default log", "carried out", true},
        {"read: 1 # reads", "dangerous", false},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        if (warns(rows[i].text, false, rows[i].message) != rows[i].warned)
            print_error("%s\n", rows[i].text);
        assert_int_equal(warns(rows[i].text, false, rows[i].message), rows[i].warned);
    }
}

static void test_rules_that_do_nothing_are_named(void **unused)
{
    assert_true(warns("open: arg1 & O_RDONLY", false, "can never hold"));
    assert_true(warns("dup: arg0 == 1 && arg0 == 2", false, "can never hold"));
    assert_true(warns("dup: arg0 == 1 || arg0 < 0", false, "one of these"));
    assert_true(warns("dup: 1\ndup: arg0 == 1", false, "never matches"));
    assert_true(warns("dup: arg0 < 5\ndup: arg0 == 3", false, "never decides"));
    assert_true(
        warns("dup: { arg0 < 5, arg0 >= 5; kill }\ndup: return EPERM", false, "never decides"));
    assert_false(warns("dup: arg0 < 5\ndup: arg0 == 5", false, "never"));
    assert_false(warns("dup: arg0 < 5; return EPERM", false, "never"));
}

static void test_odd_values_and_missing_reasons_are_named(void **unused)
{
    assert_true(warns("newfstatat: arg0 == AT_FDCWD", false, "negative value"));
    assert_false(warns("newfstatat: arg0 == 0xffffff9c", false, "negative value"));
    assert_false(warns("mmap: arg2 in ~PROT_EXEC", false, "negative value"));
    assert_true(warns("read: 1", true, "no reason"));
    assert_false(warns("read: 1 # reads", true, "no reason"));
    assert_false(warns("read: return EPERM", true, "no reason"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spelling_makes_no_difference),
        cmocka_unit_test(test_differences_are_found_and_named),
        cmocka_unit_test(test_the_example_shows_the_difference),
        cmocka_unit_test(test_random_policies_differ_as_random_calls_say),
        cmocka_unit_test(test_dangerous_calls_are_named),
        cmocka_unit_test(test_rules_that_do_nothing_are_named),
        cmocka_unit_test(test_odd_values_and_missing_reasons_are_named),
    };

    return cmocka_run_group_tests_name("policy: compared and checked", tests, NULL, NULL);
}
