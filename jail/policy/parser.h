// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the parts of the parser share: one struct per text being read, and the walk over its words.
#pragma once

#include "jail/policy/lexer.h"

struct parser {
    struct policy *policy;
    const struct policy_source *source;
    struct policy_diagnostics *diagnostics;
    struct lexer lexer;
    uint32_t text; // index of the text being read
    size_t at;     // the next word
    int error;     // -ENOMEM or the error of a file; the text's own errors are in diagnostics
    bool failed;
};

const struct token *parser_peek(const struct parser *parser);
const struct token *parser_take(struct parser *parser);
// Takes the word if it is `text`.
bool parser_accept(struct parser *parser, const char *text);
// As above, and reports an error if it is not.
bool parser_expect(struct parser *parser, const char *text, const char *expected);
// Reports an error if the statement goes on.
bool parser_expect_end(struct parser *parser);
// Reports an error at a word; always returns false.
__attribute__((format(printf, 5, 6))) bool parser_fail(struct parser *parser,
                                                       const struct token *token,
                                                       const char *expected, const char *suggestion,
                                                       const char *format, ...);
void parser_warn(struct parser *parser, const struct token *token, const char *suggestion,
                 const char *message);
bool parser_no_memory(struct parser *parser);

// expression.c: a filter is what stands right of the colon.
struct filter {
    uint32_t root; // POLICY_NONE: unconditional
    uint32_t action;
    bool fallback;
    const char *condition;
    unsigned line, column, length;
};
struct filters {
    struct filter *list;
    size_t count, capacity;
};
bool parse_filters(struct parser *parser, struct filters *filters);
// A constant by its name; reports an error, with a suggestion, if there is none.
bool parse_named_constant(struct parser *parser, const struct token *token, uint64_t *value);

// action.c
bool parse_action(struct parser *parser, uint32_t *action);

// directive.c
bool parse_directive(struct parser *parser, const struct token *directive);

// statement.c: calls left of the colon.
struct numbers {
    unsigned *list;
    size_t count, capacity;
};
bool parse_calls(struct parser *parser, struct numbers *calls);
bool parse_call(struct parser *parser, struct numbers *calls);

// parser.c: one text with all that it includes.
bool parse_text(struct policy *policy, const struct policy_source *source,
                struct policy_diagnostics *diagnostics, uint32_t text, int *error);

// frequency.c
bool parse_frequencies(struct parser *parser, uint32_t text);

// include.c: finds and reads the text that a directive names. POLICY_NONE: failed and reported.
uint32_t include_open(struct parser *parser, const struct token *directive, const char *what);
// Reads the first text.
int source_open(struct policy *policy, const struct policy_source *source,
                struct policy_diagnostics *diagnostics);
