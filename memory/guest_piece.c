// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Cuts pieces out of checked vectors. Offsets and lengths come from the device, but are held
// against the vector all the same.
#include "memory/guest_piece.h"

#include <string.h>

bool guest_vector_piece(const struct guest_vector *vector, uint64_t offset, uint64_t length,
                        struct guest_piece *out)
{
    unsigned i = 0;
    uint64_t run;

    if (length == 0 || offset >= vector->bytes_ || length > vector->bytes_ - offset)
        return false;
    while (offset >= vector->pieces_[i].iov_len)
        offset -= vector->pieces_[i++].iov_len;
    out->piece_.iov_base = (uint8_t *)vector->pieces_[i].iov_base + offset;
    out->piece_.iov_len = length;
    for (run = vector->pieces_[i].iov_len - offset; run < length; run += vector->pieces_[i].iov_len)
        if ((uint8_t *)out->piece_.iov_base + run != vector->pieces_[++i].iov_base)
            return false;
    return true;
}

size_t guest_piece_write(const struct guest_piece *piece, const void *from, size_t length)
{
    if (length > piece->piece_.iov_len)
        length = piece->piece_.iov_len;
    memcpy(piece->piece_.iov_base, from, length);
    return length;
}

void guest_piece_advance(struct guest_piece *piece, uint64_t bytes)
{
    if (bytes > piece->piece_.iov_len)
        bytes = piece->piece_.iov_len;
    piece->piece_.iov_base = (uint8_t *)piece->piece_.iov_base + bytes;
    piece->piece_.iov_len -= bytes;
}

void guest_vector_advance(struct guest_vector *vector, uint64_t bytes)
{
    unsigned gone = 0;

    if (bytes > vector->bytes_)
        bytes = vector->bytes_;
    vector->bytes_ -= bytes;
    while (gone < vector->count_ && bytes >= vector->pieces_[gone].iov_len)
        bytes -= vector->pieces_[gone++].iov_len;
    vector->count_ -= gone;
    memmove(vector->pieces_, vector->pieces_ + gone, vector->count_ * sizeof(vector->pieces_[0]));
    if (vector->count_ > 0) {
        vector->pieces_[0].iov_base = (uint8_t *)vector->pieces_[0].iov_base + bytes;
        vector->pieces_[0].iov_len -= bytes;
    }
}

const struct iovec *guest_piece_iovec(const struct guest_piece *piece)
{
    return &piece->piece_;
}

void guest_iovec_numbers(const struct iovec *piece, uint64_t *address, uint32_t *length)
{
    *address = (uintptr_t)piece->iov_base;
    *length = (uint32_t)piece->iov_len;
}
