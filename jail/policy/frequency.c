// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Frequency files, `name: count` a line: how often a process makes each call. The filter tests the
// frequent ones first.
#include "jail/policy/parser.h"

static bool add_frequency(struct parser *parser, unsigned call, uint64_t count)
{
    struct policy *policy = parser->policy;

    for (size_t i = 0; i < policy->frequency_count; i++) {
        struct frequency *known = &policy->frequencies[i];

        if (known->call != call)
            continue;
        if (__builtin_add_overflow(known->count, count, &known->count))
            known->count = UINT64_MAX;
        return true;
    }
    if (policy_grow((void **)&policy->frequencies, &policy->frequency_capacity,
                    policy->frequency_count, sizeof(*policy->frequencies)) < 0)
        return parser_no_memory(parser);
    policy->frequencies[policy->frequency_count++] =
        (struct frequency){.call = call, .count = count};
    return true;
}

static bool parse_line(struct parser *parser)
{
    struct numbers calls = {0};
    const struct token *number;
    bool good = false;

    if (parse_call(parser, &calls) && parser_expect(parser, ":", "':'")) {
        number = parser_take(parser);
        good = number->kind == TOKEN_NUMBER && number->value <= INT64_MAX &&
               parser_peek(parser)->kind == TOKEN_END;
        if (!good)
            parser_fail(parser, number, "how often the call is made", NULL,
                        "not a line of a frequency file");
        for (size_t i = 0; good && i < calls.count; i++)
            good = add_frequency(parser, calls.list[i], number->value);
    }
    free(calls.list);
    return good;
}

bool parse_frequencies(struct parser *parser, uint32_t text)
{
    struct parser inner = {.policy = parser->policy,
                           .source = parser->source,
                           .diagnostics = parser->diagnostics,
                           .text = text};
    const struct policy_text *file = &parser->policy->texts[text];
    struct lexer_error bad = {0};
    enum lexer_result result;

    lexer_start(&inner.lexer, file->bytes, file->length);
    while (!inner.error && (result = lexer_next(&inner.lexer, &bad)) != LEXER_FINISHED) {
        struct token place = {.line = bad.line, .column = bad.column, .length = bad.length};

        inner.at = 0;
        if (result == LEXER_NO_MEMORY)
            parser_no_memory(&inner);
        else if (result == LEXER_BAD)
            parser_fail(&inner, &place, NULL, NULL, "%s", bad.message);
        else
            parse_line(&inner);
    }
    lexer_finish(&inner.lexer);
    parser->error = inner.error;
    parser->failed = parser->failed || inner.failed;
    return !inner.failed;
}
