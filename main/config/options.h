// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The command line of `bulkhead run`: options by the table, and at most one file.
#pragma once

#include "main/config/builder.h"

struct config_option {
    const struct config_field *field;
    const char *text; // into argv, or a literal
};

struct config_options {
    struct config_option *options; // owned, in the order of the command line
    size_t count;
    const char *file_name; // into argv; NULL: none
};

// Finds options and file in argv[1..]; checks that each option exists, has its value, and is not
// doubled. Messages go to the builder's message. Returns 0, -EINVAL or -ENOMEM.
int config_options_scan(struct config_options *options, struct config_builder *builder, int argc,
                        char *const argv[]);

// Sets what was found. Returns 0, -EINVAL or -ENOMEM.
int config_options_apply(const struct config_options *options, struct config_builder *builder);

void config_options_destroy(struct config_options *options);
