// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Checked copies and vectors of checked pieces. Addresses and lengths are the guest's; contents are
// copied, not believed.
#include "memory/guest_access.h"

#include "memory/guest_memory_private.h"

#include <errno.h>
#include <string.h>

int guest_read(const struct guest_memory *memory, guest_addr from, void *to, size_t length)
{
    const void *host = guest_memory_host(memory, from, length);

    if (host == NULL)
        return -EFAULT;
    memcpy(to, host, length);
    return 0;
}

int guest_write(const struct guest_memory *memory, guest_addr to, const void *from, size_t length)
{
    void *host = guest_memory_host(memory, to, length);

    if (host == NULL)
        return -EFAULT;
    memcpy(host, from, length);
    return 0;
}

int guest_zero(const struct guest_memory *memory, guest_addr to, size_t length)
{
    void *host = guest_memory_host(memory, to, length);

    if (host == NULL)
        return -EFAULT;
    memset(host, 0, length);
    return 0;
}

int guest_range_ok(const struct guest_memory *memory, guest_addr address, uint64_t length)
{
    return guest_memory_host(memory, address, length) != NULL;
}

void guest_vector_clear(struct guest_vector *vector)
{
    vector->count_ = 0;
    vector->bytes_ = 0;
}

int guest_vector_add(struct guest_vector *vector, const struct guest_memory *memory,
                     guest_addr address, uint32_t length)
{
    void *host = guest_memory_host(memory, address, length);

    if (host == NULL)
        return -EFAULT;
    if (vector->count_ >= GUEST_PIECES_MAX || vector->bytes_ + length > UINT32_MAX)
        return -E2BIG;
    vector->pieces_[vector->count_++] = (struct iovec){.iov_base = host, .iov_len = length};
    vector->bytes_ += length;
    return 0;
}

// Calls `step` for each run of host bytes in [offset, offset + length) of the vector; number of
// bytes visited.
static inline size_t for_each_run(const struct guest_vector *vector, uint64_t offset,
                                  uint64_t length,
                                  void (*step)(uint8_t *host, size_t run, void *to), void *context)
{
    size_t done = 0;

    for (unsigned i = 0; i < vector->count_ && done < length; i++) {
        const struct iovec *piece = &vector->pieces_[i];
        size_t run;

        if (offset >= piece->iov_len) {
            offset -= piece->iov_len;
            continue;
        }
        run = piece->iov_len - offset;
        if (run > length - done)
            run = length - done;
        step((uint8_t *)piece->iov_base + offset, run, (uint8_t *)context + (context ? done : 0));
        done += run;
        offset = 0;
    }
    return done;
}

static void copy_out(uint8_t *host, size_t run, void *to)
{
    memcpy(to, host, run);
}

static void copy_in(uint8_t *host, size_t run, void *from)
{
    memcpy(host, from, run);
}

static void fill_zero(uint8_t *host, size_t run, void *nothing)
{
    (void)nothing;
    memset(host, 0, run);
}

size_t guest_vector_read(const struct guest_vector *vector, uint64_t offset, void *to,
                         size_t length)
{
    return for_each_run(vector, offset, length, copy_out, to);
}

size_t guest_vector_write(const struct guest_vector *vector, uint64_t offset, const void *from,
                          size_t length)
{
    return for_each_run(vector, offset, length, copy_in, (void *)(uintptr_t)from);
}

size_t guest_vector_zero(const struct guest_vector *vector, uint64_t offset, uint64_t length)
{
    return for_each_run(vector, offset, length, fill_zero, NULL);
}

int guest_vector_slice(struct guest_vector *to, const struct guest_vector *from, uint64_t offset,
                       uint64_t length)
{
    guest_vector_clear(to);
    if (offset > from->bytes_ || length > from->bytes_ - offset)
        return -EINVAL;
    for (unsigned i = 0; i < from->count_ && to->bytes_ < length; i++) {
        const struct iovec *piece = &from->pieces_[i];
        uint64_t run;

        if (offset >= piece->iov_len) {
            offset -= piece->iov_len;
            continue;
        }
        run = piece->iov_len - offset;
        if (run > length - to->bytes_)
            run = length - to->bytes_;
        to->pieces_[to->count_++] = (struct iovec){
            .iov_base = (uint8_t *)piece->iov_base + offset,
            .iov_len = run,
        };
        to->bytes_ += run;
        offset = 0;
    }
    return 0;
}

const struct iovec *guest_vector_iovecs(const struct guest_vector *vector, int *count)
{
    *count = (int)vector->count_;
    return vector->pieces_;
}
