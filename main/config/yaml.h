// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The YAML file of a VM, read in two passes: yaml_index.c (libyaml) finds where everything is and
// what is doubled, then libcyaml loads the values by a schema that is made from the table.
#pragma once

#include "main/config/builder.h"

enum { CONFIG_YAML_MAX = 64 << 10 }; // bytes; a file of every setting needs less than a tenth

// Sets what the text says. file_name is for messages and for the directory of relative paths.
// Returns 0; -EINVAL for text that is not a VM's; -ENOMEM.
int config_read_yaml(struct config_builder *builder, const char *file_name, const void *bytes,
                     size_t length);
