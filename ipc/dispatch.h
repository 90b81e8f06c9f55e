// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Permit tables: what a peer may say, when, and with how many descriptors. The table is the policy;
// what is not in it is -EPROTO, which ends the peer.
#pragma once

#include "ipc/channel.h"

// One row: the message (tag of the oneof), in which of the peer's states it may come (bit per
// state), descriptors, and what is done. The handler may take descriptors. It returns 0, or a
// negative errno that ends the peer.
struct permit {
    pb_size_t tag;
    uint32_t states;
    uint8_t descriptors_min;
    uint8_t descriptors_max;
    const char *name;
    int (*handle)(void *owner, const void *message, struct channel_descriptors *descriptors);
};

// Looks up `tag` and calls its handler with `message`. -EPROTO when there is no row, the state does
// not allow it or the number of descriptors is wrong; `*refused` then says which (static text),
// else NULL. `descriptors` NULL: none came.
int dispatch(const struct permit *table, size_t rows, pb_size_t tag, unsigned state, void *owner,
             const void *message, struct channel_descriptors *descriptors, const char **refused);
