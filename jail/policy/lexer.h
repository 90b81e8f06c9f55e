// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Words of policy text. A statement is one line, or several where each but the last ends in `\`.
#pragma once

#include "jail/policy/model.h"

enum token_kind {
    TOKEN_END, // of the statement
    TOKEN_NAME,
    TOKEN_NUMBER,
    TOKEN_DIRECTIVE, // @word
    TOKEN_OPERATOR,  // == != < <= > >= &
    TOKEN_PUNCTUATION
};

struct token {
    enum token_kind kind;
    const char *start; // in the text
    unsigned length, line, column;
    uint64_t value;          // of a number, in two's complement
    enum policy_operator op; // of an operator
};

// Where the lexer stands in one text.
struct lexer {
    const char *at, *end;
    unsigned line;

    // The comment lines right above the statement; none if a blank line lies between.
    const char *above;
    size_t above_length;

    // The statement.
    struct token *tokens; // ended by TOKEN_END
    size_t count, capacity;
    const char *behind; // the last comment behind one of its lines, or NULL
    size_t behind_length;
    const char *rest; // of a directive: what follows it on its line, without comment and blanks
    size_t rest_length;
    unsigned rest_column;
};

enum lexer_result {
    LEXER_STATEMENT, // tokens hold one
    LEXER_FINISHED,
    LEXER_BAD, // `bad` says which characters; the statement is to be skipped
    LEXER_NO_MEMORY
};

struct lexer_error {
    const char *message;
    unsigned line, column, length;
};

void lexer_start(struct lexer *lexer, const char *bytes, size_t length);
enum lexer_result lexer_next(struct lexer *lexer, struct lexer_error *error);
void lexer_finish(struct lexer *lexer);

// Whether a token is this word or this punctuation.
bool token_is(const struct token *token, const char *text);
