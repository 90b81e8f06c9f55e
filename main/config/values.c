// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// Values of the configuration, from text to typed members. The text is the user's own (not a
// guest's), yet every length and number is bounded here, so that nobody behind has to look again.
#include "main/config/values.h"

#include "ipc/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 80 }; // longest piece of the user's text that a message repeats

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter_or_digit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void config_say(struct vm_config_message *message, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message->text, sizeof(message->text), format, arguments);
    va_end(arguments);
    for (char *c = message->text; *c != '\0'; c++) {
        if (is_control(*c))
            *c = '?';
    }
}

void config_size_text(uint64_t bytes, char *text, size_t size)
{
    static const char suffixes[] = "\0KMGT";
    size_t step = 0;

    while (bytes != 0 && bytes % 1024 == 0 && step < 4) {
        bytes /= 1024;
        step++;
    }
    snprintf(text, size, "%llu%.1s", (unsigned long long)bytes, &suffixes[step]);
}

// Letters, digits and `extra`, beginning with a letter or digit, shorter than `size`.
static int parse_word(const char *text, const char *extra, char *word, size_t size,
                      struct vm_config_message *why)
{
    size_t length = strlen(text);
    bool good = is_letter_or_digit(text[0]);

    for (size_t i = 0; i < length; i++)
        good = good && (is_letter_or_digit(text[i]) || strchr(extra, text[i]) != NULL);
    if (!good) {
        config_say(why,
                   "'%.*s' is not a name; use letters, digits and %s, beginning with a letter or "
                   "digit",
                   SHOWN, text, extra);
        return -EINVAL;
    }
    if (length >= size) {
        config_say(why, "'%.*s' is too long; use at most %zu characters", SHOWN, text, size - 1);
        return -EINVAL;
    }
    memcpy(word, text, length + 1);
    return 0;
}

int config_parse_name(const struct config_field *field, const char *text, void *member,
                      const struct config_source *source, struct vm_config_message *why)
{
    (void)source;
    return parse_word(text, "-_.", member, field->max, why);
}

int config_parse_id(const struct config_field *field, const char *text, void *member,
                    const struct config_source *source, struct vm_config_message *why)
{
    (void)source;
    return parse_word(text, "-_", member, field->max, why);
}

static int replace_string(char **member, char *steal_value, struct vm_config_message *why)
{
    if (steal_value == NULL) {
        config_say(why, "no memory left; free some and try again");
        return -ENOMEM;
    }
    free(*member);
    *member = steal_value;
    return 0;
}

int config_parse_path(const struct config_field *field, const char *text, void *member,
                      const struct config_source *source, struct vm_config_message *why)
{
    const char *directory = text[0] == '/' ? "" : source->directory;
    char *path = NULL;

    (void)field;
    if (text[0] == '\0') {
        config_say(why, "the path is empty; name a file or leave it out");
        return -EINVAL;
    }
    if (strlen(directory) + strlen(text) >= VM_PATH_SIZE) {
        config_say(why, "the path is too long; use at most %d bytes", VM_PATH_SIZE - 1);
        return -EINVAL;
    }
    if (asprintf(&path, "%s%s", directory, text) < 0)
        path = NULL;
    return replace_string(member, path, why);
}

int config_parse_text(const struct config_field *field, const char *text, void *member,
                      const struct config_source *source, struct vm_config_message *why)
{
    size_t length = strlen(text);

    (void)source;
    while (length > 0 && text[length - 1] == '\n')
        length--; // YAML's folded blocks end with one
    if (length >= field->max) {
        config_say(why, "%zu characters are too many; use at most %llu", length,
                   (unsigned long long)field->max - 1);
        return -EINVAL;
    }
    for (size_t i = 0; i < length; i++) {
        if (is_control(text[i])) {
            config_say(why, "character %zu is a control character; use one line of plain text",
                       i + 1);
            return -EINVAL;
        }
    }
    return replace_string(member, strndup(text, length), why);
}

// Decimal digits up to `end`, which gets the first other byte. -ERANGE: does not fit.
static int parse_digits(const char *text, uint64_t *value, const char **end)
{
    uint64_t sum = 0;

    for (*end = text; is_digit(**end); (*end)++) {
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(**end - '0'), &sum))
            return -ERANGE;
    }
    *value = sum;
    return *end == text ? -EINVAL : 0;
}

int config_parse_number(const struct config_field *field, const char *text, void *member,
                        const struct config_source *source, struct vm_config_message *why)
{
    const unsigned long long min = field->min, max = field->max;
    const char *end;
    uint64_t value;
    int error = parse_digits(text, &value, &end);

    (void)source;
    if (error == -EINVAL || (error == 0 && *end != '\0')) {
        config_say(why, "'%.*s' is not a number; say %llu to %llu", SHOWN, text, min, max);
        return -EINVAL;
    }
    if (error != 0 || value < min || value > max) {
        config_say(why, "%.*s is out of range; say %llu to %llu", SHOWN, text, min, max);
        return -EINVAL;
    }
    *(uint32_t *)member = (uint32_t)value;
    return 0;
}

// "64M" to bytes. -EINVAL: not a size; -ERANGE: does not fit 64 bits.
static int parse_bytes(const char *text, uint64_t *bytes)
{
    static const char suffixes[] = "KMGT";
    const char *end, *suffix;
    int error = parse_digits(text, bytes, &end);

    if (error != 0 || *end == '\0')
        return error;
    suffix = strchr(suffixes, *end & ~0x20); // either case
    if (suffix == NULL || *suffix == '\0' || end[1] != '\0')
        return -EINVAL;
    if (__builtin_mul_overflow(*bytes, UINT64_C(1) << (10 * (suffix - suffixes + 1)), bytes))
        return -ERANGE;
    return 0;
}

int config_parse_size(const struct config_field *field, const char *text, void *member,
                      const struct config_source *source, struct vm_config_message *why)
{
    const uint64_t max = field->max != 0 ? field->max : source->limits->memory_max;
    char least[24], most[24];
    uint64_t bytes = 0;
    int error = parse_bytes(text, &bytes);

    config_size_text(field->min, least, sizeof(least));
    config_size_text(max, most, sizeof(most));
    if (error == -EINVAL) {
        config_say(why, "'%.*s' is not a size; say %s to %s, with K, M, G or T for binary units",
                   SHOWN, text, least, most);
        return -EINVAL;
    }
    if (error != 0 || bytes < field->min || bytes > max) {
        config_say(why, "%.*s is out of range; say %s to %s%s", SHOWN, text, least, most,
                   field->max == 0 ? ", which is what this host has" : "");
        return -EINVAL;
    }
    if (bytes % (1U << 20) != 0) {
        config_say(why, "%.*s is not a multiple of 1M; say a whole number of M", SHOWN, text);
        return -EINVAL;
    }
    *(uint64_t *)member = bytes;
    return 0;
}

int config_parse_choice(const struct config_field *field, const char *text, void *member,
                        const struct config_source *source, struct vm_config_message *why)
{
    (void)source;
    for (const struct config_word *word = field->words; word->word != NULL; word++) {
        if (strcmp(word->word, text) == 0) {
            *(int *)member = word->value;
            return 0;
        }
    }
    config_say(why, "'%.*s' is not known; say %s", SHOWN, text, field->argument);
    return -EINVAL;
}

int config_parse_flag(const struct config_field *field, const char *text, void *member,
                      const struct config_source *source, struct vm_config_message *why)
{
    const bool value = strcmp(text, "true") == 0;

    (void)field;
    (void)source;
    if (!value && strcmp(text, "false") != 0) {
        config_say(why, "'%.*s' is neither true nor false; say one of them", SHOWN, text);
        return -EINVAL;
    }
    *(bool *)member = value;
    return 0;
}

int config_parse_stream(const struct config_field *field, const char *text, void *member,
                        const struct config_source *source, struct vm_config_message *why)
{
    static const struct config_word modes[] = {
        {"stdio", VM_STREAM_STDIO},
        {"null", VM_STREAM_NULL},
        {"pty", VM_STREAM_PTY},
    };
    static const char file[] = "file=";
    struct vm_stream *stream = member;

    if (strncmp(text, file, sizeof(file) - 1) == 0) {
        int error = config_parse_path(field, text + sizeof(file) - 1, &stream->path, source, why);

        if (error == 0)
            stream->mode = VM_STREAM_FILE;
        return error;
    }
    for (size_t i = 0; i < array_size(modes); i++) {
        if (strcmp(modes[i].word, text) == 0) {
            free(stream->path);
            *stream = (struct vm_stream){.mode = (enum vm_stream_mode)modes[i].value};
            return 0;
        }
    }
    config_say(why, "'%.*s' is not known; say %s", SHOWN, text, field->argument);
    return -EINVAL;
}

int config_parse_policy(const struct config_field *field, const char *text, void *member,
                        const struct config_source *source, struct vm_config_message *why)
{
    struct vm_policy *policy = member;
    const char *equals = strchr(text, '=');
    char id[VM_ID_SIZE + 1] = "";
    int error;

    if (equals == NULL) {
        config_say(why, "'%.*s' names no file; say ID=FILE, for example block0=my.policy", SHOWN,
                   text);
        return -EINVAL;
    }
    // One byte more than fits is kept, so that parse_word() sees what is too long.
    snprintf(id, sizeof(id), "%.*s", (int)(equals - text < VM_ID_SIZE ? equals - text : VM_ID_SIZE),
             text);
    error = parse_word(id, "-_", policy->id, sizeof(policy->id), why);
    if (error != 0)
        return error;
    return config_parse_path(field, equals + 1, &policy->path, source, why);
}
