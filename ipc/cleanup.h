// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Ownership that the reader can see: `_cleanup_fd_` closes a descriptor at the end of its scope,
// `_cleanup_free_` frees a pointer, `steal_fd` and `steal_pointer` hand either on to a new owner.
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _cleanup_fd_ _cleanup_(cleanup_fd)
#define _cleanup_free_ _cleanup_(cleanup_free)

static inline int steal_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#define steal_pointer(variable)                                                                    \
    ({                                                                                             \
        __typeof__(variable) stolen_ = (variable);                                                 \
        (variable) = NULL;                                                                         \
        stolen_;                                                                                   \
    })

#define array_size(array) (sizeof(array) / sizeof((array)[0]))
