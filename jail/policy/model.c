// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Memory of a policy: small things from chunks that die together, growing arrays on their own.
#include "jail/policy/model.h"

#include <errno.h>
#include <string.h>

#define CHUNK_BYTES 16384

struct policy_chunk {
    struct policy_chunk *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

void *policy_allocate(struct policy *policy, size_t size)
{
    struct policy_chunk *chunk = policy->chunks;
    void *result;

    if (size > POLICY_TOTAL_MAX + 1U)
        return NULL;
    size = (size + 15U) & ~(size_t)15U;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t capacity = size > CHUNK_BYTES ? size : CHUNK_BYTES;

        chunk = calloc(1, sizeof(*chunk) + capacity);
        if (!chunk)
            return NULL;
        chunk->size = capacity;
        chunk->next = policy->chunks;
        policy->chunks = chunk;
    }
    result = chunk->bytes + chunk->used;
    chunk->used += size;
    return result;
}

char *policy_copy_string(struct policy *policy, const char *bytes, size_t length)
{
    char *copy = policy_allocate(policy, length + 1);

    if (copy)
        memcpy(copy, bytes, length);
    return copy;
}

int policy_grow(void **array, size_t *capacity, size_t count, size_t element)
{
    size_t wanted;
    void *larger;

    if (count < *capacity)
        return 0;
    wanted = *capacity ? *capacity * 2 : 16;
    larger = reallocarray(*array, wanted, element);
    if (!larger)
        return -ENOMEM;
    *array = larger;
    *capacity = wanted;
    return 0;
}

uint32_t node_add(struct policy *policy, enum node_kind kind)
{
    if (policy->node_count >= POLICY_NONE ||
        policy_grow((void **)&policy->nodes, &policy->node_capacity, policy->node_count,
                    sizeof(*policy->nodes)) < 0)
        return POLICY_NONE;
    policy->nodes[policy->node_count] =
        (struct node){.kind = kind, .first_child = POLICY_NONE, .next = POLICY_NONE};
    return (uint32_t)policy->node_count++;
}

void policy_destroy(struct policy *policy)
{
    if (!policy)
        return;
    for (struct policy_chunk *chunk = policy->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(policy->texts);
    free(policy->nodes);
    free(policy->rules);
    free(policy->calls);
    free(policy->order);
    free(policy->frequencies);
    free(policy);
}
