// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Transfers that are done at once, by the main thread itself, because the page cache has the data:
// cheaper than a trip through io_uring, and far cheaper than the kernel's worker threads, to which
// io_uring hands what a file system cannot do without waiting (on ext4 every buffered write).
//
// Where the file system knows RWF_NOWAIT, the kernel says when it would have to wait. Where it does
// not, the clock does: a transfer that took longer than memory takes sends the next ones to the
// ring, for longer each time that it happens.
#include "devices/block/block.h"

#include <errno.h>
#include <sys/uio.h>
#include <x86intrin.h>

// Longer transfers would keep the other queues waiting.
#define BYTES_MAX (UINT64_C(128) << 10)
// What is not a multiple of this may have to read before it can write.
#define WRITE_UNIT GUEST_PAGE_SIZE
// Ticks of the time-stamp counter, beside one for each byte, that a transfer takes at most when it
// needs no disk. A read that does need one is about as slow as 40 µs; a write waits only when the
// kernel holds back who writes too much, and then for milliseconds.
#define FAST_READ_TICKS 100000u
#define FAST_WRITE_TICKS 1000000u
// For how many transfers the ring is used after a slow one, or after one that would have waited.
#define PENALTY_MIN 32u
#define PENALTY_MAX 8192u
#define COLD_PENALTY 4u

static struct block_immediate *state_of(struct block *block, const struct block_request *request)
{
    return &block->immediate[request->operation == BLOCK_READ ? 0 : 1];
}

enum block_immediacy block_immediate_wanted(struct block *block,
                                            const struct block_request *request)
{
    struct block_immediate *state = state_of(block, request);

    if (request->operation != BLOCK_READ && request->operation != BLOCK_WRITE)
        return BLOCK_NEVER;
    if (request->left > BYTES_MAX || request->zeroes)
        return BLOCK_NEVER;
    if (request->operation == BLOCK_WRITE && (request->offset | request->left) % WRITE_UNIT != 0)
        return BLOCK_NEVER;
    if (state->penalty > 0) {
        state->penalty--;
        return BLOCK_NEVER;
    }
    return state->no_nowait ? BLOCK_ALWAYS : BLOCK_ALONE;
}

static ssize_t transfer(const struct block *block, const struct block_request *request, int flags)
{
    int count;
    const struct iovec *pieces = block_request_iovecs(request, &count);
    ssize_t bytes;

    if (request->operation == BLOCK_READ)
        bytes = preadv2(block->image_fd, pieces, count, (off_t)request->offset, flags);
    else
        bytes = pwritev2(block->image_fd, pieces, count, (off_t)request->offset, flags);
    return bytes < 0 ? -errno : bytes;
}

// A transfer that could have waited: whether it did.
static ssize_t transfer_timed(const struct block *block, const struct block_request *request,
                              struct block_immediate *state)
{
    uint64_t fast = request->operation == BLOCK_READ ? FAST_READ_TICKS : FAST_WRITE_TICKS;
    uint64_t start = __rdtsc();
    ssize_t bytes = transfer(block, request, 0);

    if (__rdtsc() - start <= fast + request->left) {
        state->next_penalty -= state->next_penalty > PENALTY_MIN;
    } else {
        state->penalty = state->next_penalty;
        if (state->next_penalty < PENALTY_MAX)
            state->next_penalty *= 2;
    }
    return bytes;
}

bool block_immediate_try(struct block *block, struct block_request *request)
{
    struct block_immediate *state = state_of(block, request);
    ssize_t bytes;

    if (state->no_nowait) {
        bytes = transfer_timed(block, request, state);
    } else {
        bytes = transfer(block, request, RWF_NOWAIT);
        if (bytes == -EOPNOTSUPP) {
            state->no_nowait = true;
            state->next_penalty = PENALTY_MIN;
            bytes = transfer_timed(block, request, state);
        } else if (bytes == -EAGAIN) {
            state->penalty = COLD_PENALTY;
            return false;
        }
    }
    request->result = (int)bytes;
    return true;
}
