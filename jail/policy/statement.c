// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The left side of a rule: which system calls it is about.
//
//   calls = call | "{" call { "," call } "}"
//   call  = ( name | number | group "@" namespace ) [ "[" key "=" value { "," value } … "]" ]
#include "jail/policy/parser.h"

#include <errno.h>
#include <string.h>

// The names under which policies know this architecture.
static const char *const our_names[] = {"x86_64", "amd64"};
static const char *const other_names[] = {
    "x86", "i386",  "arm",     "arm64",   "aarch64", "mips",  "mips64", "mipsel",
    "ppc", "ppc64", "ppc64le", "riscv64", "s390",    "s390x", "x32",    "loongarch64"};

static bool is_among(const struct token *token, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (token_is(token, names[i]))
            return true;
    return false;
}

static bool add_number(struct parser *parser, struct numbers *calls, unsigned number)
{
    for (size_t i = 0; i < calls->count; i++)
        if (calls->list[i] == number)
            return true;
    if (policy_grow((void **)&calls->list, &calls->capacity, calls->count, sizeof(*calls->list)) <
        0)
        return parser_no_memory(parser);
    calls->list[calls->count++] = number;
    return true;
}

static bool parse_architectures(struct parser *parser, bool *ours)
{
    *ours = false;
    do {
        const struct token *name = parser_take(parser);

        if (is_among(name, our_names, array_size(our_names)))
            *ours = true;
        else if (!is_among(name, other_names, array_size(other_names)))
            return parser_fail(parser, name, "x86_64, arm64, arm, riscv64 …", NULL,
                               "unknown architecture");
    } while (parser_accept(parser, ","));
    return true;
}

// "[arch=x86_64,arm64]"; *ours becomes whether the call counts here.
static bool parse_metadata(struct parser *parser, bool *ours)
{
    bool seen = false;

    *ours = true;
    if (!parser_accept(parser, "["))
        return true;
    do {
        const struct token *key = parser_take(parser);

        if (!token_is(key, "arch"))
            return parser_fail(parser, key, "arch=NAME", NULL, "unknown condition in brackets");
        if (seen)
            return parser_fail(parser, key, NULL, NULL, "'arch' given twice");
        seen = true;
        if (!parser_expect(parser, "=", "'='") || !parse_architectures(parser, ours))
            return false;
    } while (parser_accept(parser, ";"));
    return parser_expect(parser, "]", "',' or ']'");
}

static bool add_group(struct parser *parser, const struct token *token, const char *sign,
                      struct numbers *calls)
{
    const char *space = sign + 1, *end = token->start + token->length;
    bool space_known;
    const struct call_group *group = policy_group_find(token->start, (size_t)(sign - token->start),
                                                       space, (size_t)(end - space), &space_known);

    if (!group)
        return parser_fail(parser, token, NULL, "bulkhead-policy(5) lists the groups",
                           space_known ? "no such group in this namespace"
                                       : "unknown namespace of groups");
    for (const char *const *name = group->calls; *name; name++) {
        int number = policy_call_number(*name);

        if (number >= 0 && !add_number(parser, calls, (unsigned)number))
            return false;
    }
    return true;
}

static bool add_named(struct parser *parser, const struct token *token, struct numbers *calls)
{
    const char *sign = memchr(token->start, '@', token->length), *near;
    char name[64], hint[128];
    int number;

    if (sign)
        return add_group(parser, token, sign, calls);
    snprintf(name, sizeof(name), "%.*s", (int)token->length, token->start);
    number = token->length < sizeof(name) ? policy_call_number(name) : -ENOENT;
    if (number >= 0)
        return add_number(parser, calls, (unsigned)number);
    near = policy_call_suggestion(token->start, token->length);
    if (near)
        snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
    return parser_fail(parser, token, NULL, near ? hint : NULL, "unknown system call '%.*s'",
                       (int)token->length, token->start);
}

static bool add_numbered(struct parser *parser, const struct token *token, struct numbers *calls)
{
    if (token->value > POLICY_CALL_MAX)
        return parser_fail(parser, token, "0 to 0x3fffffff", NULL,
                           "system call number out of range");
    return add_number(parser, calls, (unsigned)token->value);
}

bool parse_call(struct parser *parser, struct numbers *calls)
{
    const struct token *token = parser_take(parser);
    bool ours;

    if (token->kind != TOKEN_NAME && token->kind != TOKEN_NUMBER)
        return parser_fail(parser, token, "a system call", NULL, "not a system call");
    if (!parse_metadata(parser, &ours))
        return false;
    // Another architecture's calls need not exist here.
    if (!ours)
        return true;
    return token->kind == TOKEN_NUMBER ? add_numbered(parser, token, calls)
                                       : add_named(parser, token, calls);
}

bool parse_calls(struct parser *parser, struct numbers *calls)
{
    if (!parser_accept(parser, "{"))
        return parse_call(parser, calls);
    do {
        if (!parse_call(parser, calls))
            return false;
    } while (parser_accept(parser, ","));
    return parser_expect(parser, "}", "',' or '}'");
}
