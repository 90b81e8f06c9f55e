// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Actions: what a rule does with a call, read from a policy and said in words.
#include "jail/policy/parser.h"

#include <string.h>

static const struct {
    const char *word;
    uint32_t action;
} action_words[] = {
    {"allow", SECCOMP_RET_ALLOW},
    {"kill", SECCOMP_RET_KILL_PROCESS},
    {"kill-process", SECCOMP_RET_KILL_PROCESS},
    {"kill-thread", SECCOMP_RET_KILL_THREAD},
    {"trap", SECCOMP_RET_TRAP},
    {"trace", SECCOMP_RET_TRACE},
    {"log", SECCOMP_RET_LOG},
    {"user-notify", SECCOMP_RET_USER_NOTIF},
};

#define ACTIONS                                                                                    \
    "an action: 1, allow, kill-process, kill-thread, trap, trace, log, user-notify, return ERRNO"

static bool parse_return(struct parser *parser, uint32_t *action)
{
    const struct token *token = parser_peek(parser);
    uint64_t value;

    if (token->kind == TOKEN_NUMBER)
        value = parser_take(parser)->value;
    else if (token->kind != TOKEN_NAME)
        return parser_fail(parser, token, "an error name or number, such as EPERM", NULL,
                           "error missing after 'return'");
    else if (!parse_named_constant(parser, parser_take(parser), &value))
        return false;
    if (value > POLICY_ERRNO_MAX)
        return parser_fail(parser, token, "0 to 4095", NULL, "error number out of range");
    *action = SECCOMP_RET_ERRNO | (uint32_t)value;
    return true;
}

bool parse_action(struct parser *parser, uint32_t *action)
{
    const struct token *token = parser_take(parser);

    if (token->kind == TOKEN_NUMBER && token->value == 1) {
        *action = SECCOMP_RET_ALLOW;
        return true;
    }
    if (token_is(token, "return"))
        return parse_return(parser, action);
    for (size_t i = 0; i < array_size(action_words); i++) {
        if (!token_is(token, action_words[i].word))
            continue;
        *action = action_words[i].action;
        return true;
    }
    if (token->kind == TOKEN_NUMBER)
        return parser_fail(parser, token, "1, which allows the call",
                           "to refuse it, leave the line out or write 'return EPERM'",
                           "number that is no action");
    return parser_fail(parser, token, ACTIONS " or a condition such as arg0 == 1", NULL,
                       token->kind == TOKEN_END ? "action missing" : "not an action");
}

const char *policy_action_text(uint32_t action, char *buffer, size_t size)
{
    static const struct {
        uint32_t kind;
        const char *name;
    } names[] = {
        {SECCOMP_RET_KILL_PROCESS, "KILL_PROCESS"},
        {SECCOMP_RET_KILL_THREAD, "KILL_THREAD"},
        {SECCOMP_RET_TRAP, "TRAP"},
        {SECCOMP_RET_TRACE, "TRACE"},
        {SECCOMP_RET_LOG, "LOG"},
        {SECCOMP_RET_USER_NOTIF, "USER_NOTIFY"},
        {SECCOMP_RET_ALLOW, "ALLOW"},
    };
    uint32_t kind = action & SECCOMP_RET_ACTION_FULL, data = action & SECCOMP_RET_DATA;
    const char *error;

    if (kind == SECCOMP_RET_ERRNO) {
        error = data ? strerrorname_np((int)data) : NULL;
        if (error)
            snprintf(buffer, size, "ERRNO %s", error);
        else
            snprintf(buffer, size, "ERRNO %u", data);
        return buffer;
    }
    snprintf(buffer, size, "0x%08x", action);
    for (size_t i = 0; i < array_size(names); i++)
        if (names[i].kind == kind)
            snprintf(buffer, size, "%s", names[i].name);
    return buffer;
}
