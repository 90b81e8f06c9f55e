// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The one table of what can be said about a VM. The libcyaml schema, the options of `bulkhead run`,
// its --help and the lists in bulkhead-run(1) and bulkhead.yaml(5) all come from its rows, so that
// file, command line and manual use the same words with the same limits.
#pragma once

#include "main/config/config.h"

struct config_field;

// What a value's text means depends on where it was written.
struct config_source {
    const char *directory; // put before relative paths; "" for the command line
    const struct vm_config_limits *limits;
};

// Parses `text` into the member that `field` describes. Returns 0, -EINVAL or -ENOMEM with cause
// and remedy in *why. On failure the member keeps its former value.
typedef int config_parse_fn(const struct config_field *field, const char *text, void *member,
                            const struct config_source *source, struct vm_config_message *why);

struct config_word {
    const char *word;
    int value;
};

struct config_field {
    const char *key;      // in the file; with "--" before it, on the command line
    const char *argument; // capitals stand for something, the rest is literal
    config_parse_fn *parse;
    size_t offset; // of the member in struct vm_config, or in the element of a list
    uint64_t min;  // numbers and sizes
    uint64_t max;  // numbers and sizes (0: the host's); strings: size of the array
    const struct config_word *words; // ends with a NULL word
    bool flag;                       // the option may stand without a value: true
    bool required;                   // in each element of a list
    const char *initial;             // the default, in the user's words; parsed like the user's
    const char *initial_rule;        // the default, where a rule decides it
    const char *help;                // one line of --help
    const char *manual;              // mdoc(7) paragraphs of the manuals

    // Lists (element_size is not 0): the option may be repeated; the file has a sequence.
    size_t count_offset; // of the uint32_t in struct vm_config
    size_t element_size;
    uint32_t element_max;
    const struct config_field *keys; // keys of an element; NULL: an element is one value (parse)
};

// Every key and option, in the order of the manuals; ends with a NULL key. No more than 64.
extern const struct config_field config_fields[];

// The row for the key of `length` bytes, or NULL.
const struct config_field *config_field_find(const struct config_field *fields, const char *key,
                                             size_t length);

// The key that was probably meant, or NULL.
const char *config_field_suggest(const struct config_field *fields, const char *key);

// " (default 1)" and "1 to 16" as far as the row has them: for --help and the manuals.
void config_field_range(const struct config_field *field, char *text, size_t size);
