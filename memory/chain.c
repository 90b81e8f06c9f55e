// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The descriptor walker (virtio 1.2, 2.7.5): where hostile bytes become a bounded private struct.
// Each descriptor is copied once; the guest may rewrite it afterwards without effect.
#include "memory/chain.h"

#include "memory/guest_memory_private.h"

#include <errno.h>
#include <string.h>

// One walk: through the ring's table or an indirect one.
struct walk {
    const struct chain_source *source;
    const struct ring_descriptor *table;
    uint32_t entries;
    uint32_t budget; // descriptors that may still be read: ends every loop
    bool inside_indirect;
    struct virtqueue_chain *chain;
    const char **fault;
};

static int fail(struct walk *walk, int error, const char *fault)
{
    *walk->fault = fault;
    return error;
}

static int add_piece(struct walk *walk, const struct ring_descriptor *descriptor)
{
    struct virtqueue_chain *chain = walk->chain;
    bool writable = (descriptor->flags & RING_DESC_WRITE) != 0;
    int error;

    if (!writable && guest_vector_bytes(&chain->writable) > 0)
        return fail(walk, -EINVAL, "device-readable descriptor after a writable one");
    error = guest_vector_add(writable ? &chain->writable : &chain->readable, walk->source->memory,
                             guest_address(descriptor->address), descriptor->length);
    if (error == -EFAULT)
        return fail(walk, error, "descriptor points outside memory or has no length");
    return error < 0 ? fail(walk, error, "chain is longer than the device takes") : 0;
}

static int walk_table(struct walk *walk, uint32_t index);

static int walk_indirect(struct walk *walk, const struct ring_descriptor *descriptor)
{
    struct walk inner = *walk;

    if (walk->inside_indirect || !walk->source->indirect)
        return fail(walk, -EINVAL, "indirect descriptor where none is allowed");
    if ((descriptor->flags & RING_DESC_NEXT) != 0)
        return fail(walk, -EINVAL, "indirect descriptor has a successor");
    if (descriptor->length == 0 || descriptor->length % sizeof(struct ring_descriptor) != 0)
        return fail(walk, -EINVAL, "indirect table is not a whole number of descriptors");
    inner.table = guest_memory_host(walk->source->memory, guest_address(descriptor->address),
                                    descriptor->length);
    if (inner.table == NULL)
        return fail(walk, -EFAULT, "indirect table is outside memory");
    inner.entries = descriptor->length / sizeof(struct ring_descriptor);
    inner.inside_indirect = true;
    return walk_table(&inner, 0);
}

static int walk_table(struct walk *walk, uint32_t index)
{
    for (;;) {
        struct ring_descriptor descriptor;
        int error;

        if (index >= walk->entries)
            return fail(walk, -EINVAL, "descriptor index is outside the table");
        if (walk->budget-- == 0)
            return fail(walk, -ELOOP, "descriptor chain is a loop or longer than the queue");
        // The guest may write while this runs: one copy, and nothing is read again.
        memcpy(&descriptor, &walk->table[index], sizeof(descriptor));
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        if ((descriptor.flags & RING_DESC_INDIRECT) != 0)
            return walk_indirect(walk, &descriptor);
        error = add_piece(walk, &descriptor);
        if (error < 0 || (descriptor.flags & RING_DESC_NEXT) == 0)
            return error;
        index = descriptor.next;
    }
}

int chain_read(const struct chain_source *source, uint16_t head, struct virtqueue_chain *chain,
               const char **fault)
{
    struct walk walk = {
        .source = source,
        .table = source->table,
        .entries = source->size,
        .budget = source->size,
        .chain = chain,
        .fault = fault,
    };

    chain->head = head;
    guest_vector_clear(&chain->readable);
    guest_vector_clear(&chain->writable);
    return walk_table(&walk, head);
}
