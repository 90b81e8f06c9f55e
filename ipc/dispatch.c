// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The one place where a peer's message meets its permit table.
#include "ipc/dispatch.h"

#include <errno.h>

int dispatch(const struct permit *table, size_t rows, pb_size_t tag, unsigned state, void *owner,
             const void *message, struct channel_descriptors *descriptors, const char **refused)
{
    const unsigned count = descriptors != NULL ? descriptors->count : 0;

    *refused = NULL;
    for (size_t i = 0; i < rows; i++) {
        const struct permit *permit = &table[i];

        if (permit->tag != tag)
            continue;
        if (state >= 32 || (permit->states & (UINT32_C(1) << state)) == 0)
            *refused = "message not permitted in this state";
        else if (count < permit->descriptors_min)
            *refused = "too few descriptors";
        else if (count > permit->descriptors_max)
            *refused = "descriptors where none belong";
        return *refused != NULL ? -EPROTO : permit->handle(owner, message, descriptors);
    }
    *refused = "unknown message";
    return -EPROTO;
}
