// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Lines that begin with `@`. What follows the word is a path, or the action of `@default`.
#include "jail/policy/parser.h"

static bool parse_default(struct parser *parser, const struct token *directive)
{
    struct policy *policy = parser->policy;
    struct lexer words = {0};
    struct lexer_error error;
    uint32_t action = 0;
    bool good;

    // The rest of a directive's line was kept as text; here it is words.
    lexer_start(&words, parser->lexer.rest, parser->lexer.rest_length);
    if (lexer_next(&words, &error) != LEXER_STATEMENT) {
        lexer_finish(&words);
        return parser_fail(parser, directive, "kill-process, kill-thread, trap, log or user-notify",
                           NULL, "action missing after '@default'");
    }
    for (size_t i = 0; i < words.count; i++) {
        words.tokens[i].line = directive->line;
        words.tokens[i].column += parser->lexer.rest_column - 1;
    }
    free(parser->lexer.tokens);
    parser->lexer.tokens = words.tokens;
    parser->lexer.capacity = words.capacity;
    parser->lexer.count = words.count;
    parser->at = 0;
    good = parse_action(parser, &action) && parser_expect_end(parser);
    if (!good)
        return false;
    if (action == SECCOMP_RET_ALLOW)
        return parser_fail(parser, &parser->lexer.tokens[0],
                           "kill-process, kill-thread, trap, log or user-notify",
                           "@denylist allows what is not listed",
                           "this default would allow every call that is not listed");
    policy->default_action = action;
    policy->default_given = true;
    return true;
}

static bool parse_denylist(struct parser *parser, const struct token *directive)
{
    struct policy *policy = parser->policy;

    if (parser->lexer.rest_length)
        return parser_fail(parser, directive, "nothing behind '@denylist'", NULL,
                           "'@denylist' takes no argument");
    if (parser->policy->texts[parser->text].depth == 0 && policy->rule_count == 0)
        policy->denylist = true;
    if (!policy->denylist)
        return parser_fail(parser, directive, "'@denylist' before all rules of the first file",
                           NULL, "a list of allowed calls cannot become a deny list");
    return true;
}

static bool parse_include(struct parser *parser, const struct token *directive)
{
    uint32_t text = include_open(parser, directive, "@include");

    if (text == POLICY_NONE)
        return false;
    if (!parse_text(parser->policy, parser->source, parser->diagnostics, text, &parser->error))
        parser->failed = true;
    return !parser->failed;
}

static bool parse_frequency(struct parser *parser, const struct token *directive)
{
    uint32_t text = include_open(parser, directive, "@frequency");

    return text != POLICY_NONE && parse_frequencies(parser, text);
}

static const struct {
    const char *word;
    bool (*parse)(struct parser *parser, const struct token *directive);
} directives[] = {
    {"@include", parse_include},
    {"@frequency", parse_frequency},
    {"@default", parse_default},
    {"@denylist", parse_denylist},
};

bool parse_directive(struct parser *parser, const struct token *directive)
{
    for (size_t i = 0; i < array_size(directives); i++)
        if (token_is(directive, directives[i].word))
            return directives[i].parse(parser, directive);
    return parser_fail(parser, directive, "@include, @default, @frequency or @denylist", NULL,
                       "unknown directive '%.*s'", (int)directive->length, directive->start);
}
