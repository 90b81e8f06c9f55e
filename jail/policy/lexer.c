// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Cuts policy text into statements and words. Reads only the bytes that it is given.
#include "jail/policy/lexer.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

void lexer_start(struct lexer *lexer, const char *bytes, size_t length)
{
    *lexer = (struct lexer){.at = bytes, .end = bytes + length, .line = 0};
}

void lexer_finish(struct lexer *lexer)
{
    free(lexer->tokens);
    lexer->tokens = NULL;
}

bool token_is(const struct token *token, const char *text)
{
    return token->kind != TOKEN_END && strlen(text) == token->length &&
           memcmp(token->start, text, token->length) == 0;
}

static bool is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

static bool is_name(char c)
{
    return is_name_start(c) || isdigit((unsigned char)c) || c == '-' || c == '@';
}

// One physical line, without its line feed.
struct line {
    const char *start, *end;
};

static struct line take_line(struct lexer *lexer)
{
    struct line line = {.start = lexer->at};
    const char *feed = memchr(lexer->at, '\n', (size_t)(lexer->end - lexer->at));

    line.end = feed ? feed : lexer->end;
    lexer->at = feed ? feed + 1 : lexer->end;
    lexer->line++;
    while (line.end > line.start && line.end[-1] == '\r')
        line.end--;
    return line;
}

static void trim(const char **start, const char **end)
{
    while (*start < *end && isspace((unsigned char)**start))
        (*start)++;
    while (*end > *start && isspace((unsigned char)(*end)[-1]))
        (*end)--;
}

// `#` and what follows it: the text of the comment.
static void take_comment(const char *start, const char *end, const char **text, size_t *length)
{
    if (end > start && end[-1] == '\\')
        end--;
    while (start < end && *start == '#')
        start++;
    trim(&start, &end);
    *text = start;
    *length = (size_t)(end - start);
}

static int add_token(struct lexer *lexer, struct token token)
{
    if (policy_grow((void **)&lexer->tokens, &lexer->capacity, lexer->count,
                    sizeof(*lexer->tokens)) < 0)
        return -ENOMEM;
    lexer->tokens[lexer->count++] = token;
    return 0;
}

static int digit_value(char c)
{
    if (isdigit((unsigned char)c))
        return c - '0';
    return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : 99;
}

// A number as strtol(3) with base 0 reads it: decimal, 0x hexadecimal, 0 octal; `-` before it.
// Returns an error text or NULL.
static const char *read_number(const char **at, const char *end, uint64_t *value)
{
    const char *p = *at;
    bool negative = *p == '-';
    unsigned base = 10;
    uint64_t sum = 0;
    size_t digits = 0;

    if (negative)
        p++;
    if (end - p >= 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    } else if (end - p >= 2 && p[0] == '0' && (p[1] == 'o' || p[1] == 'O')) {
        base = 8;
        p += 2;
    } else if (p < end && *p == '0') {
        base = 8;
    }
    for (; p < end && (unsigned)digit_value(*p) < base; p++, digits++) {
        if (__builtin_mul_overflow(sum, base, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)digit_value(*p), &sum))
            return "number does not fit in 64 bits";
    }
    if (digits == 0 || (p < end && is_name(*p)))
        return "not a number";
    if (negative && sum > (uint64_t)INT64_MAX + 1)
        return "number does not fit in 64 bits";
    *value = negative ? 0 - sum : sum;
    *at = p;
    return NULL;
}

static const struct {
    const char *text;
    enum token_kind kind;
    enum policy_operator op;
} signs[] = {
    // Longer ones first.
    {"||", TOKEN_PUNCTUATION, OP_COUNT},   {"&&", TOKEN_PUNCTUATION, OP_COUNT},
    {"==", TOKEN_OPERATOR, OP_EQUAL},      {"!=", TOKEN_OPERATOR, OP_NOT_EQUAL},
    {"<=", TOKEN_OPERATOR, OP_LESS_EQUAL}, {">=", TOKEN_OPERATOR, OP_GREATER_EQUAL},
    {"<", TOKEN_OPERATOR, OP_LESS},        {">", TOKEN_OPERATOR, OP_GREATER},
    {"&", TOKEN_OPERATOR, OP_ANY_BIT},     {"|", TOKEN_PUNCTUATION, OP_COUNT},
    {"~", TOKEN_PUNCTUATION, OP_COUNT},    {"(", TOKEN_PUNCTUATION, OP_COUNT},
    {")", TOKEN_PUNCTUATION, OP_COUNT},    {"{", TOKEN_PUNCTUATION, OP_COUNT},
    {"}", TOKEN_PUNCTUATION, OP_COUNT},    {"[", TOKEN_PUNCTUATION, OP_COUNT},
    {"]", TOKEN_PUNCTUATION, OP_COUNT},    {",", TOKEN_PUNCTUATION, OP_COUNT},
    {";", TOKEN_PUNCTUATION, OP_COUNT},    {":", TOKEN_PUNCTUATION, OP_COUNT},
    {"=", TOKEN_PUNCTUATION, OP_COUNT},
};

static bool read_sign(const char **at, const char *end, struct token *token)
{
    for (size_t i = 0; i < array_size(signs); i++) {
        size_t length = strlen(signs[i].text);

        if ((size_t)(end - *at) < length || memcmp(*at, signs[i].text, length) != 0)
            continue;
        token->kind = signs[i].kind;
        token->op = signs[i].op;
        *at += length;
        return true;
    }
    return false;
}

static void read_name(const char **at, const char *end, struct token *token)
{
    token->kind = **at == '@' ? TOKEN_DIRECTIVE : TOKEN_NAME;
    (*at)++;
    while (*at < end && is_name(**at))
        (*at)++;
    if (*at - token->start == 2 && memcmp(token->start, "in", 2) == 0) {
        token->kind = TOKEN_OPERATOR;
        token->op = OP_INSIDE;
    }
}

// One word at *at; an error text or NULL.
static const char *read_token(const char **at, const char *end, struct token *token)
{
    const char *error = NULL;

    token->start = *at;
    if (is_name_start(**at) || (**at == '@' && end - *at > 1 && is_name_start((*at)[1]))) {
        read_name(at, end, token);
    } else if (isdigit((unsigned char)**at) || **at == '-') {
        token->kind = TOKEN_NUMBER;
        error = read_number(at, end, &token->value);
    } else if (!read_sign(at, end, token)) {
        error = "character that means nothing here";
    }
    token->length = (unsigned)(*at - token->start);
    return error;
}

// What follows a directive on its line is a path, not words.
static void take_rest(struct lexer *lexer, const struct line *line, const char *at)
{
    const char *start = at, *end = at;

    while (start < line->end && isspace((unsigned char)*start))
        start++;
    end = start;
    while (end < line->end && *end != '#')
        end++;
    if (end < line->end)
        take_comment(end, line->end, &lexer->behind, &lexer->behind_length);
    while (end > start && isspace((unsigned char)end[-1]))
        end--;
    lexer->rest = start;
    lexer->rest_length = (size_t)(end - start);
    lexer->rest_column = (unsigned)(start - line->start) + 1;
}

// Words of one physical line. Returns an error text or NULL.
static const char *read_line(struct lexer *lexer, const struct line *line, bool continued,
                             struct lexer_error *error, bool *no_memory)
{
    const char *at = line->start, *end = continued ? line->end - 1 : line->end;

    while (at < end) {
        struct token token = {.line = lexer->line, .column = (unsigned)(at - line->start) + 1};
        const char *message;
        int result;

        if (isspace((unsigned char)*at)) {
            at++;
            continue;
        }
        if (*at == '#') {
            take_comment(at, line->end, &lexer->behind, &lexer->behind_length);
            return NULL;
        }
        message = read_token(&at, end, &token);
        *error = (struct lexer_error){.line = token.line, .column = token.column};
        error->length = token.length ? token.length : 1;
        if (message)
            return message;
        // One place is left for the end.
        result = lexer->count < POLICY_TOKENS_MAX - 1 ? add_token(lexer, token) : -E2BIG;
        *no_memory = result == -ENOMEM;
        if (result < 0)
            return result == -E2BIG ? "statement with too many words" : "out of memory";
        if (token.kind == TOKEN_DIRECTIVE && lexer->count == 1) {
            take_rest(lexer, line, at);
            return NULL;
        }
    }
    return NULL;
}

// Looks at a line that holds no words; returns false if it does.
static bool note_comment(struct lexer *lexer, const struct line *line)
{
    const char *start = line->start, *end = line->end;

    trim(&start, &end);
    if (start < end && *start != '#')
        return false;
    if (start == end) {
        lexer->above = NULL;
        lexer->above_length = 0;
    } else if (!lexer->above) {
        take_comment(start, end, &lexer->above, &lexer->above_length);
    } else {
        lexer->above_length = (size_t)(end - lexer->above);
    }
    return true;
}

static enum lexer_result read_statement(struct lexer *lexer, struct lexer_error *error)
{
    const char *message = NULL;
    bool no_memory = false;

    for (;;) {
        struct line line = take_line(lexer);
        bool continued = line.end > line.start && line.end[-1] == '\\';

        // A comment line is never continued: it would swallow the rule below it.
        if (lexer->count == 0 && !message && note_comment(lexer, &line)) {
            if (lexer->at >= lexer->end)
                return LEXER_FINISHED;
            continue;
        }
        if (!message)
            message = read_line(lexer, &line, continued, error, &no_memory);
        if (!continued || lexer->rest || lexer->at >= lexer->end)
            break;
    }
    if (message) {
        error->message = message;
        return no_memory ? LEXER_NO_MEMORY : LEXER_BAD;
    }
    return lexer->count ? LEXER_STATEMENT : LEXER_FINISHED;
}

enum lexer_result lexer_next(struct lexer *lexer, struct lexer_error *error)
{
    enum lexer_result result;
    struct token end = {.kind = TOKEN_END};

    lexer->count = 0;
    lexer->behind = lexer->rest = lexer->above = NULL;
    lexer->behind_length = lexer->rest_length = lexer->above_length = 0;
    if (lexer->at >= lexer->end)
        return LEXER_FINISHED;
    result = read_statement(lexer, error);
    if (result != LEXER_STATEMENT)
        return result;
    // The end lies right behind the last word.
    end.start = lexer->tokens[lexer->count - 1].start + lexer->tokens[lexer->count - 1].length;
    end.line = lexer->tokens[lexer->count - 1].line;
    end.column = lexer->tokens[lexer->count - 1].column + lexer->tokens[lexer->count - 1].length;
    return add_token(lexer, end) < 0 ? LEXER_NO_MEMORY : LEXER_STATEMENT;
}
