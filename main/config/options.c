// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// Options by the table: --key VALUE or --key=VALUE, and KEY=VALUE,KEY=VALUE inside a list's
// element.
#include "main/config/options.h"

#include "ipc/cleanup.h"
#include "main/config/values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WHERE_SIZE = 160 };

void config_options_destroy(struct config_options *options)
{
    free(options->options);
    *options = (struct config_options){.count = 0};
}

// Whether a scalar option is there already.
static bool is_doubled(const struct config_options *options, const struct config_field *field)
{
    for (size_t i = 0; field->element_size == 0 && i < options->count; i++) {
        if (options->options[i].field == field)
            return true;
    }
    return false;
}

static int unknown_option(struct config_builder *builder, const char *dashes, const char *word)
{
    const struct config_unknown unknown = {
        .fields = config_fields,
        .kind = "option",
        .dashes = dashes,
        .list = "'bulkhead run --help' lists them",
    };

    return config_unknown(builder, &unknown, "run", word);
}

// One option at argv[index], which begins with "--". Returns how many arguments it took.
static int scan_option(struct config_options *options, struct config_builder *builder,
                       char *const argv[], int index)
{
    const char *key = argv[index] + 2;
    const char *equals = strchr(key, '=');
    _cleanup_free_
    char *word = strndup(key, equals == NULL ? strlen(key) : (size_t)(equals - key));
    const struct config_field *field;
    const char *text = equals == NULL ? NULL : equals + 1;
    int taken = 1;

    if (word == NULL) {
        config_say(builder->message, "no memory left; free some and try again");
        return -ENOMEM;
    }
    field = config_field_find(config_fields, word, strlen(word));
    if (field == NULL)
        return unknown_option(builder, "--", word);
    if (is_doubled(options, field)) {
        config_say(builder->message, "--%s: given twice; keep one", field->key);
        return -EINVAL;
    }
    if (text == NULL && field->flag) {
        text = "true";
    } else if (text == NULL) {
        text = argv[index + 1];
        taken = 2;
    }
    if (text == NULL || (taken == 2 && strncmp(text, "--", 2) == 0)) {
        config_say(builder->message, "--%s: has no value; say --%s=%s", field->key, field->key,
                   field->argument);
        return -EINVAL;
    }
    options->options[options->count++] = (struct config_option){.field = field, .text = text};
    return taken;
}

static int scan_file(struct config_options *options, struct config_builder *builder,
                     const char *name)
{
    if (options->file_name != NULL) {
        config_say(builder->message, "'%.80s' and '%.80s' are two files; a VM has one",
                   options->file_name, name);
        return -EINVAL;
    }
    if (name[0] == '\0') {
        config_say(builder->message, "the name of the VM's file is empty; leave it out");
        return -EINVAL;
    }
    options->file_name = name;
    return 1;
}

int config_options_scan(struct config_options *options, struct config_builder *builder, int argc,
                        char *const argv[])
{
    bool only_files = false;

    options->options = calloc((size_t)argc + 1, sizeof(options->options[0]));
    if (options->options == NULL) {
        config_say(builder->message, "no memory left; free some and try again");
        return -ENOMEM;
    }
    for (int i = 1; i < argc;) {
        int taken;

        if (!only_files && strcmp(argv[i], "--") == 0) {
            only_files = true;
            taken = 1;
        } else if (!only_files && strncmp(argv[i], "--", 2) == 0) {
            taken = scan_option(options, builder, argv, i);
        } else if (!only_files && argv[i][0] == '-' && argv[i][1] != '\0') {
            taken = unknown_option(builder, "", argv[i]);
        } else {
            taken = scan_file(options, builder, argv[i]);
        }
        if (taken < 0)
            return taken;
        i += taken;
    }
    return 0;
}

// Takes one "KEY=VALUE" or "KEY" off *rest, where ",," stands for a comma in a value. Returns false
// at the end. *key and *value (NULL: none) point into *rest, which is written to.
static bool next_pair(char **rest, const char **key, char **value)
{
    char *from = *rest, *to = *rest;

    if (*from == '\0')
        return false;
    *key = to;
    *value = NULL;
    while (*from != '\0') {
        if (from[0] == ',' && from[1] != ',')
            break;
        if (from[0] == ',')
            from++;
        if (*from == '=' && *value == NULL) {
            *to++ = '\0';
            *value = to;
            from++;
            continue;
        }
        *to++ = *from++;
    }
    *rest = *from == '\0' ? from : from + 1;
    *to = '\0';
    return true;
}

static int apply_pair(struct config_builder *builder, const struct config_field *field,
                      void *element, uint64_t *seen, const char *word, const char *value)
{
    const struct config_unknown unknown = {
        .fields = field->keys,
        .kind = "key",
        .dashes = "",
        .list = "bulkhead-run(1) lists them",
    };
    const struct config_field *key = config_field_find(field->keys, word, strlen(word));
    char where[WHERE_SIZE];
    uint64_t bit;

    snprintf(where, sizeof(where), "--%s", field->key);
    if (key == NULL)
        return config_unknown(builder, &unknown, where, word);
    snprintf(where, sizeof(where), "--%s %s", field->key, key->key);
    bit = UINT64_C(1) << (key - field->keys);
    if ((*seen & bit) != 0) {
        config_say(builder->message, "%s: given twice; keep one", where);
        return -EINVAL;
    }
    *seen |= bit;
    if (value == NULL && !key->flag) {
        config_say(builder->message, "%s: has no value; say %s=%s", where, key->key, key->argument);
        return -EINVAL;
    }
    return config_set_key(builder, element, key, where, value == NULL ? "true" : value);
}

// A list's element with keys: "path=a.img,readonly".
static int apply_element(struct config_builder *builder, const struct config_field *field,
                         const char *text)
{
    _cleanup_free_
    char *copy = strdup(text);
    char where[WHERE_SIZE], *rest = copy, *value;
    const char *word;
    uint64_t seen = 0;
    void *element;
    int error = 0;

    snprintf(where, sizeof(where), "--%s", field->key);
    if (copy == NULL) {
        config_say(builder->message, "no memory left; free some and try again");
        return -ENOMEM;
    }
    element = config_element_begin(builder, field, where);
    if (element == NULL)
        return -EINVAL;
    while (error == 0 && next_pair(&rest, &word, &value))
        error = apply_pair(builder, field, element, &seen, word, value);
    if (error == 0)
        error = config_element_end(builder, field, element, where);
    return error;
}

int config_options_apply(const struct config_options *options, struct config_builder *builder)
{
    builder->source.directory = "";
    for (size_t i = 0; i < options->count; i++) {
        const struct config_field *field = options->options[i].field;
        const char *text = options->options[i].text;
        char where[WHERE_SIZE];
        int error;

        snprintf(where, sizeof(where), "--%s", field->key);
        if (field->keys != NULL)
            error = apply_element(builder, field, text);
        else
            error = config_set(builder, field, where, text);
        if (error != 0)
            return error;
    }
    return 0;
}
