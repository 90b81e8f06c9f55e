// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Reads one descriptor chain. For memory/ only; devices see struct virtqueue_chain.
#pragma once

#include "memory/ring_layout.h"
#include "memory/virtqueue.h"

struct chain_source {
    const struct guest_memory *memory;
    const void *table; // descriptor table: `size` entries in guest memory
    uint16_t size;
    bool indirect; // VIRTIO_F_INDIRECT_DESC was negotiated
};

// Copies each descriptor of the chain that begins at `head` once, checks it, and fills `chain`.
// Walks at most `size` descriptors. 0, or a negative errno with *fault saying which rule of
// virtio 1.2, 2.7.5 the driver broke.
int chain_read(const struct chain_source *source, uint16_t head, struct virtqueue_chain *chain,
               const char **fault);
