// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The first pass over a VM's file: libyaml's events, turned into a flat list of paths and
// positions.
#include "main/config/yaml_index.h"

#include "ipc/cleanup.h"
#include "main/config/values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

// One open list or mapping.
struct level {
    enum yaml_kind kind;
    size_t path_length; // of the list or mapping itself
    uint32_t elements;  // of a list, so far
    bool has_key;       // of a mapping: the key was read, its value comes next
    struct yaml_position key;
};

struct reader {
    yaml_parser_t parser;
    struct yaml_index *index;
    const char *file_name;
    struct vm_config_message *message;
    struct level levels[YAML_DEPTH_MAX];
    size_t depth;
    char path[YAML_PATH_SIZE]; // of the node that comes next
    uint32_t documents;
};

static struct yaml_position position_of(const yaml_mark_t *mark)
{
    return (struct yaml_position){.line = (uint32_t)mark->line + 1,
                                  .column = (uint32_t)mark->column + 1};
}

#define refuse(reader, position, format, ...)                                                      \
    (config_say((reader)->message, "%.150s:%u:%u: " format, (reader)->file_name, (position).line,  \
                (position).column, ##__VA_ARGS__),                                                 \
     -EINVAL)

const struct yaml_node *yaml_index_find(const struct yaml_index *index, const char *path)
{
    for (size_t i = 0; i < index->count; i++) {
        if (strcmp(index->nodes[i].path, path) == 0)
            return &index->nodes[i];
    }
    return NULL;
}

// Appends to reader->path from `length` on. Returns 0 or -EINVAL.
static int extend_path(struct reader *reader, size_t length, struct yaml_position position,
                       const char *separator, const char *name)
{
    const size_t room = sizeof(reader->path) - length;
    int written = snprintf(reader->path + length, room, "%s%s", separator, name);

    if (written < 0 || (size_t)written >= room)
        return refuse(reader, position,
                      "the key '%.40s' is too long; bulkhead.yaml(5) lists those "
                      "there are",
                      name);
    return 0;
}

// A mapping's key: a plain word that the mapping does not have yet.
static int read_key(struct reader *reader, struct level *level, const yaml_event_t *event)
{
    const struct yaml_position position = position_of(&event->start_mark);
    const char *key = (const char *)event->data.scalar.value;
    const struct yaml_node *first;
    int error;

    if (event->type != YAML_SCALAR_EVENT)
        return refuse(reader, position, "a key must be a word; write 'key: value'");
    if (key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] !=
            '\0' ||
        strlen(key) != event->data.scalar.length)
        return refuse(reader, position, "the key '%.40s' is not a word; write 'key: value'", key);
    error =
        extend_path(reader, level->path_length, position, level->path_length > 0 ? "." : "", key);
    if (error != 0)
        return error;
    first = yaml_index_find(reader->index, reader->path);
    if (first != NULL)
        return refuse(reader, position, "the key '%.40s' is doubled (first on line %u); keep one",
                      key, first->key.line);
    level->has_key = true;
    level->key = position;
    return 0;
}

// Puts the value that begins with this event into the index. reader->path is its path.
static int add_node(struct reader *reader, const yaml_event_t *event, enum yaml_kind kind)
{
    const struct yaml_position position = position_of(&event->start_mark);
    struct level *level = reader->depth > 0 ? &reader->levels[reader->depth - 1] : NULL;
    struct yaml_index *index = reader->index;
    struct yaml_node *node;

    if (index->count == YAML_NODES_MAX)
        return refuse(reader, position, "more than %d keys and values; leave some out",
                      YAML_NODES_MAX);
    node = &index->nodes[index->count++];
    *node = (struct yaml_node){.kind = kind, .key = position, .value = position};
    snprintf(node->path, sizeof(node->path), "%s", reader->path);
    if (level != NULL && level->kind == YAML_MAPPING) {
        node->key = level->key;
        level->has_key = false;
    }
    return 0;
}

static int open_level(struct reader *reader, const yaml_event_t *event, enum yaml_kind kind)
{
    int error = add_node(reader, event, kind);

    if (error != 0)
        return error;
    if (reader->depth == YAML_DEPTH_MAX)
        return refuse(reader, position_of(&event->start_mark),
                      "nested deeper than any setting; bulkhead.yaml(5) has an example");
    reader->levels[reader->depth++] =
        (struct level){.kind = kind, .path_length = strlen(reader->path)};
    return 0;
}

// Works out reader->path for a value that begins now, if it is a list's element.
static int enter_element(struct reader *reader, struct level *level, const yaml_event_t *event)
{
    char name[16];

    snprintf(name, sizeof(name), "[%u]", level->elements++);
    return extend_path(reader, level->path_length, position_of(&event->start_mark), "", name);
}

static int read_value(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
            return refuse(reader, position_of(&event->start_mark),
                          "the value has a NUL character in it; take it out");
        return add_node(reader, event, YAML_VALUE);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(reader, event, YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return open_level(reader, event, YAML_MAPPING);
    default:
        return refuse(reader, position_of(&event->start_mark),
                      "aliases are not known here; write the value out");
    }
}

static int read_event(struct reader *reader, const yaml_event_t *event)
{
    struct level *level = reader->depth > 0 ? &reader->levels[reader->depth - 1] : NULL;

    switch (event->type) {
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    case YAML_DOCUMENT_START_EVENT:
        if (++reader->documents > 1)
            return refuse(reader, position_of(&event->start_mark),
                          "a second document begins; a file has one VM");
        return 0;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->depth--;
        return 0;
    default:
        break;
    }
    if (level != NULL && level->kind == YAML_MAPPING && !level->has_key)
        return read_key(reader, level, event);
    if (level != NULL && level->kind == YAML_LIST) {
        int error = enter_element(reader, level, event);

        if (error != 0)
            return error;
    }
    return read_value(reader, event);
}

static int syntax_error(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const struct yaml_position position = position_of(&parser->problem_mark);

    if (parser->error == YAML_MEMORY_ERROR) {
        config_say(reader->message, "no memory left; free some and try again");
        return -ENOMEM;
    }
    if (parser->error == YAML_READER_ERROR) {
        config_say(reader->message, "%.150s: byte %zu: %s; save the file as UTF-8 text",
                   reader->file_name, parser->problem_offset, parser->problem);
        return -EINVAL;
    }
    return refuse(reader, position, "%s; this is not YAML, bulkhead.yaml(5) has an example",
                  parser->problem);
}

int yaml_index_read(struct yaml_index *index, const char *file_name, const void *bytes,
                    size_t length, struct vm_config_message *message)
{
    struct reader reader = {.index = index, .file_name = file_name, .message = message};
    bool ended = false;
    int error = 0;

    index->count = 0;
    if (yaml_parser_initialize(&reader.parser) == 0) {
        config_say(message, "no memory left; free some and try again");
        return -ENOMEM;
    }
    yaml_parser_set_input_string(&reader.parser, bytes, length);
    while (error == 0 && !ended) {
        yaml_event_t event;

        if (yaml_parser_parse(&reader.parser, &event) == 0) {
            error = syntax_error(&reader);
            break;
        }
        ended = event.type == YAML_STREAM_END_EVENT;
        error = read_event(&reader, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&reader.parser);
    return error;
}
