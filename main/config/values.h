// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The types of values that a key or option may have: text in, typed member out. See
// config_parse_fn.
#pragma once

#include "main/config/schema.h"

config_parse_fn config_parse_name;   // char[field->max]; file name without directory
config_parse_fn config_parse_id;     // char[field->max]; letters, digits, '-', '_'
config_parse_fn config_parse_path;   // char *
config_parse_fn config_parse_text;   // char *; shorter than field->max
config_parse_fn config_parse_number; // uint32_t; field->min to field->max
config_parse_fn config_parse_size;   // uint64_t bytes; whole MiB; suffixes K, M, G, T
config_parse_fn config_parse_choice; // enum; field->words
config_parse_fn config_parse_flag;   // bool; true or false
config_parse_fn config_parse_stream; // struct vm_stream
config_parse_fn config_parse_policy; // struct vm_policy; ID=FILE

// Writes the message: one line, unprintable bytes shown as '?', cut to its size.
void config_say(struct vm_config_message *message, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// 1536 MiB as "1536M", 2 GiB as "2G".
void config_size_text(uint64_t bytes, char *text, size_t size);
