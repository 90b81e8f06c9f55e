// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// See terminal.h. Pure function of its arguments.
#include "devices/terminal.h"

size_t terminal_filter(struct terminal_escape *escape, uint8_t *bytes, size_t length, bool *quit)
{
    size_t kept = 0;

    *quit = false;
    if (!escape->enabled)
        return length;
    for (size_t i = 0; i < length; i++) {
        if (!escape->pending && bytes[i] == TERMINAL_ESCAPE) {
            escape->pending = true;
            continue;
        }
        if (escape->pending && (bytes[i] == 'x' || bytes[i] == 'X')) {
            *quit = true;
            return kept;
        }
        escape->pending = false;
        bytes[kept++] = bytes[i];
    }
    return kept;
}
