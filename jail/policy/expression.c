// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The right side of a rule: actions, argument expressions and constants.
//
//   filters    = filter | "{" filter { "," filter } "}"
//   filter     = action | some [ ";" action ]
//   some       = all { "||" all }
//   all        = term { "&&" term }
//   term       = atom | "(" some ")"
//   atom       = "arg" digit operator value
//   value      = constant { "|" constant }
//   constant   = [ "~" ] ( number | name | "(" value ")" )
#include "jail/policy/parser.h"

#include <errno.h>
#include <string.h>

#define SUGGESTIONS_MAX 20

bool parse_named_constant(struct parser *parser, const struct token *token, uint64_t *value)
{
    const char *near;
    char hint[128];

    if (policy_constant_find(token->start, token->length, value))
        return true;
    // Who misspells that many names has another problem.
    near = parser->diagnostics && parser->diagnostics->errors < SUGGESTIONS_MAX
               ? policy_constant_suggestion(token->start, token->length)
               : NULL;
    if (near)
        snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
    return parser_fail(parser, token, NULL, near ? hint : NULL, "unknown constant '%.*s'",
                       (int)token->length, token->start);
}

static bool parse_value(struct parser *parser, unsigned depth, uint64_t *value);

static bool parse_constant(struct parser *parser, unsigned depth, uint64_t *value)
{
    bool complement = parser_accept(parser, "~");
    const struct token *token = parser_peek(parser);

    if (depth >= POLICY_NESTING_MAX)
        return parser_fail(parser, token, NULL, NULL, "parentheses nested too deep");
    if (token_is(token, "(")) {
        parser_take(parser);
        if (!parse_value(parser, depth + 1, value) || !parser_expect(parser, ")", "')'"))
            return false;
    } else if (token->kind == TOKEN_NUMBER) {
        *value = parser_take(parser)->value;
    } else if (token->kind == TOKEN_NAME) {
        if (!parse_named_constant(parser, parser_take(parser), value))
            return false;
    } else {
        return parser_fail(parser, token, "a number or a named constant",
                           token_is(token, "~") ? "a double complement is the value itself" : NULL,
                           token->kind == TOKEN_END ? "value missing" : "not a value");
    }
    if (complement)
        *value = ~*value;
    return true;
}

static bool parse_value(struct parser *parser, unsigned depth, uint64_t *value)
{
    uint64_t sum = 0, part = 0;

    do {
        if (!parse_constant(parser, depth, &part))
            return false;
        sum |= part;
    } while (parser_accept(parser, "|"));
    *value = sum;
    return true;
}

static bool is_argument(const struct token *token)
{
    return token->kind == TOKEN_NAME && token->length == 4 && memcmp(token->start, "arg", 3) == 0 &&
           token->start[3] >= '0' && token->start[3] <= '9';
}

static bool parse_atom(struct parser *parser, struct atom *atom)
{
    const struct token *argument = parser_take(parser), *sign;

    if (!is_argument(argument))
        return parser_fail(parser, argument, "an argument, arg0 to arg5", NULL,
                           argument->kind == TOKEN_END ? "condition missing" : "not an argument");
    atom->argument = (uint8_t)(argument->start[3] - '0');
    if (atom->argument >= POLICY_ARGUMENTS)
        return parser_fail(parser, argument, "arg0 to arg5", NULL,
                           "system calls have six arguments");
    sign = parser_take(parser);
    if (sign->kind != TOKEN_OPERATOR)
        return parser_fail(parser, sign, "one of == != < <= > >= & in",
                           token_is(sign, "=") ? "did you mean '=='?" : NULL,
                           sign->kind == TOKEN_END ? "operator missing" : "not an operator");
    atom->op = (uint8_t)sign->op;
    return parse_value(parser, 0, &atom->value);
}

static uint32_t parse_some(struct parser *parser, unsigned depth);

static uint32_t parse_term(struct parser *parser, unsigned depth)
{
    const struct token *token = parser_peek(parser);
    struct atom atom = {0};
    uint32_t node;

    if (token_is(token, "(")) {
        if (depth + 1 >= POLICY_NESTING_MAX) {
            parser_fail(parser, token, NULL, NULL, "parentheses nested too deep");
            return POLICY_NONE;
        }
        parser_take(parser);
        node = parse_some(parser, depth + 1);
        if (node == POLICY_NONE || !parser_expect(parser, ")", "')', '&&' or '||'"))
            return POLICY_NONE;
        return node;
    }
    if (!parse_atom(parser, &atom))
        return POLICY_NONE;
    node = node_add(parser->policy, NODE_ATOM);
    if (node == POLICY_NONE)
        parser_no_memory(parser);
    else
        parser->policy->nodes[node].atom = atom;
    return node;
}

// A list of children joined by `sign`; a single child stands for itself.
static uint32_t parse_list(struct parser *parser, unsigned depth, enum node_kind kind,
                           const char *sign, uint32_t (*parse_child)(struct parser *, unsigned))
{
    uint32_t first = parse_child(parser, depth), last = first, parent;

    if (first == POLICY_NONE || !token_is(parser_peek(parser), sign))
        return first;
    while (parser_accept(parser, sign)) {
        uint32_t child = parse_child(parser, depth);

        if (child == POLICY_NONE)
            return POLICY_NONE;
        parser->policy->nodes[last].next = child;
        last = child;
    }
    parent = node_add(parser->policy, kind);
    if (parent == POLICY_NONE)
        parser_no_memory(parser);
    else
        parser->policy->nodes[parent].first_child = first;
    return parent;
}

static uint32_t parse_all(struct parser *parser, unsigned depth)
{
    return parse_list(parser, depth, NODE_ALL, "&&", parse_term);
}

static uint32_t parse_some(struct parser *parser, unsigned depth)
{
    return parse_list(parser, depth, NODE_SOME, "||", parse_all);
}

// The condition as written, from its first word to the one before `end`, with single blanks.
static const char *condition_text(struct parser *parser, size_t first, size_t end)
{
    const struct token *tokens = parser->lexer.tokens;
    size_t length = 0;
    char *text, *at;

    for (size_t i = first; i < end; i++)
        length += tokens[i].length + 1;
    text = policy_allocate(parser->policy, length + 1);
    if (!text)
        return NULL;
    at = text;
    for (size_t i = first; i < end; i++) {
        bool tight = i == first || token_is(&tokens[i], "|") || token_is(&tokens[i], ")") ||
                     token_is(&tokens[i - 1], "|") || token_is(&tokens[i - 1], "~") ||
                     token_is(&tokens[i - 1], "(");

        if (!tight)
            *at++ = ' ';
        memcpy(at, tokens[i].start, tokens[i].length);
        at += tokens[i].length;
    }
    *at = '\0';
    return text;
}

// What an action behind `;` means: alone it is the fallback, in braces it belongs to its condition.
static bool parse_behind(struct parser *parser, struct filter *filter, bool braces,
                         struct filter *fallback)
{
    const struct token *token = parser_peek(parser);
    uint32_t action;

    if (!parse_action(parser, &action))
        return false;
    if (braces) {
        filter->action = action;
    } else if (action == SECCOMP_RET_ALLOW) {
        parser_warn(parser, token, "write the condition alone, or 1 to allow every call",
                    "'; allow' after a condition allows nothing more than the condition");
    } else {
        *fallback = (struct filter){.root = POLICY_NONE,
                                    .action = action,
                                    .fallback = true,
                                    .condition = "",
                                    .line = token->line,
                                    .column = token->column,
                                    .length = token->length};
    }
    return true;
}

static bool add_filter(struct parser *parser, struct filters *filters, const struct filter *filter)
{
    if (policy_grow((void **)&filters->list, &filters->capacity, filters->count,
                    sizeof(*filters->list)) < 0)
        return parser_no_memory(parser);
    filters->list[filters->count++] = *filter;
    return true;
}

static bool parse_filter(struct parser *parser, struct filters *filters, bool braces)
{
    const struct token *first = parser_peek(parser);
    struct filter filter = {.root = POLICY_NONE,
                            .action = SECCOMP_RET_ALLOW,
                            .condition = "",
                            .line = first->line,
                            .column = first->column,
                            .length = first->length};
    struct filter fallback = {0};
    size_t start = parser->at;
    bool looks_like_argument =
        first->kind == TOKEN_NAME && first->length >= 4 && memcmp(first->start, "arg", 3) == 0;

    if (!token_is(first, "(") && !looks_like_argument)
        return parse_action(parser, &filter.action) && add_filter(parser, filters, &filter);
    filter.root = parse_some(parser, 0);
    if (filter.root == POLICY_NONE)
        return false;
    filter.condition = condition_text(parser, start, parser->at);
    if (!filter.condition)
        return parser_no_memory(parser);
    if (parser_accept(parser, ";") && !parse_behind(parser, &filter, braces, &fallback))
        return false;
    return add_filter(parser, filters, &filter) &&
           (!fallback.fallback || add_filter(parser, filters, &fallback));
}

bool parse_filters(struct parser *parser, struct filters *filters)
{
    if (!parser_accept(parser, "{"))
        return parse_filter(parser, filters, false);
    do {
        if (!parse_filter(parser, filters, true))
            return false;
    } while (parser_accept(parser, ","));
    return parser_expect(parser, "}", "',' or '}'; a line that goes on ends in '\\'");
}

int policy_parse_value(const char *text, uint64_t *value)
{
    struct policy nothing = {0};
    struct parser parser = {.policy = &nothing};
    struct lexer_error error;
    bool good;

    lexer_start(&parser.lexer, text, strlen(text));
    good = lexer_next(&parser.lexer, &error) == LEXER_STATEMENT && parse_value(&parser, 0, value) &&
           parser_peek(&parser)->kind == TOKEN_END;
    lexer_finish(&parser.lexer);
    return good ? 0 : -EINVAL;
}
