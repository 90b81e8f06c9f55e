// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The one door to guest memory: checked copies, and opaque vectors of checked pieces for transfers
// by the kernel. Everything here takes addresses and lengths from the guest; all sums are checked
// for overflow; a range must lie in one region as a whole (ranges that cross the hole are refused)
// unless stated.
#pragma once

#include "memory/guest_memory.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

// Copies `length` bytes out of or into guest memory. 0, or -EFAULT when any byte is outside.
int guest_read(const struct guest_memory *memory, guest_addr from, void *to, size_t length);
int guest_write(const struct guest_memory *memory, guest_addr to, const void *from, size_t length);
// Fills with zero bytes.
int guest_zero(const struct guest_memory *memory, guest_addr to, size_t length);
// Whether [address, address + length) is guest memory. length 0 is never.
int guest_range_ok(const struct guest_memory *memory, guest_addr address, uint64_t length);

// A bounded list of pieces of guest memory, checked when made. The members are private to memory/;
// a device passes it on whole. No heap: the pieces live in the object.
#define GUEST_PIECES_MAX 130

struct guest_vector {
    unsigned count_;
    uint64_t bytes_;
    struct iovec pieces_[GUEST_PIECES_MAX];
};

void guest_vector_clear(struct guest_vector *vector);
// Appends a piece. 0; -EFAULT outside memory; -E2BIG no room or more than 2^32 bytes in sum.
int guest_vector_add(struct guest_vector *vector, const struct guest_memory *memory,
                     guest_addr address, uint32_t length);
static inline uint64_t guest_vector_bytes(const struct guest_vector *vector)
{
    return vector->bytes_;
}
// Copies up to `length` bytes from the vector's byte `offset` on, or into it; number of bytes
// copied.
size_t guest_vector_read(const struct guest_vector *vector, uint64_t offset, void *to,
                         size_t length);
size_t guest_vector_write(const struct guest_vector *vector, uint64_t offset, const void *from,
                          size_t length);
size_t guest_vector_zero(const struct guest_vector *vector, uint64_t offset, uint64_t length);
// The part [offset, offset + length) of `from` as a vector of its own; -EINVAL when outside it.
int guest_vector_slice(struct guest_vector *to, const struct guest_vector *from, uint64_t offset,
                       uint64_t length);
// For readv, writev, io_uring and nothing else: the pieces, not to be looked into. Count in *count.
const struct iovec *guest_vector_iovecs(const struct guest_vector *vector, int *count);
