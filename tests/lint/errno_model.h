// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// For static analysis only (tidy.sh): errno is one of some errors wherever it is read, never 0.
// Without this the analyzer follows `return -errno` into paths on which a call that failed has
// reported success. (It cannot negate a value that it does not know, so the values are spelled
// out.)
#pragma once

#include <errno.h>

int errno_choice(void);

static inline int *errno_model(void)
{
    int *location = __errno_location();

    switch (errno_choice()) {
    case 0:
        *location = EINTR;
        break;
    case 1:
        *location = EAGAIN;
        break;
    case 2:
        *location = ENOENT;
        break;
    default:
        *location = EIO;
        break;
    }
    return location;
}

#undef errno
#define errno (*errno_model())
