// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Named constants of the kernel's and the C library's headers, from sorted tables that constants.sh
// makes at build time.
#include "jail/policy/model.h"

#include <assert.h>
#include <string.h>

#include "policy_constants.inc"

static_assert(array_size(constant_offsets) == array_size(constant_values), "one value a name");

size_t policy_constant_count(void)
{
    return array_size(constant_values);
}

struct policy_constant policy_constant_at(size_t index)
{
    return (struct policy_constant){.name = constant_names + constant_offsets[index],
                                    .value = constant_values[index]};
}

static int compare(const char *word, size_t length, const char *name)
{
    int order = strncmp(word, name, length);

    return order ? order : -(int)(unsigned char)name[length];
}

bool policy_constant_find(const char *name, size_t length, uint64_t *value)
{
    size_t low = 0, high = policy_constant_count();

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct policy_constant constant = policy_constant_at(middle);
        int order = compare(name, length, constant.name);

        if (order == 0) {
            *value = constant.value;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

const char *policy_constant_suggestion(const char *word, size_t length)
{
    const char *best = NULL;
    unsigned distance = UINT32_MAX;

    for (size_t i = 0; i < policy_constant_count(); i++)
        best = policy_suggest(word, length, best, &distance, policy_constant_at(i).name);
    return best;
}
