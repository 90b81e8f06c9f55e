// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What policy text means: every construct of the language, and the messages about text that is
// wrong.
#include "ipc/cleanup.h"
#include "jail/policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define ALLOW SECCOMP_RET_ALLOW
#define KILL SECCOMP_RET_KILL_PROCESS
#define ERROR(number) (SECCOMP_RET_ERRNO | (number))

static int load(const char *text, struct policy **policy, struct policy_diagnostics *diagnostics)
{
    struct policy_source source = {
        .path = "test.policy", .bytes = text, .length = strlen(text), .sealed = true};

    return policy_load(&source, policy, diagnostics);
}

static struct policy *load_good(const char *text)
{
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;
    int error = load(text, &policy, &diagnostics);

    policy_diagnostics_print(&diagnostics, stderr);
    policy_diagnostics_clear(&diagnostics);
    assert_int_equal(error, 0);
    return policy;
}

// What the policy says of one call.
static uint32_t verdict(const struct policy *policy, unsigned call, uint64_t arg0, uint64_t arg1,
                        uint64_t arg2)
{
    uint64_t arguments[POLICY_ARGUMENTS] = {arg0, arg1, arg2};

    return policy_decide(policy, NULL, call, arguments).action;
}

static void expect(const char *text, unsigned call, uint64_t arg0, uint64_t arg1, uint64_t arg2,
                   uint32_t action)
{
    struct policy *policy = load_good(text);

    assert_int_equal(verdict(policy, call, arg0, arg1, arg2), action);
    policy_destroy(policy);
}

static void test_actions(void **unused)
{
    static const struct {
        const char *text;
        uint32_t action;
    } rows[] = {
        {"read: 1", ALLOW},
        {"read: allow", ALLOW},
        {"read: kill", KILL},
        {"read: kill-process", KILL},
        {"read: kill-thread", SECCOMP_RET_KILL_THREAD},
        {"read: trap", SECCOMP_RET_TRAP},
        {"read: trace", SECCOMP_RET_TRACE},
        {"read: log", SECCOMP_RET_LOG},
        {"read: user-notify", SECCOMP_RET_USER_NOTIF},
        {"read: return EPERM", ERROR(EPERM)},
        {"read: return 38", ERROR(ENOSYS)},
        {"write: 1", KILL},
        {"@default trap\nwrite: 1", SECCOMP_RET_TRAP},
        {"@default log", SECCOMP_RET_LOG},
        {"@default kill-thread", SECCOMP_RET_KILL_THREAD},
        {"@default user-notify", SECCOMP_RET_USER_NOTIF},
        {"@default return ENOSYS # for old programs", ERROR(ENOSYS)},
        {"@denylist\nwrite: return EPERM", ALLOW},
        {"@denylist\nread: return EPERM", ERROR(EPERM)},
        {"0: 1", ALLOW},
        {"0x0: 1", ALLOW},
    };

    for (size_t i = 0; i < array_size(rows); i++)
        expect(rows[i].text, SYS_read, 0, 0, 0, rows[i].action);
}

static void test_operators_compare_64_bits_without_sign(void **unused)
{
    static const struct {
        const char *condition;
        uint64_t value;
        bool holds;
    } rows[] = {
        {"arg0 == 3", 3, true},
        {"arg0 == 3", 0x100000003, false},
        {"arg0 != 3", 0x100000003, true},
        {"arg0 < 0x100000000", 0xffffffff, true},
        {"arg0 < 0x100000000", 0x100000000, false},
        {"arg0 <= 4", 4, true},
        {"arg0 <= 4", 0x100000000, false},
        {"arg0 > 4", 0x100000000, true},
        {"arg0 > 4", 4, false},
        {"arg0 >= 4", 4, true},
        {"arg0 > 0", 0xffffffffffffffff, true},
        {"arg0 == -1", 0xffffffffffffffff, true},
        {"arg0 == -1", 0xffffffff, false},
        {"arg0 & 6", 4, true},
        {"arg0 & 6", 8, false},
        {"arg0 & 0x100000000", 0x100000000, true},
        {"arg0 & O_RDONLY", 0xffffffffffffffff, false},
        {"arg0 in 6", 4, true},
        {"arg0 in 6", 0, true},
        {"arg0 in 6", 7, false},
        {"arg0 in 6", 0x100000000, false},
        {"arg0 in ~PROT_EXEC", 0xfffffffffffffffb, true},
        {"arg0 in ~PROT_EXEC", 4, false},
        {"arg0 == PROT_READ|PROT_WRITE", 3, true},
        {"arg0 == (PROT_READ|PROT_WRITE)", 3, true},
        {"arg0 == ~(PROT_READ|PROT_WRITE)", 0xfffffffffffffffc, true},
        {"arg0 == 010", 8, true},
        {"arg0 == 0o10", 8, true},
        {"arg0 == 0X1f", 31, true},
        {"arg0 == 1 || arg0 == 2", 2, true},
        {"arg0 > 1 && arg0 < 3", 2, true},
        {"arg0 > 1 && arg0 < 3", 3, false},
        {"arg0 == 9 || arg0 > 1 && arg0 < 3", 2, true},
        {"(arg0 == 9 || arg0 > 1) && arg0 < 3", 9, false},
        {"arg0==1||arg0==2", 2, true},
    };
    char text[128];

    for (size_t i = 0; i < array_size(rows); i++) {
        snprintf(text, sizeof(text), "read: %s", rows[i].condition);
        expect(text, SYS_read, rows[i].value, 0, 0, rows[i].holds ? ALLOW : KILL);
    }
}

static void test_action_behind_semicolon_is_the_fallback(void **unused)
{
    static const char text[] = "read: arg0 == 0; return EBADF";

    expect(text, SYS_read, 0, 0, 0, ALLOW);
    expect(text, SYS_read, 1, 0, 0, ERROR(EBADF));
    // A later line's condition comes before the fallback of an earlier one.
    expect("read: arg0 == 0; return EBADF\nread: arg0 == 1", SYS_read, 1, 0, 0, ALLOW);
    // Allowing what does not match would allow everything.
    expect("read: arg0 == 0; allow", SYS_read, 1, 0, 0, KILL);
}

static void test_braces_hold_rules_that_are_tried_in_order(void **unused)
{
    static const char text[] =
        "read: { arg0 == 0; return EBADF, arg0 < 10 && arg1 == 1; log, arg0 < 10, trap }";

    expect(text, SYS_read, 0, 1, 0, ERROR(EBADF));
    expect(text, SYS_read, 1, 1, 0, SECCOMP_RET_LOG);
    expect(text, SYS_read, 1, 2, 0, ALLOW);
    expect(text, SYS_read, 10, 1, 0, SECCOMP_RET_TRAP);
    expect("{read, write}: 1", SYS_write, 0, 0, 0, ALLOW);
    expect("{read, kill}: arg0 == 1", SYS_kill, 1, 0, 0, ALLOW);
}

static void test_architectures_and_groups(void **unused)
{
    expect("read[arch=x86_64]: 1", SYS_read, 0, 0, 0, ALLOW);
    expect("read[arch=arm64,x86_64]: 1", SYS_read, 0, 0, 0, ALLOW);
    expect("read[arch=arm64]: 1", SYS_read, 0, 0, 0, KILL);
    // What only others have need not exist here.
    expect("{mmap2[arch=arm], read}: 1", SYS_read, 0, 0, 0, ALLOW);
    expect("read-write@bulkhead: 1", SYS_pwritev2, 0, 0, 0, ALLOW);
    expect("{exit@bulkhead, read}: 1", SYS_exit_group, 0, 0, 0, ALLOW);
}

static void test_lines_continue_and_comments_end(void **unused)
{
    expect("read: arg0 == 1 || \\\n  arg0 == 2", SYS_read, 2, 0, 0, ALLOW);
    expect("read: arg0 == 1 # one \\\n || arg0 == 2", SYS_read, 2, 0, 0, ALLOW);
    expect("# a comment that ends in \\\nread: 1", SYS_read, 2, 0, 0, ALLOW);
    expect("\r\n  \t\r\nread: 1\r\n", SYS_read, 0, 0, 0, ALLOW);
    expect("read:1#x", SYS_read, 0, 0, 0, ALLOW);
    expect("read: 1 \\", SYS_read, 0, 0, 0, ALLOW);
    expect("", SYS_read, 0, 0, 0, KILL);
}

static void test_lines_of_one_call_merge_in_order(void **unused)
{
    expect("ioctl: arg1 == 1\nioctl: arg1 == 2", SYS_ioctl, 0, 2, 0, ALLOW);
    expect("ioctl: arg1 == 1\nioctl: return EPERM", SYS_ioctl, 0, 2, 0, ERROR(EPERM));
    expect("ioctl: 1\nioctl: { arg1 == 2; return EPERM }", SYS_ioctl, 0, 2, 0, ALLOW);
    expect("ioctl: 1\nioctl: 1", SYS_ioctl, 0, 2, 0, ALLOW);
    expect("ioctl: arg1 == 1; return EPERM\nioctl: return EPERM\nioctl: arg1 == 2", SYS_ioctl, 0, 2,
           0, ERROR(EPERM));
}

// ---------------------------------------------------------------------------- errors

struct expected_error {
    const char *text;
    unsigned line, column;
    const char *message;    // part of it
    const char *suggestion; // part of it, or NULL
};

static void expect_error(const struct expected_error *expected)
{
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;
    const struct policy_diagnostic *first;

    assert_int_equal(load(expected->text, &policy, &diagnostics), -EINVAL);
    assert_null(policy);
    assert_true(diagnostics.errors > 0);
    first = &diagnostics.entries[0];
    if (!strstr(first->message, expected->message))
        print_error("%s\n", first->message);
    assert_non_null(strstr(first->message, expected->message));
    assert_int_equal(first->line, expected->line);
    assert_int_equal(first->column, expected->column);
    assert_string_equal(first->file, "test.policy");
    if (expected->suggestion) {
        assert_non_null(first->suggestion);
        assert_non_null(strstr(first->suggestion, expected->suggestion));
    }
    policy_diagnostics_clear(&diagnostics);
}

static void test_errors_say_where_and_what(void **unused)
{
    static const struct expected_error rows[] = {
        {"raed: 1", 1, 1, "unknown system call 'raed'", "'read'"},
        {"read: 1\n  wrte: 1", 2, 3, "unknown system call 'wrte'", "'write'"},
        {"fallocate: arg1 == FALLOC_FL_KEEPSIZE", 1, 20, "unknown constant", "FALLOC_FL_KEEP_SIZE"},
        {"read: return EPRM", 1, 14, "unknown constant", "EPERM"},
        {"read: 2", 1, 7, "no action", NULL},
        {"read: alow", 1, 7, "not an action", NULL},
        {"read:", 1, 6, "action missing", NULL},
        {"read 1", 1, 6, "unexpected '1'", NULL},
        {"read: arg0 = 1", 1, 12, "not an operator", "'=='"},
        {"read: arg6 == 1", 1, 7, "six arguments", NULL},
        {"read: arg0 ==", 1, 14, "value missing", NULL},
        {"read: arg0 == ~~1", 1, 16, "not a value", "double complement"},
        {"read: arg0 == 1 &&", 1, 19, "condition missing", NULL},
        {"read: arg0 == (1", 1, 17, "ends too early", NULL},
        {"read: { arg0 == 1", 1, 18, "ends too early", NULL},
        {"read: arg0 == 18446744073709551616", 1, 15, "64 bits", NULL},
        {"read: arg0 == 12x", 1, 15, "not a number", NULL},
        {"read: return 4096", 1, 14, "out of range", NULL},
        {"read: 1 1", 1, 9, "unexpected '1'", "one rule a line"},
        {"read: $", 1, 7, "means nothing", NULL},
        {"read[arch=z80]: 1", 1, 11, "unknown architecture", NULL},
        {"read[os=linux]: 1", 1, 6, "condition in brackets", NULL},
        {"stuff@bulkhead: 1", 1, 1, "no such group", NULL},
        {"stuff@nowhere: 1", 1, 1, "namespace", NULL},
        {"mmap2: 1", 1, 1, "unknown system call", "mmap"},
        {"0x40000000: 1", 1, 1, "out of range", NULL},
        {"@defualt kill", 1, 1, "unknown directive", NULL},
        {"@default allow", 1, 10, "allow every call", "@denylist"},
        {"@default", 1, 1, "action missing", NULL},
        {"read: 1\n@denylist", 2, 1, "cannot become", NULL},
        {"@denylist\nread: 1", 2, 5, "must refuse something", NULL},
        {"@include", 1, 1, "no usable path", NULL},
        {"@include /nowhere/at/all.policy", 1, 10, "cannot read", NULL},
        {"read: 1\nread: return EPERM", 2, 7, "disagree", NULL},
        {"read: arg0 == 1; return EPERM\nread: arg0 == 2; return EACCES", 2, 18, "disagree", NULL},
    };

    for (size_t i = 0; i < array_size(rows); i++)
        expect_error(&rows[i]);
}

static void test_every_wrong_statement_is_reported(void **unused)
{
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;

    assert_int_equal(load("raed: 1\nread: 1\nwrte: 1\n", &policy, &diagnostics), -EINVAL);
    assert_int_equal(diagnostics.errors, 2);
    assert_int_equal(diagnostics.entries[1].line, 3);
    policy_diagnostics_clear(&diagnostics);
}

static void test_a_message_looks_like_a_compilers(void **unused)
{
    static const char wanted[] = "test.policy:1:16: error: unknown constant 'PROT_RAED'\n"
                                 "   1 | mmap: arg2 in ~PROT_RAED # why\n"
                                 "     |                ^~~~~~~~~\n"
                                 "     = did you mean 'PROT_READ'?\n";
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;
    char *text = NULL, line[256];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_int_equal(load("mmap: arg2 in ~PROT_RAED # why", &policy, &diagnostics), -EINVAL);
    policy_diagnostics_print(&diagnostics, out);
    fclose(out);
    assert_string_equal(text, wanted);
    policy_diagnostics_summary(&diagnostics, line, sizeof(line));
    assert_string_equal(
        line, "test.policy:1:16: unknown constant 'PROT_RAED'; did you mean 'PROT_READ'?");
    free(text);
    policy_diagnostics_clear(&diagnostics);
}

static void test_deep_and_large_text_is_refused(void **unused)
{
    static char text[200000];
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;
    size_t length;

    length = (size_t)snprintf(text, sizeof(text), "read: arg0 == ");
    memset(text + length, '(', 5000);
    text[length + 5000] = '\0';
    assert_int_equal(load(text, &policy, &diagnostics), -EINVAL);
    length = (size_t)snprintf(text, sizeof(text), "read: ");
    memset(text + length, '(', 5000);
    text[length + 5000] = '\0';
    assert_int_equal(load(text, &policy, &diagnostics), -EINVAL);
    length = (size_t)snprintf(text, sizeof(text), "read: arg0 == 1");
    while (length < sizeof(text) - 16)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "|1");
    assert_int_equal(load(text, &policy, &diagnostics), -EINVAL);
    policy_diagnostics_clear(&diagnostics);
}

// ---------------------------------------------------------------------------- files

static char folder[64];

static void write_file(const char *name, const char *text)
{
    char path[256];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    out = fopen(path, "we");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static int make_folder(void **unused)
{
    char path[96];

    snprintf(folder, sizeof(folder), "/tmp/bulkhead-policy-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/other", folder);
    return mkdir(path, 0700);
}

static int remove_folder(void **unused)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static int load_file(const char *name, const char *directory, struct policy **policy,
                     struct policy_diagnostics *diagnostics)
{
    char path[256];
    struct policy_source source = {
        .path = path, .directories = &directory, .directory_count = directory != NULL};

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return policy_load(&source, policy, diagnostics);
}

static void test_includes_are_found_where_they_should_be(void **unused)
{
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;
    char other[96];

    snprintf(other, sizeof(other), "%s/other", folder);
    write_file("beside.policy", "read: 1\n@frequency ./beside.frequency\n");
    write_file("beside.frequency", "read: 100\nwrite: 200 # more\n");
    write_file("other/apart.policy", "write: 1\n@include nested.policy\n");
    write_file("other/nested.policy", "dup: 1 # nested\n");
    write_file("other/moved.policy", "close: 1\n");
    write_file("main.policy", "@include ./beside.policy # beside\n@include apart.policy\n"
                              "@include /usr/share/policy/elsewhere/moved.policy\n"
                              "@include rng.policy\n");
    assert_int_equal(load_file("main.policy", other, &policy, &diagnostics), 0);
    assert_int_equal(verdict(policy, SYS_read, 0, 0, 0), ALLOW);
    assert_int_equal(verdict(policy, SYS_write, 0, 0, 0), ALLOW);
    assert_int_equal(verdict(policy, SYS_dup, 0, 0, 0), ALLOW);
    assert_int_equal(verdict(policy, SYS_close, 0, 0, 0), ALLOW);
    assert_int_equal(verdict(policy, SYS_getrandom, 0, 0, 0), ALLOW);
    policy_destroy(policy);
    // A file may stand in for the built-in policy that it includes.
    write_file("rng.policy", "@include builtin:rng\ndup: 1\n");
    assert_int_equal(load_file("rng.policy", NULL, &policy, &diagnostics), 0);
    assert_int_equal(verdict(policy, SYS_getrandom, 0, 0, 0), ALLOW);
    policy_destroy(policy);
    // A sealed source opens no file.
    assert_int_equal(load("@include rng.policy", &policy, NULL), 0);
    policy_destroy(policy);
    assert_int_equal(load("@include /etc/passwd", &policy, NULL), -EINVAL);
}

static void test_include_chains_and_loops(void **unused)
{
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;
    char name[32], text[64];

    write_file("outer.policy", "# one\n@include inner.policy\n");
    write_file("inner.policy", "read: 1\nraed: 1\n");
    assert_int_equal(load_file("outer.policy", NULL, &policy, &diagnostics), -EINVAL);
    assert_int_equal(diagnostics.entries[0].line, 2);
    assert_int_equal(diagnostics.entries[0].chain_count, 1);
    assert_int_equal(diagnostics.entries[0].chain[0].line, 2);
    assert_non_null(strstr(diagnostics.entries[0].chain[0].file, "outer.policy"));
    policy_diagnostics_clear(&diagnostics);

    write_file("loop.policy", "@include ./pool.policy\n");
    write_file("pool.policy", "@include loop.policy\n");
    assert_int_equal(load_file("loop.policy", NULL, &policy, &diagnostics), -EINVAL);
    assert_non_null(strstr(diagnostics.entries[0].message, "includes itself"));
    policy_diagnostics_clear(&diagnostics);

    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "deep%u.policy", i);
        snprintf(text, sizeof(text), "@include deep%u.policy\n", i + 1);
        write_file(name, text);
    }
    assert_int_equal(load_file("deep0.policy", NULL, &policy, &diagnostics), -EINVAL);
    assert_non_null(strstr(diagnostics.entries[0].message, "nested deeper"));
    policy_diagnostics_clear(&diagnostics);
}

static void test_files_that_cannot_be_read(void **unused)
{
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;
    char line[256];

    assert_int_equal(load_file("missing.policy", NULL, &policy, &diagnostics), -ENOENT);
    policy_diagnostics_summary(&diagnostics, line, sizeof(line));
    assert_non_null(strstr(line, "missing.policy: cannot read this policy: No such file"));
    policy_diagnostics_clear(&diagnostics);
    assert_int_equal(load_file("other", NULL, &policy, &diagnostics), -EISDIR);
    policy_diagnostics_clear(&diagnostics);
}

// ---------------------------------------------------------------------------- reasons, reports

static void test_reasons_are_the_comments(void **unused)
{
    struct policy *policy = load_good("# SPDX-License-Identifier: none\n"
                                      "read: 1\n"
                                      "# above,\n"
                                      "#   on two lines\n"
                                      "write: 1\n"
                                      "\n"
                                      "# a heading\n"
                                      "\n"
                                      "dup: 1\n"
                                      "# above\n"
                                      "close: arg0 == 1  # behind\n"
                                      "fsync: 1 # rare: never seen\n");
    static const char *const reasons[] = {"", "above, on two lines", "", "behind",
                                          "rare: never seen"};

    assert_int_equal(policy_rule_count(policy), 5);
    for (size_t i = 0; i < 5; i++) {
        struct policy_rule rule = policy_rule_at(policy, i);

        assert_string_equal(rule.reason, reasons[i]);
        assert_string_equal(rule.file, "test.policy");
        assert_int_equal(rule.rare, i == 4);
    }
    assert_string_equal(policy_rule_at(policy, 3).condition, "arg0 == 1");
    assert_int_equal(policy_rule_at(policy, 3).line, 11);
    policy_destroy(policy);
}

static void test_allowed_calls_are_counted(void **unused)
{
    struct policy *policy = load_good("read: 1\nwrite: arg0 == 1\ndup: return EPERM\nclose: log\n"
                                      "kill: { arg0 == 1; return EPERM, trap }\n");

    assert_int_equal(policy_syscalls_allowed(policy), 3);
    policy_destroy(policy);
    policy = load_good("@denylist\nread: return EPERM");
    assert_true(policy_syscalls_allowed(policy) > 300);
    policy_destroy(policy);
}

static void test_the_nearest_rule_and_the_one_that_would_allow(void **unused)
{
    struct policy *policy = load_good("read: arg0 == 3\n"
                                      "ioctl: arg1 == TCGETS && arg0 == 0\n"
                                      "ioctl: arg1 == FIONBIO\n"
                                      "mmap: arg2 in PROT_READ\n");
    uint64_t arguments[POLICY_ARGUMENTS] = {1, 0x5401, 0x7fff1000, 0, 0, 0};
    struct policy_nearest nearest;

    policy_find_nearest(policy, SYS_ioctl, arguments, &nearest);
    assert_true(nearest.listed);
    assert_int_equal(policy_rule_at(policy, nearest.rule).line, 2);
    assert_string_equal(nearest.allow, "ioctl: arg0 == 1 && arg1 == TCGETS");
    assert_string_equal(nearest.call, "ioctl(1, TCGETS, 0x7fff1000)");
    arguments[1] = 0x5452;
    policy_find_nearest(policy, SYS_fcntl, arguments, &nearest);
    assert_false(nearest.listed);
    assert_string_equal(nearest.allow, "fcntl: arg1 == 0x5452");
    policy_find_nearest(policy, SYS_getpid, arguments, &nearest);
    assert_string_equal(nearest.allow, "getpid: 1");
    assert_string_equal(nearest.call, "getpid()");
    arguments[2] = 6;
    arguments[3] = 0x22;
    policy_find_nearest(policy, SYS_mmap, arguments, &nearest);
    assert_int_equal(policy_rule_at(policy, nearest.rule).line, 4);
    assert_string_equal(nearest.allow,
                        "mmap: arg2 == PROT_WRITE|PROT_EXEC && arg3 == MAP_PRIVATE|MAP_ANONYMOUS");
    policy_destroy(policy);
}

// Whatever the call, the rule that is offered allows it.
static void test_offered_rules_do_allow_the_call(void **unused)
{
    struct policy *empty = load_good("");
    uint64_t state = 88172645463325252ULL;

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t arguments[POLICY_ARGUMENTS];
        struct policy_nearest nearest;
        struct policy *offered;
        unsigned call = i % 340;

        for (unsigned k = 0; k < POLICY_ARGUMENTS; k++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            arguments[k] = state >> (state % 64);
        }
        policy_find_nearest(empty, call, arguments, &nearest);
        offered = load_good(nearest.allow);
        assert_int_equal(policy_decide(offered, NULL, call, arguments).action, ALLOW);
        policy_destroy(offered);
    }
    policy_destroy(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_operators_compare_64_bits_without_sign),
        cmocka_unit_test(test_action_behind_semicolon_is_the_fallback),
        cmocka_unit_test(test_braces_hold_rules_that_are_tried_in_order),
        cmocka_unit_test(test_architectures_and_groups),
        cmocka_unit_test(test_lines_continue_and_comments_end),
        cmocka_unit_test(test_lines_of_one_call_merge_in_order),
        cmocka_unit_test(test_errors_say_where_and_what),
        cmocka_unit_test(test_every_wrong_statement_is_reported),
        cmocka_unit_test(test_a_message_looks_like_a_compilers),
        cmocka_unit_test(test_deep_and_large_text_is_refused),
        cmocka_unit_test(test_includes_are_found_where_they_should_be),
        cmocka_unit_test(test_include_chains_and_loops),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_reasons_are_the_comments),
        cmocka_unit_test(test_allowed_calls_are_counted),
        cmocka_unit_test(test_the_nearest_rule_and_the_one_that_would_allow),
        cmocka_unit_test(test_offered_rules_do_allow_the_call),
    };

    return cmocka_run_group_tests_name("policy: the language", tests, make_folder, remove_folder);
}
