// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Diagnostics as JSON, for editors and scripts.
#include "main/policy/commands.h"

void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; text && *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            // Comments may hold anything; bytes outside ASCII are shown as Latin-1.
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void put_member(FILE *out, const char *name, const char *text)
{
    if (!text)
        return;
    fprintf(out, ", \"%s\": ", name);
    json_string(out, text);
}

static void put_chain(FILE *out, const struct policy_diagnostic *entry)
{
    fputs(", \"included_from\": [", out);
    for (size_t i = 0; i < entry->chain_count; i++) {
        fputs(i ? ", {\"file\": " : "{\"file\": ", out);
        json_string(out, entry->chain[i].file);
        fprintf(out, ", \"line\": %u}", entry->chain[i].line);
    }
    fputc(']', out);
}

static void put_diagnostic(FILE *out, const struct policy_diagnostic *entry)
{
    static const char *const severities[] = {
        [POLICY_NOTE] = "note", [POLICY_WARNING] = "warning", [POLICY_ERROR] = "error"};

    fprintf(out, "{\"severity\": \"%s\"", severities[entry->severity]);
    put_member(out, "file", entry->file);
    fprintf(out, ", \"line\": %u, \"column\": %u", entry->line, entry->column);
    put_member(out, "message", entry->message ? entry->message : "out of memory");
    put_member(out, "text", entry->text);
    put_member(out, "expected", entry->expected);
    put_member(out, "suggestion", entry->suggestion);
    put_chain(out, entry);
    fputc('}', out);
}

void json_diagnostics(FILE *out, const struct policy_diagnostics *diagnostics)
{
    fputc('[', out);
    for (size_t i = 0; i < diagnostics->count; i++) {
        fputs(i ? ",\n  " : "\n  ", out);
        put_diagnostic(out, &diagnostics->entries[i]);
    }
    fputs("]", out);
}
