// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// One contiguous, checked piece of guest memory: what a device keeps of a request in flight, where
// a whole struct guest_vector (2 KiB) for each would be most of its memory. Made from a vector, so
// its range was checked there; opaque like it.
#pragma once

#include "memory/guest_access.h"

#include <stdbool.h>

struct guest_piece {
    struct iovec piece_;
};

// Whether [offset, offset + length) of the vector (length > 0) lies in one of its pieces, or in
// pieces that are neighbours in memory; *out is it then.
bool guest_vector_piece(const struct guest_vector *vector, uint64_t offset, uint64_t length,
                        struct guest_piece *out);

// Copies `length` bytes into the piece from its byte 0 on; more than it holds is cut. Bytes copied.
size_t guest_piece_write(const struct guest_piece *piece, const void *from, size_t length);

// Takes `bytes` from its front; all of it when it holds no more.
void guest_piece_advance(struct guest_piece *piece, uint64_t bytes);

// Takes `bytes` from the front of a vector in place; all of it when it holds no more.
void guest_vector_advance(struct guest_vector *vector, uint64_t bytes);

// For read, write, io_uring and nothing else: not to be looked into.
const struct iovec *guest_piece_iovec(const struct guest_piece *piece);

// The same for a kernel interface that takes address and length as numbers (io_uring): numbers
// cannot be looked into.
void guest_iovec_numbers(const struct iovec *piece, uint64_t *address, uint32_t *length);
