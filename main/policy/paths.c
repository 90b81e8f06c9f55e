// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the verbs of `bulkhead policy` share: finding policies and calls, and saying what is wrong.
#include "main/policy/commands.h"

#include "ipc/cleanup.h"
#include "main/cmd.h"
#include "main/message.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const char builtin_prefix[] = "builtin:";

bool policy_paths_add(struct policy_paths *paths, const char *directory)
{
    if (paths->count == POLICY_DIRECTORIES_MAX) {
        user_message("--policy-dir can be given %d times at most", POLICY_DIRECTORIES_MAX);
        return false;
    }
    paths->directories[paths->count++] = directory;
    return true;
}

int policy_open(const char *path, const struct policy_paths *paths, struct policy **policy,
                struct policy_diagnostics *diagnostics)
{
    struct policy_source source = {
        .path = path, .directories = paths->directories, .directory_count = paths->count};

    if (strncmp(path, builtin_prefix, sizeof(builtin_prefix) - 1) == 0)
        return policy_load_builtin(path + sizeof(builtin_prefix) - 1, policy, diagnostics);
    return policy_load(&source, policy, diagnostics);
}

int policy_open_or_say(const char *path, const struct policy_paths *paths, struct policy **policy)
{
    struct policy_diagnostics diagnostics _cleanup_(policy_diagnostics_clear) = {0};
    int error = policy_open(path, paths, policy, &diagnostics);

    policy_diagnostics_print(&diagnostics, stderr);
    if (error < 0 && diagnostics.errors == 0)
        user_message("cannot load the policy %s: %s", path, strerror(-error));
    return error;
}

int policy_call_argument(const char *text)
{
    int number = policy_call_number(text);
    uint64_t value;

    if (number >= 0)
        return number;
    if (text[0] >= '0' && text[0] <= '9' && policy_parse_value(text, &value) == 0 &&
        value <= 0x3fffffff)
        return (int)value;
    user_message("'%s' is not a system call of x86_64; give a name or a number", text);
    return -1;
}

int policy_usage(const char *verb, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    user_message("policy %s: %s; see 'bulkhead policy --help'", verb, text);
    return CMD_WRONG_USAGE;
}

void policy_print_rule(const struct policy_rule *rule, FILE *out)
{
    char action[64], number[16];
    const char *name = rule->name;

    if (name[0] == '\0') {
        snprintf(number, sizeof(number), "%u", rule->call);
        name = number;
    }
    fprintf(out, "%s: %s%s%s", name, rule->conditional ? rule->condition : "",
            rule->conditional ? " -> " : (rule->fallback ? "otherwise " : ""),
            policy_action_text(rule->action, action, sizeof(action)));
}
