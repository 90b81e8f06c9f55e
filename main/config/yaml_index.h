// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// Where each key and value of a YAML text is. libcyaml reports the value before the fault; people
// want the fault itself.
#pragma once

#include "main/config/config.h"

enum {
    YAML_DEPTH_MAX = 4,
    YAML_NODES_MAX = 512,
    YAML_PATH_SIZE = 96,
};

enum yaml_kind { YAML_VALUE, YAML_LIST, YAML_MAPPING };

struct yaml_position {
    uint32_t line;   // from 1
    uint32_t column; // from 1, in characters
};

struct yaml_node {
    char path[YAML_PATH_SIZE]; // "disk[0].readonly"; "" is the document
    enum yaml_kind kind;       // of the value
    struct yaml_position key;  // of a list's element: the same as value
    struct yaml_position value;
};

struct yaml_index {
    struct yaml_node nodes[YAML_NODES_MAX];
    size_t count; // 0: an empty document
};

// Reads the whole text. Refuses, with file_name:line:column in the message, what is not YAML,
// doubled keys, keys that are not words, aliases, NUL characters, a second document, and more depth
// or nodes than any VM needs. Returns 0, -EINVAL or -ENOMEM.
int yaml_index_read(struct yaml_index *index, const char *file_name, const void *bytes,
                    size_t length, struct vm_config_message *message);

// The node with that path, or NULL.
const struct yaml_node *yaml_index_find(const struct yaml_index *index, const char *path);
