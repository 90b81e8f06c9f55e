// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The second pass over a VM's file. libcyaml loads every value as text, by a schema made from the
// table; the builder then parses the texts exactly as it parses those of the options.
#include "main/config/yaml.h"

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "main/config/values.h"
#include "main/config/yaml_index.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WHERE_SIZE = 320, FIELDS_MAX = 64 };

// What libcyaml fills in for one row: a text (char *), texts (char **), or elements with keys
// (struct loaded [count][number of keys]). NULL: the file does not say.
struct loaded {
    void *value;
    uint32_t count;
};

// The schemas of a table; they point into each other.
struct schemas {
    struct cyaml_schema_value text;
    struct cyaml_schema_field fields[FIELDS_MAX + 1];
    struct cyaml_schema_field keys[FIELDS_MAX + 1]; // of all lists, each closed by an empty row
    struct cyaml_schema_value elements[FIELDS_MAX]; // by row
    struct cyaml_schema_value document;
};

struct reader {
    struct config_builder *builder;
    const char *file_name;
    struct yaml_index index;
};

static size_t count_fields(const struct config_field *fields)
{
    size_t count = 0;

    while (fields[count].key != NULL)
        count++;
    return count;
}

static struct cyaml_schema_field text_field(const char *key, size_t row)
{
    return (struct cyaml_schema_field){
        .key = key,
        .data_offset = (uint32_t)(row * sizeof(struct loaded) + offsetof(struct loaded, value)),
        .value = {.type = CYAML_STRING,
                  .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                  .data_size = sizeof(char),
                  .string = {.min = 0, .max = CONFIG_YAML_MAX}},
    };
}

// Makes the schema of a list's element with keys; `keys` has room for them and the closing row.
static struct cyaml_schema_value mapping_schema(const struct config_field *fields,
                                                struct cyaml_schema_field *keys)
{
    const size_t count = count_fields(fields);

    for (size_t i = 0; i < count; i++)
        keys[i] = text_field(fields[i].key, i);
    keys[count] = (struct cyaml_schema_field){.key = NULL};
    return (struct cyaml_schema_value){
        .type = CYAML_MAPPING,
        .data_size = (uint32_t)(count * sizeof(struct loaded)),
        .mapping = {.fields = keys},
    };
}

static void make_schemas(struct schemas *schemas, size_t count)
{
    struct cyaml_schema_field *keys = schemas->keys;

    schemas->text = (struct cyaml_schema_value){.type = CYAML_STRING,
                                                .flags = CYAML_FLAG_POINTER,
                                                .data_size = sizeof(char),
                                                .string = {.min = 0, .max = CONFIG_YAML_MAX}};
    for (size_t i = 0; i < count; i++) {
        const struct config_field *row = &config_fields[i];
        struct cyaml_schema_field *field = &schemas->fields[i];

        *field = text_field(row->key, i);
        if (row->element_size == 0)
            continue;
        schemas->elements[i] = schemas->text;
        if (row->keys != NULL) {
            schemas->elements[i] = mapping_schema(row->keys, keys);
            keys += count_fields(row->keys) + 1;
        }
        field->count_offset =
            (uint32_t)(i * sizeof(struct loaded) + offsetof(struct loaded, count));
        field->count_size = sizeof(((struct loaded *)NULL)->count);
        field->value = (struct cyaml_schema_value){
            .type = CYAML_SEQUENCE,
            .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
            .data_size = row->keys != NULL ? schemas->elements[i].data_size : sizeof(char *),
            .sequence = {.entry = &schemas->elements[i], .min = 0, .max = CYAML_UNLIMITED},
        };
    }
    schemas->fields[count] = (struct cyaml_schema_field){.key = NULL};
    schemas->document = (struct cyaml_schema_value){
        .type = CYAML_MAPPING,
        .flags = CYAML_FLAG_POINTER,
        .data_size = (uint32_t)(count * sizeof(struct loaded)),
        .mapping = {.fields = schemas->fields},
    };
}

// "vm.yaml:3:7: disk[0].readonly"
static void place(const struct reader *reader, const char *path, char *where)
{
    const struct yaml_node *node = yaml_index_find(&reader->index, path);

    if (node != NULL)
        snprintf(where, WHERE_SIZE, "%.150s:%u:%u: %s", reader->file_name, node->value.line,
                 node->value.column, path);
    else
        fatal("config: '%s' was loaded but is not in the index", path);
}

static int wrong_shape(struct reader *reader, const struct yaml_node *node, const char *form)
{
    config_say(reader->builder->message,
               "%.150s:%u:%u: %s%smust be %s; bulkhead.yaml(5) has an example", reader->file_name,
               node->value.line, node->value.column, node->path, node->path[0] == '\0' ? "" : ": ",
               form);
    return -EINVAL;
}

static int unknown_key(struct reader *reader, const struct yaml_node *node,
                       const struct config_field *fields, const char *key)
{
    const struct config_unknown unknown = {
        .fields = fields,
        .kind = "key",
        .dashes = "",
        .list = "bulkhead.yaml(5) lists those there are",
    };
    char where[WHERE_SIZE];

    snprintf(where, sizeof(where), "%.150s:%u:%u", reader->file_name, node->key.line,
             node->key.column);
    return config_unknown(reader->builder, &unknown, where, key);
}

// Whether the schema knows the key of this node and expects what is behind it. Parents were checked
// before their children.
static int check_node(struct reader *reader, const struct yaml_node *node)
{
    const size_t length = strcspn(node->path, "[");
    const char *dot = strchr(node->path, '.');
    const struct config_field *field;

    if (length == 0)
        return node->kind == YAML_MAPPING
                   ? 0
                   : wrong_shape(reader, node, "lines of the form 'key: value'");
    field = config_field_find(config_fields, node->path, length);
    if (field == NULL)
        return unknown_key(reader, node, config_fields, node->path);
    if (node->path[length] == '\0' && field->element_size != 0)
        return node->kind == YAML_LIST ? 0 : wrong_shape(reader, node, "a list ('- ...' lines)");
    if (dot == NULL && node->path[length] == '[' && field->keys != NULL)
        return node->kind == YAML_MAPPING ? 0
                                          : wrong_shape(reader, node, "of the form 'key: value'");
    if (dot != NULL && config_field_find(field->keys, dot + 1, strlen(dot + 1)) == NULL)
        return unknown_key(reader, node, field->keys, dot + 1);
    return node->kind == YAML_VALUE ? 0 : wrong_shape(reader, node, "a single value");
}

static int check_schema(struct reader *reader)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < reader->index.count; i++)
        error = check_node(reader, &reader->index.nodes[i]);
    return error;
}

static int apply_element(struct reader *reader, const struct config_field *field, size_t index,
                         const struct loaded *loaded)
{
    char path[YAML_PATH_SIZE], where[WHERE_SIZE];
    void *element;

    snprintf(path, sizeof(path), "%s[%zu]", field->key, index);
    place(reader, path, where);
    element = config_element_begin(reader->builder, field, where);
    if (element == NULL)
        return -EINVAL;
    for (size_t i = 0; field->keys[i].key != NULL; i++) {
        char where_key[WHERE_SIZE];
        int error;

        if (loaded[i].value == NULL)
            continue;
        snprintf(path, sizeof(path), "%s[%zu].%s", field->key, index, field->keys[i].key);
        place(reader, path, where_key);
        error =
            config_set_key(reader->builder, element, &field->keys[i], where_key, loaded[i].value);
        if (error != 0)
            return error;
    }
    return config_element_end(reader->builder, field, element, where);
}

static int apply_list(struct reader *reader, const struct config_field *field,
                      const struct loaded *loaded)
{
    const size_t stride = field->keys == NULL ? 0 : count_fields(field->keys);
    char path[YAML_PATH_SIZE], where[WHERE_SIZE];
    int error = 0;

    for (size_t i = 0; error == 0 && i < loaded->count; i++) {
        if (field->keys != NULL) {
            error = apply_element(reader, field, i, (struct loaded *)loaded->value + i * stride);
            continue;
        }
        snprintf(path, sizeof(path), "%s[%zu]", field->key, i);
        place(reader, path, where);
        error = config_set(reader->builder, field, where, ((char **)loaded->value)[i]);
    }
    return error;
}

static int apply(struct reader *reader, const struct loaded *loaded)
{
    int error = 0;

    for (size_t i = 0; error == 0 && config_fields[i].key != NULL; i++) {
        const struct config_field *field = &config_fields[i];
        char where[WHERE_SIZE];

        if (loaded[i].value == NULL)
            continue;
        if (field->element_size != 0) {
            error = apply_list(reader, field, &loaded[i]);
        } else {
            place(reader, field->key, where);
            error = config_set(reader->builder, field, where, loaded[i].value);
        }
    }
    return error;
}

static int load(struct reader *reader, const void *bytes, size_t length)
{
    static const cyaml_config_t cyaml = {.mem_fn = cyaml_mem, .flags = CYAML_CFG_NO_ALIAS};
    const size_t count = count_fields(config_fields);
    struct schemas schemas = {.fields = {{.key = NULL}}};
    struct loaded *loaded = NULL;
    cyaml_err_t result;
    int error = 0;

    if (count > FIELDS_MAX)
        fatal("config: the table has %zu rows, more than %d", count, FIELDS_MAX);
    make_schemas(&schemas, count);
    result = cyaml_load_data(bytes, length, &cyaml, &schemas.document, (void **)&loaded, NULL);
    if (result != CYAML_OK) {
        // What users can do wrong was found before, with its place; this is what is left.
        config_say(reader->builder->message, "%.150s: %s; bulkhead.yaml(5) has an example",
                   reader->file_name, cyaml_strerror(result));
        return result == CYAML_ERR_OOM ? -ENOMEM : -EINVAL;
    }
    if (loaded != NULL) {
        error = apply(reader, loaded);
        cyaml_free(&cyaml, &schemas.document, loaded, 0);
    }
    return error;
}

int config_read_yaml(struct config_builder *builder, const char *file_name, const void *bytes,
                     size_t length)
{
    const char *slash = strrchr(file_name, '/');
    _cleanup_free_
    struct reader *reader = NULL;
    _cleanup_free_
    char *directory = NULL;
    int error;

    if (length > CONFIG_YAML_MAX) {
        config_say(builder->message, "%.200s: larger than %d KiB; is this a VM's file?", file_name,
                   CONFIG_YAML_MAX >> 10);
        return -EINVAL;
    }
    reader = malloc(sizeof(*reader));
    directory = strndup(file_name, slash == NULL ? 0 : (size_t)(slash - file_name) + 1);
    if (reader == NULL || directory == NULL) {
        config_say(builder->message, "no memory left; free some and try again");
        return -ENOMEM;
    }
    reader->builder = builder;
    reader->file_name = file_name;
    error = yaml_index_read(&reader->index, file_name, bytes, length, builder->message);
    if (error == 0)
        error = check_schema(reader);
    builder->source.directory = directory;
    if (error == 0)
        error = load(reader, bytes, length);
    builder->source.directory = "";
    builder->policies_of_file = builder->config->policy_count;
    return error;
}
