// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// Puts a struct vm_config together from settings: first those of the file, then those of the
// command line. A setting is a row of the table, its text and the place where it was written.
#pragma once

#include "main/config/schema.h"

struct config_builder {
    struct vm_config *config; // the caller's; holds what was set so far, also after an error
    struct config_source source;
    struct vm_config_message *message;
    uint64_t given;            // bit per row of config_fields: set by the file or an option
    uint32_t policies_of_file; // so many at the head of config->policies came from the file
};

// Begins with every default that is a value. Returns 0 or -ENOMEM.
int config_builder_begin(struct config_builder *builder, struct vm_config *config,
                         const struct vm_config_limits *limits, struct vm_config_message *message);

// Sets a field that is not a list, or adds an element that is one value. `where` comes first in the
// message if that fails ("vm.yaml:3:7: cpus", "--cpus"). Returns 0, -EINVAL or -ENOMEM.
int config_set(struct config_builder *builder, const struct config_field *field, const char *where,
               const char *text);

// Adds an element with keys to a list: begin, then config_set_key() for each key that was given,
// then end, which sees whether the element is whole. config_element_begin() returns NULL when the
// list is full.
void *config_element_begin(struct config_builder *builder, const struct config_field *field,
                           const char *where);
int config_set_key(struct config_builder *builder, void *element, const struct config_field *key,
                   const char *where, const char *text);
int config_element_end(struct config_builder *builder, const struct config_field *field,
                       const void *element, const char *where);

// Fills in the defaults that depend on other settings, and checks what concerns more than one.
// `file_name` may be NULL. Returns 0, -EINVAL or -ENOMEM.
int config_builder_finish(struct config_builder *builder, const char *file_name);

// The name of a VM that was given none: of its file, or "vm-PID" of its warden without one.
void config_default_name(char name[VM_NAME_SIZE], const char *file_name, int pid);

// The message for a word that no row has: "WHERE: unknown KIND 'DASHES KEY'; …". `list` says where
// all of them are. Returns -EINVAL.
struct config_unknown {
    const struct config_field *fields;
    const char *kind;   // "key" or "option"
    const char *dashes; // "--" before an option, "" before a key
    const char *list;
};
int config_unknown(struct config_builder *builder, const struct config_unknown *unknown,
                   const char *where, const char *key);
