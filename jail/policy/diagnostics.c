// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Messages about policy text, in the manner of a good compiler: where, the line itself, a caret,
// what was expected, what was perhaps meant, and through which files one came there. They hold
// copies, so that they outlive the policy that they are about.
#include "jail/policy/model.h"

#include <stdarg.h>
#include <string.h>

#define ENTRIES_MAX 64 // more would help nobody
#define TEXT_SHOWN 400 // of an overlong line

static void entry_clear(struct policy_diagnostic *entry)
{
    free(entry->file);
    free(entry->text);
    free(entry->message);
    free(entry->expected);
    free(entry->suggestion);
    for (size_t i = 0; i < entry->chain_count; i++)
        free(entry->chain[i].file);
    free(entry->chain);
}

void policy_diagnostics_clear(struct policy_diagnostics *diagnostics)
{
    for (size_t i = 0; i < diagnostics->count; i++)
        entry_clear(&diagnostics->entries[i]);
    free(diagnostics->entries);
    *diagnostics = (struct policy_diagnostics){0};
}

static char *line_of(const struct policy_text *text, unsigned line)
{
    const char *at = text->bytes, *end = text->bytes + text->length, *stop;

    while (line > 1 && at < end) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));

        if (!feed)
            return NULL;
        at = feed + 1;
        line--;
    }
    if (at >= end)
        return NULL;
    stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop)
        stop = end;
    if (stop - at > TEXT_SHOWN)
        stop = at + TEXT_SHOWN;
    while (stop > at && stop[-1] == '\r')
        stop--;
    return strndup(at, (size_t)(stop - at));
}

static void add_chain(struct policy_diagnostic *entry, const struct policy *policy, uint32_t text)
{
    unsigned depth = policy->texts[text].depth;

    if (depth == 0)
        return;
    entry->chain = calloc(depth, sizeof(*entry->chain));
    if (!entry->chain)
        return;
    while (policy->texts[text].parent != POLICY_NONE && entry->chain_count < depth) {
        const struct policy_text *from = &policy->texts[text];

        entry->chain[entry->chain_count++] = (struct policy_include){
            .file = strdup(policy->texts[from->parent].name), .line = from->parent_line};
        text = from->parent;
    }
}

static void count_severity(struct policy_diagnostics *diagnostics, enum policy_severity severity)
{
    if (severity == POLICY_ERROR)
        diagnostics->errors++;
    if (severity == POLICY_WARNING)
        diagnostics->warnings++;
}

void policy_report(struct policy_diagnostics *diagnostics, const struct policy *policy,
                   enum policy_severity severity, const struct policy_position *position,
                   const char *expected, const char *suggestion, const char *format, ...)
{
    struct policy_diagnostic entry = {.severity = severity};
    va_list arguments;

    if (!diagnostics)
        return;
    count_severity(diagnostics, severity);
    if (diagnostics->count >= ENTRIES_MAX ||
        policy_grow((void **)&diagnostics->entries, &diagnostics->capacity, diagnostics->count,
                    sizeof(*diagnostics->entries)) < 0)
        return;
    va_start(arguments, format);
    if (vasprintf(&entry.message, format, arguments) < 0)
        entry.message = NULL;
    va_end(arguments);
    if (position && position->text < policy->text_count) {
        const struct policy_text *text = &policy->texts[position->text];

        entry.file = strdup(text->name);
        entry.line = position->line;
        entry.column = position->column;
        entry.length = position->length;
        entry.text = position->line ? line_of(text, position->line) : NULL;
        add_chain(&entry, policy, position->text);
    } else {
        entry.file = strdup(policy && policy->text_count ? policy->texts[0].name : "policy");
    }
    entry.expected = expected ? strdup(expected) : NULL;
    entry.suggestion = suggestion ? strdup(suggestion) : NULL;
    diagnostics->entries[diagnostics->count++] = entry;
}

static const char *const severity_names[] = {
    [POLICY_NOTE] = "note", [POLICY_WARNING] = "warning", [POLICY_ERROR] = "error"};

// Text goes to a terminal: control characters do not.
static void put_text(FILE *out, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, out);
}

static void put_caret(FILE *out, const struct policy_diagnostic *entry)
{
    size_t length = strlen(entry->text);
    unsigned width = entry->length ? entry->length : 1;

    if (entry->column == 0 || entry->column > length + 1)
        return;
    fprintf(out, "\n     | %*s^", (int)(entry->column - 1), "");
    for (unsigned i = 1; i < width && entry->column + i <= length; i++)
        fputc('~', out);
}

static void put_entry(FILE *out, const struct policy_diagnostic *entry)
{
    for (size_t i = entry->chain_count; i-- > 0;)
        fprintf(out, "In file included from %s:%u:\n",
                entry->chain[i].file ? entry->chain[i].file : "?", entry->chain[i].line);
    fputs(entry->file ? entry->file : "policy", out);
    if (entry->line)
        fprintf(out, ":%u:%u", entry->line, entry->column);
    fprintf(out, ": %s: ", severity_names[entry->severity]);
    put_text(out, entry->message ? entry->message : "out of memory");
    if (entry->text) {
        fprintf(out, "\n%4u | ", entry->line);
        put_text(out, entry->text);
        put_caret(out, entry);
    }
    if (entry->expected)
        fprintf(out, "\n     = expected %s", entry->expected);
    if (entry->suggestion)
        fprintf(out, "\n     = %s", entry->suggestion);
    fputc('\n', out);
}

void policy_diagnostics_print(const struct policy_diagnostics *diagnostics, FILE *out)
{
    unsigned all = diagnostics->errors + diagnostics->warnings;

    for (size_t i = 0; i < diagnostics->count; i++)
        put_entry(out, &diagnostics->entries[i]);
    if (diagnostics->count == ENTRIES_MAX && all > ENTRIES_MAX)
        fprintf(out, "%u errors and %u warnings in all; the first %d are shown\n",
                diagnostics->errors, diagnostics->warnings, ENTRIES_MAX);
}

static void one_line(const struct policy_diagnostic *entry, char *buffer, size_t size)
{
    char place[32] = "";

    if (entry->line)
        snprintf(place, sizeof(place), ":%u:%u", entry->line, entry->column);
    snprintf(buffer, size, "%s%s: %s%s%s%s%s", entry->file ? entry->file : "policy", place,
             entry->message ? entry->message : "out of memory",
             entry->expected ? ", expected " : "", entry->expected ? entry->expected : "",
             entry->suggestion ? "; " : "", entry->suggestion ? entry->suggestion : "");
    for (char *at = buffer; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
}

void policy_diagnostics_summary(const struct policy_diagnostics *diagnostics, char *buffer,
                                size_t size)
{
    if (size == 0)
        return;
    buffer[0] = '\0';
    for (size_t i = 0; i < diagnostics->count; i++) {
        if (diagnostics->entries[i].severity != POLICY_ERROR)
            continue;
        one_line(&diagnostics->entries[i], buffer, size);
        return;
    }
}
