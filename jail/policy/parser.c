// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Reads one policy text, statement by statement, and follows what it includes. An error in one
// statement does not hide those in the next.
#include "jail/policy/parser.h"
#include "jail/policy/builtin.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

const struct token *parser_peek(const struct parser *parser)
{
    return &parser->lexer.tokens[parser->at];
}

const struct token *parser_take(struct parser *parser)
{
    const struct token *token = parser_peek(parser);

    if (token->kind != TOKEN_END)
        parser->at++;
    return token;
}

bool parser_accept(struct parser *parser, const char *text)
{
    if (!token_is(parser_peek(parser), text))
        return false;
    parser->at++;
    return true;
}

bool parser_expect(struct parser *parser, const char *text, const char *expected)
{
    const struct token *token = parser_peek(parser);

    if (parser_accept(parser, text))
        return true;
    if (token->kind == TOKEN_END)
        return parser_fail(parser, token, expected, NULL, "the line ends too early");
    return parser_fail(parser, token, expected, NULL, "unexpected '%.*s'", (int)token->length,
                       token->start);
}

bool parser_fail(struct parser *parser, const struct token *token, const char *expected,
                 const char *suggestion, const char *format, ...)
{
    struct policy_position position = {.text = parser->text,
                                       .line = token->line,
                                       .column = token->column,
                                       .length = token->length ? token->length : 1};
    char message[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    parser->failed = true;
    policy_report(parser->diagnostics, parser->policy, POLICY_ERROR, &position, expected,
                  suggestion, "%s", message);
    return false;
}

void parser_warn(struct parser *parser, const struct token *token, const char *suggestion,
                 const char *message)
{
    struct policy_position position = {.text = parser->text,
                                       .line = token->line,
                                       .column = token->column,
                                       .length = token->length};

    policy_report(parser->diagnostics, parser->policy, POLICY_WARNING, &position, NULL, suggestion,
                  "%s", message);
}

bool parser_no_memory(struct parser *parser)
{
    if (parser->error == 0)
        policy_report(parser->diagnostics, parser->policy, POLICY_ERROR, NULL, NULL, NULL,
                      "out of memory");
    parser->error = -ENOMEM;
    parser->failed = true;
    return false;
}

// A comment as one line of text: line breaks and the signs of comment lines become one blank.
static const char *reason_text(struct policy *policy, const char *bytes, size_t length)
{
    static const char licence[] = "SPDX-License-Identifier";
    char *text = policy_allocate(policy, length + 1), *at = text;
    bool blank = false;

    if (!text || length == 0)
        return text;
    for (size_t i = 0; i < length; i++) {
        bool line_start = i > 0 && bytes[i] == '#' && blank;

        if (isspace((unsigned char)bytes[i]) || line_start) {
            blank = true;
            continue;
        }
        if (blank && at > text)
            *at++ = ' ';
        blank = false;
        *at++ = bytes[i];
    }
    *at = '\0';
    // What stands at the head of a file is no reason.
    return strncmp(text, licence, sizeof(licence) - 1) == 0 ? "" : text;
}

static const char *statement_reason(struct parser *parser)
{
    const struct lexer *lexer = &parser->lexer;

    if (lexer->behind_length)
        return reason_text(parser->policy, lexer->behind, lexer->behind_length);
    return reason_text(parser->policy, lexer->above ? lexer->above : "", lexer->above_length);
}

static bool add_rule(struct parser *parser, const struct rule *rule)
{
    struct policy *policy = parser->policy;

    if (policy->rule_count >= POLICY_RULES_MAX)
        return parser_fail(parser, parser_peek(parser), NULL, NULL,
                           "policy with more than %d rules", POLICY_RULES_MAX);
    if (policy_grow((void **)&policy->rules, &policy->rule_capacity, policy->rule_count,
                    sizeof(*policy->rules)) < 0)
        return parser_no_memory(parser);
    policy->rules[policy->rule_count++] = *rule;
    return true;
}

static bool add_rules(struct parser *parser, const struct token *colon, const struct numbers *calls,
                      const struct filters *filters)
{
    const char *reason = statement_reason(parser);

    if (!reason)
        return parser_no_memory(parser);
    for (size_t i = 0; i < calls->count; i++) {
        for (size_t k = 0; k < filters->count; k++) {
            const struct filter *filter = &filters->list[k];
            struct rule rule = {.call = calls->list[i],
                                .action = filter->action,
                                .root = filter->root,
                                .fallback = filter->fallback,
                                .text = parser->text,
                                .line = filter->line,
                                .column = filter->column,
                                .length = filter->length,
                                .colon_line = colon->line,
                                .colon_column = colon->column,
                                .condition = filter->condition,
                                .reason = reason};

            if (!add_rule(parser, &rule))
                return false;
        }
    }
    return true;
}

bool parser_expect_end(struct parser *parser)
{
    const struct token *token = parser_peek(parser);

    if (token->kind == TOKEN_END)
        return true;
    return parser_fail(parser, token, "the end of the line",
                       token_is(token, "#") ? NULL
                                            : "one rule a line; a line that goes on ends in '\\'",
                       "unexpected '%.*s'", (int)token->length, token->start);
}

static bool check_denylist(struct parser *parser, const struct token *colon,
                           const struct filters *filters)
{
    if (!parser->policy->denylist)
        return true;
    for (size_t i = 0; i < filters->count; i++)
        if (filters->list[i].action != SECCOMP_RET_ALLOW)
            return true;
    return parser_fail(parser, colon, "return ERRNO or another action that refuses",
                       "without a rule the call is allowed already",
                       "a rule of a deny list must refuse something");
}

static bool parse_rule(struct parser *parser)
{
    struct numbers calls = {0};
    struct filters filters = {0};
    const struct token *colon;
    bool good = false;

    if (parse_calls(parser, &calls)) {
        colon = parser_peek(parser);
        good = parser_expect(parser, ":", "':' between the system call and its rule") &&
               parse_filters(parser, &filters) && parser_expect_end(parser) &&
               check_denylist(parser, colon, &filters) &&
               add_rules(parser, colon, &calls, &filters);
    }
    free(calls.list);
    free(filters.list);
    return good;
}

static bool parse_statement(struct parser *parser)
{
    const struct token *first = parser_peek(parser);
    // The words may move while a directive is carried out.
    struct token directive = *first;

    if (first->kind != TOKEN_DIRECTIVE)
        return parse_rule(parser);
    return parse_directive(parser, &directive);
}

static void report_bad(struct parser *parser, const struct lexer_error *error)
{
    struct policy_position position = {.text = parser->text,
                                       .line = error->line,
                                       .column = error->column,
                                       .length = error->length};

    parser->failed = true;
    policy_report(parser->diagnostics, parser->policy, POLICY_ERROR, &position, NULL, NULL, "%s",
                  error->message);
}

bool parse_text(struct policy *policy, const struct policy_source *source,
                struct policy_diagnostics *diagnostics, uint32_t text, int *error)
{
    struct parser parser = {
        .policy = policy, .source = source, .diagnostics = diagnostics, .text = text};
    struct lexer_error bad = {0};
    enum lexer_result result;

    lexer_start(&parser.lexer, policy->texts[text].bytes, policy->texts[text].length);
    while (parser.error == 0 && (result = lexer_next(&parser.lexer, &bad)) != LEXER_FINISHED) {
        parser.at = 0;
        if (result == LEXER_NO_MEMORY)
            parser_no_memory(&parser);
        else if (result == LEXER_BAD)
            report_bad(&parser, &bad);
        else
            parse_statement(&parser);
    }
    lexer_finish(&parser.lexer);
    if (parser.error && *error == 0)
        *error = parser.error;
    return !parser.failed && parser.error == 0;
}

int policy_load(const struct policy_source *source, struct policy **out,
                struct policy_diagnostics *diagnostics)
{
    struct policy *policy = calloc(1, sizeof(*policy));
    int error;

    *out = NULL;
    if (!policy)
        return -ENOMEM;
    policy->default_action = SECCOMP_RET_KILL_PROCESS;
    error = source_open(policy, source, diagnostics);
    if (error == 0 && !parse_text(policy, source, diagnostics, 0, &error) && error == 0)
        error = -EINVAL;
    if (error == 0)
        error = policy_merge(policy, diagnostics);
    if (error < 0) {
        policy_destroy(policy);
        return error;
    }
    *out = policy;
    return 0;
}

int policy_load_builtin(const char *name, struct policy **out,
                        struct policy_diagnostics *diagnostics)
{
    const struct builtin_policy *builtin = builtin_policy_find(name);
    struct policy_source source = {.sealed = true};

    *out = NULL;
    if (!builtin) {
        policy_report(diagnostics, NULL, POLICY_ERROR, NULL, NULL, NULL,
                      "there is no built-in policy '%s'", name);
        return -ENOENT;
    }
    source.path = builtin->path;
    source.bytes = builtin->text;
    source.length = builtin->length;
    return policy_load(&source, out, diagnostics);
}

const char *policy_name(const struct policy *policy)
{
    return policy->texts[0].name;
}
