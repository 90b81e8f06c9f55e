// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Finds and reads the files of a policy. A path in `@include` or `@frequency` is looked for, in
// this order: beside the including file, in the policy directories, among the built-in policies. An
// absolute path that does not exist is looked for by its last part in the same places, so that
// policies written for another program's installation directory keep working. "builtin:NAME" is a
// built-in policy and nothing else.
#include "jail/policy/builtin.h"
#include "jail/policy/parser.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define TEXTS_MAX 256

static const char builtin_prefix[] = "builtin:";

// Reads a whole file, or pipe, of at most POLICY_FILE_MAX bytes into memory of the policy.
static int read_all(struct policy *policy, int fd, struct policy_text *text)
{
    char *buffer _cleanup_free_
    = NULL;
    size_t length = 0, capacity = 0;

    for (;;) {
        ssize_t got;

        if (length == capacity) {
            char *larger = realloc(buffer, capacity = capacity ? capacity * 2 : 8192);

            if (!larger)
                return -ENOMEM;
            buffer = larger;
        }
        got = read(fd, buffer + length, capacity - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        length += (size_t)got;
        if (length > POLICY_FILE_MAX || policy->total_bytes + length > POLICY_TOTAL_MAX)
            return -EFBIG;
    }
    text->bytes = policy_copy_string(policy, buffer, length);
    text->length = length;
    return text->bytes ? 0 : -ENOMEM;
}

static int read_file(struct policy *policy, const char *path, struct policy_text *text)
{
    int fd _cleanup_fd_
    = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat status;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    text->device = status.st_dev;
    text->inode = status.st_ino;
    return read_all(policy, fd, text);
}

static int take_builtin(struct policy *policy, const struct builtin_policy *builtin,
                        struct policy_text *text)
{
    if (policy->total_bytes + builtin->length > POLICY_TOTAL_MAX)
        return -EFBIG;
    text->bytes = builtin->text;
    text->length = builtin->length;
    text->builtin = true;
    return 0;
}

static int add_text(struct policy *policy, struct policy_text *text, const char *name)
{
    text->name = policy_copy_string(policy, name, strlen(name));
    if (!text->name || policy_grow((void **)&policy->texts, &policy->text_capacity,
                                   policy->text_count, sizeof(*policy->texts)) < 0)
        return -ENOMEM;
    policy->total_bytes += text->length;
    policy->texts[policy->text_count++] = *text;
    return 0;
}

int source_open(struct policy *policy, const struct policy_source *source,
                struct policy_diagnostics *diagnostics)
{
    struct policy_text text = {.parent = POLICY_NONE};
    struct policy_position whole = {0};
    const char *name = source->path ? source->path : "policy";
    int error = 0;

    if (!source->bytes) {
        error = source->path && !source->sealed ? read_file(policy, source->path, &text) : -EINVAL;
    } else if (source->length > POLICY_FILE_MAX) {
        error = -EFBIG;
    } else {
        // Copied, so that the policy may outlive the caller's buffer.
        text.bytes = policy_copy_string(policy, source->bytes, source->length);
        text.length = source->length;
        text.builtin = source->sealed;
        error = text.bytes ? 0 : -ENOMEM;
    }
    if (error < 0) {
        text.bytes = "";
        text.length = 0;
    }
    if (add_text(policy, &text, name) < 0)
        return -ENOMEM;
    if (error == -EFBIG)
        policy_report(diagnostics, policy, POLICY_ERROR, &whole, NULL, NULL,
                      "larger than the %u KiB that a policy may have", POLICY_FILE_MAX >> 10);
    else if (error < 0)
        policy_report(diagnostics, policy, POLICY_ERROR, &whole, NULL, NULL,
                      "cannot read this policy: %s", strerror(-error));
    return error;
}

// Whether a text is among those that are being read now.
static bool is_open(const struct policy *policy, uint32_t from, const struct policy_text *text)
{
    for (uint32_t at = from; at != POLICY_NONE; at = policy->texts[at].parent) {
        const struct policy_text *open = &policy->texts[at];

        if (text->builtin || open->builtin) {
            // Two built-in texts of the same name have the same bytes.
            if (text->builtin && open->builtin && open->length == text->length &&
                memcmp(open->bytes, text->bytes, text->length) == 0)
                return true;
        } else if (open->inode && open->device == text->device && open->inode == text->inode) {
            return true;
        }
    }
    return false;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static const struct builtin_policy *find_builtin(const char *path)
{
    char name[64];
    size_t length;

    snprintf(name, sizeof(name), "%s", last_part(path));
    length = strlen(name);
    if (length > 7 && strcmp(name + length - 7, ".policy") == 0)
        name[length - 7] = '\0';
    return builtin_policy_find(name);
}

static int try_beside(struct parser *parser, const char *path, struct policy_text *text, char *name,
                      size_t size)
{
    const char *from = parser->policy->texts[parser->text].name;
    int folder = (int)(last_part(from) - from), length;

    if (parser->policy->texts[parser->text].builtin)
        return -ENOENT;
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    length = snprintf(name, size, "%.*s%s", folder, from, path);
    if (length < 0 || (size_t)length >= size)
        return -ENAMETOOLONG;
    return read_file(parser->policy, name, text);
}

static int try_directories(struct parser *parser, const char *path, struct policy_text *text,
                           char *name, size_t size)
{
    const struct policy_source *source = parser->source;

    for (size_t i = 0; i < source->directory_count; i++) {
        int length = snprintf(name, size, "%s/%s", source->directories[i], path), error;

        if (length < 0 || (size_t)length >= size)
            return -ENAMETOOLONG;
        error = read_file(parser->policy, name, text);
        if (error != -ENOENT)
            return error;
    }
    return -ENOENT;
}

static int try_builtin(struct parser *parser, const char *path, struct policy_text *text,
                       char *name, size_t size)
{
    const struct builtin_policy *builtin = find_builtin(path);

    if (!builtin)
        return -ENOENT;
    snprintf(name, size, "%s", builtin->path);
    return take_builtin(parser->policy, builtin, text);
}

// `name` becomes the file that was opened, or would have been.
static int find_text(struct parser *parser, const char *path, struct policy_text *text, char *name,
                     size_t size)
{
    const char *relative = path;
    int error = -ENOENT;

    if (strncmp(path, builtin_prefix, sizeof(builtin_prefix) - 1) == 0)
        return try_builtin(parser, path + sizeof(builtin_prefix) - 1, text, name, size);
    // A built-in policy means the policies that were built beside it, not files of that name.
    if (parser->policy->texts[parser->text].builtin)
        error = try_builtin(parser, path, text, name, size);
    if (error != -ENOENT || parser->source->sealed)
        return error;
    if (path[0] == '/') {
        snprintf(name, size, "%s", path);
        error = read_file(parser->policy, path, text);
        relative = last_part(path);
    }
    if (error == -ENOENT)
        error = try_beside(parser, relative, text, name, size);
    if (error == -ENOENT)
        error = try_directories(parser, relative, text, name, size);
    if (error == -ENOENT)
        error = try_builtin(parser, relative, text, name, size);
    return error;
}

static bool check_room(struct parser *parser, const struct token *directive, const char *what)
{
    const struct policy *policy = parser->policy;

    if (policy->texts[parser->text].depth + 1 >= POLICY_DEPTH_MAX)
        return parser_fail(parser, directive, NULL, NULL, "%s nested deeper than %d files", what,
                           POLICY_DEPTH_MAX);
    if (policy->text_count >= TEXTS_MAX)
        return parser_fail(parser, directive, NULL, NULL, "policy of more than %d files",
                           TEXTS_MAX);
    return true;
}

static bool report_missing(struct parser *parser, const struct token *place, const char *path,
                           int error)
{
    if (error == -ENOMEM)
        return parser_no_memory(parser);
    if (error == -EFBIG)
        return parser_fail(parser, place, NULL, NULL, "'%s' is too large, or the policy with it",
                           path);
    return parser_fail(parser, place, NULL,
                       error == -ENOENT ? "looked beside this file, in the policy directories and "
                                          "among the built-in policies"
                                        : NULL,
                       "cannot read '%s': %s", path, strerror(-error));
}

uint32_t include_open(struct parser *parser, const struct token *directive, const char *what)
{
    struct policy *policy = parser->policy;
    struct policy_text text = {.parent = parser->text, .parent_line = directive->line};
    struct token place = *directive;
    char path[PATH_MAX], name[PATH_MAX + 256] = "";
    int error;

    if (parser->lexer.rest_length == 0 || parser->lexer.rest_length >= sizeof(path)) {
        parser_fail(parser, directive, "the path of a file", NULL, "no usable path after '%s'",
                    what);
        return POLICY_NONE;
    }
    snprintf(path, sizeof(path), "%.*s", (int)parser->lexer.rest_length, parser->lexer.rest);
    place.column = parser->lexer.rest_column;
    place.length = (unsigned)parser->lexer.rest_length;
    if (!check_room(parser, directive, what))
        return POLICY_NONE;
    error = find_text(parser, path, &text, name, sizeof(name));
    if (error < 0) {
        report_missing(parser, &place, path, error);
        return POLICY_NONE;
    }
    if (is_open(policy, parser->text, &text)) {
        parser_fail(parser, &place, NULL, NULL, "'%s' includes itself", path);
        return POLICY_NONE;
    }
    text.depth = policy->texts[parser->text].depth + 1;
    if (add_text(policy, &text, name) < 0) {
        parser_no_memory(parser);
        return POLICY_NONE;
    }
    return (uint32_t)(policy->text_count - 1);
}
