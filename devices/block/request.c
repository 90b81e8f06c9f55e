// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// From a chain to a struct block_request, and from an engine's answer to the status byte.
// Everything that the guest wrote (header, ranges) is copied once into locals, checked, then used;
// data is never looked at. A request that is wrong ends with an error of its own; only one that has
// no room for a status is a fault of the ring.
#include "devices/block/block.h"

#include "ipc/cleanup.h"

#include <errno.h>
#include <string.h>

// Not a status: the request goes to the engine.
#define SUBMIT (-1)
#define RETRIES 8

// The data of write zeroes where the image cannot make zeroes itself. Never written, so that all
// of it stays the kernel's one page of zeroes.
#define ZEROES_SIZE 65536u
static uint8_t zeroes[ZEROES_SIZE];

#define ZEROES(size)                                                                               \
    {                                                                                              \
        .iov_base = zeroes, .iov_len = (size)                                                      \
    }
#define FOUR(item) item, item, item, item
static const struct iovec zeroes_run[] = {FOUR(FOUR(ZEROES(ZEROES_SIZE)))};
// What remains is written in powers of two.
static const struct iovec zeroes_rest[] = {ZEROES(32768), ZEROES(16384), ZEROES(8192), ZEROES(4096),
                                           ZEROES(2048),  ZEROES(1024),  ZEROES(512)};

void block_requests_init(struct block *block)
{
    for (unsigned i = BLOCK_REQUESTS_MAX; i-- > 0;) {
        block->requests[i].next = block->free;
        block->free = &block->requests[i];
    }
    for (unsigned i = 0; i < BLOCK_SCATTERED_MAX; i++)
        block->scattered[i] = &block->vectors[BLOCK_SCATTERED_MAX - 1 - i];
    block->scattered_free = BLOCK_SCATTERED_MAX;
}

static struct block_request *allocate(struct block *block, unsigned queue)
{
    struct block_request *request = block->free;

    block->free = request->next;
    *request = (struct block_request){
        .head = block->chain.head,
        .queue = (uint8_t)queue,
        .retries = RETRIES,
    };
    block->in_flight[queue]++;
    return request;
}

static void end(struct block *block, struct block_request *request, uint8_t status)
{
    struct virtqueue *queue = &block->device->queues[request->queue];

    guest_piece_write(&request->status, &status, sizeof(status));
    virtqueue_push(queue, request->head, request->read + 1);
    block->touched |= UINT32_C(1) << request->queue;
    block->in_flight[request->queue]--;
    if (request->vector != NULL)
        block->scattered[block->scattered_free++] = request->vector;
    request->next = block->free;
    block->free = request;
}

// -------------------------------------------------------------------------- what the guest asks

// Whether [sector, sector + sectors) lies on the disk. No sum, so nothing overflows.
static bool inside(const struct block *block, uint64_t sector, uint64_t sectors)
{
    return sector <= block->capacity && sectors <= block->capacity - sector;
}

// Keeps `length` bytes of `data` from `offset` on as the request's data.
static int set_data(struct block *block, struct block_request *request, uint64_t sector,
                    const struct guest_vector *data, uint64_t offset, uint64_t length)
{
    if (length % BLOCK_SECTOR_SIZE != 0 || !inside(block, sector, length / BLOCK_SECTOR_SIZE))
        return BLOCK_S_IOERR;
    if (length == 0)
        return BLOCK_S_OK;
    request->offset = sector * BLOCK_SECTOR_SIZE;
    request->left = length;
    if (guest_vector_piece(data, offset, length, &request->piece))
        return SUBMIT;
    request->vector = block->scattered[--block->scattered_free];
    return guest_vector_slice(request->vector, data, offset, length) < 0 ? BLOCK_S_IOERR : SUBMIT;
}

// Bytes of data in the chain, without header and status.
static uint64_t readable_data(const struct block *block)
{
    return guest_vector_bytes(&block->chain.readable) - sizeof(struct block_header);
}

static uint64_t writable_data(const struct block *block)
{
    return guest_vector_bytes(&block->chain.writable) - 1;
}

static bool write_through(const struct block *block)
{
    return (block->device->driver_features >> BLOCK_F_FLUSH & 1) == 0;
}

static int prepare_in(struct block *block, struct block_request *request,
                      const struct block_header *header)
{
    if (readable_data(block) != 0)
        return BLOCK_S_IOERR;
    request->operation = BLOCK_READ;
    return set_data(block, request, header->sector, &block->chain.writable, 0,
                    writable_data(block));
}

static int prepare_out(struct block *block, struct block_request *request,
                       const struct block_header *header)
{
    if (writable_data(block) != 0 || block->readonly)
        return BLOCK_S_IOERR;
    request->operation = write_through(block) ? BLOCK_WRITE_DURABLE : BLOCK_WRITE;
    return set_data(block, request, header->sector, &block->chain.readable, sizeof(*header),
                    readable_data(block));
}

static int prepare_flush(struct block *block, struct block_request *request,
                         const struct block_header *header)
{
    if (readable_data(block) != 0 || writable_data(block) != 0)
        return BLOCK_S_IOERR;
    request->operation = BLOCK_SYNC;
    return SUBMIT;
}

static int prepare_get_id(struct block *block, struct block_request *request,
                          const struct block_header *header)
{
    size_t room = sizeof(block->serial);

    if (readable_data(block) != 0 || writable_data(block) == 0)
        return BLOCK_S_IOERR;
    if (room > writable_data(block))
        room = writable_data(block);
    request->read = (uint32_t)guest_vector_write(&block->chain.writable, 0, block->serial, room);
    return BLOCK_S_OK;
}

// The one range of a discard or write zeroes request (5.2.6: at most max_*_seg of them, which is
// 1).
static int read_range(struct block *block, struct block_request *request, uint32_t most,
                      struct block_range *range)
{
    if (block->readonly || writable_data(block) != 0 || readable_data(block) != sizeof(*range) ||
        guest_vector_read(&block->chain.readable, sizeof(struct block_header), range,
                          sizeof(*range)) != sizeof(*range))
        return BLOCK_S_IOERR;
    if (range->sectors > most || !inside(block, range->sector, range->sectors))
        return BLOCK_S_IOERR;
    request->offset = range->sector * BLOCK_SECTOR_SIZE;
    request->left = (uint64_t)range->sectors * BLOCK_SECTOR_SIZE;
    request->sync_after = write_through(block);
    return range->sectors == 0 ? BLOCK_S_OK : SUBMIT;
}

static int prepare_discard(struct block *block, struct block_request *request,
                           const struct block_header *header)
{
    struct block_range range;
    int verdict;

    if (!block->can_discard)
        return BLOCK_S_UNSUPP;
    verdict = read_range(block, request, BLOCK_DISCARD_SECTORS_MAX, &range);
    if (verdict == SUBMIT && range.flags != 0)
        return BLOCK_S_UNSUPP;
    request->operation = BLOCK_PUNCH;
    request->discard = true;
    return verdict;
}

static int prepare_write_zeroes(struct block *block, struct block_request *request,
                                const struct block_header *header)
{
    struct block_range range;
    int verdict = read_range(block, request, BLOCK_WRITE_ZEROES_SECTORS_MAX, &range);

    if (verdict != SUBMIT)
        return verdict;
    if ((range.flags & ~BLOCK_WRITE_ZEROES_UNMAP) != 0)
        return BLOCK_S_UNSUPP;
    request->operation = range.flags != 0 && block->can_discard ? BLOCK_PUNCH : BLOCK_ZERO;
    return SUBMIT;
}

static const struct {
    uint32_t type;
    int (*prepare)(struct block *block, struct block_request *request,
                   const struct block_header *header);
} types[] = {
    {BLOCK_T_IN, prepare_in},           {BLOCK_T_OUT, prepare_out},
    {BLOCK_T_FLUSH, prepare_flush},     {BLOCK_T_GET_ID, prepare_get_id},
    {BLOCK_T_DISCARD, prepare_discard}, {BLOCK_T_WRITE_ZEROES, prepare_write_zeroes},
};

// Status of a request that is over already, or SUBMIT.
static int prepare(struct block *block, struct block_request *request)
{
    struct block_header header;

    if (guest_vector_read(&block->chain.readable, 0, &header, sizeof(header)) != sizeof(header))
        return BLOCK_S_IOERR;
    for (size_t i = 0; i < array_size(types); i++)
        if (types[i].type == header.type)
            return types[i].prepare(block, request, &header);
    return BLOCK_S_UNSUPP;
}

int block_requests_take(struct block *block, unsigned queue, unsigned most, const char **fault)
{
    struct virtqueue *ring = &block->device->queues[queue];
    unsigned taken = 0;

    for (; taken < most && block_has_room(block); taken++) {
        struct block_request *request;
        uint64_t writable;
        int verdict = virtqueue_pop(ring, &block->chain);

        *fault = ring->fault;
        if (verdict <= 0)
            return verdict < 0 ? verdict : (int)taken;
        writable = guest_vector_bytes(&block->chain.writable);
        if (writable == 0) {
            *fault = "block request has no room for its status";
            return -EINVAL;
        }
        request = allocate(block, queue);
        // One byte never spans two pieces.
        guest_vector_piece(&block->chain.writable, writable - 1, 1, &request->status);
        verdict = prepare(block, request);
        if (verdict == SUBMIT)
            block->engine->submit(block, request);
        else
            end(block, request, (uint8_t)verdict);
    }
    return (int)taken;
}

// ---------------------------------------------------------------------- what the engine answers

static const struct iovec *zeroes_iovecs(uint64_t left, int *count)
{
    uint64_t whole = left / ZEROES_SIZE;
    size_t i = 0;

    *count = whole < array_size(zeroes_run) ? (int)whole : (int)array_size(zeroes_run);
    if (whole > 0)
        return zeroes_run;
    while (zeroes_rest[i].iov_len > left)
        i++;
    *count = 1;
    return &zeroes_rest[i];
}

const struct iovec *block_request_iovecs(const struct block_request *request, int *count)
{
    if (request->zeroes)
        return zeroes_iovecs(request->left, count);
    if (request->vector != NULL)
        return guest_vector_iovecs(request->vector, count);
    *count = 1;
    return guest_piece_iovec(&request->piece);
}

// Bytes were moved, perhaps not all: the rest is another operation.
static int moved(struct block *block, struct block_request *request, int result)
{
    uint64_t bytes = (uint64_t)result;

    // Nothing moved: the image is shorter than its capacity, or the disk is full.
    if (result <= 0 || bytes > request->left)
        return BLOCK_S_IOERR;
    request->offset += bytes;
    request->left -= bytes;
    if (request->operation == BLOCK_READ)
        request->read += (uint32_t)bytes;
    if (request->left == 0)
        return BLOCK_S_OK;
    if (request->zeroes && request->left < BLOCK_SECTOR_SIZE)
        return BLOCK_S_IOERR; // a write that stopped inside a sector
    if (request->vector != NULL)
        guest_vector_advance(request->vector, bytes);
    else if (!request->zeroes)
        guest_piece_advance(&request->piece, bytes);
    return SUBMIT;
}

// A range was deallocated or made zero, or the image cannot do it.
static int cleared(struct block *block, struct block_request *request, int result)
{
    if (result == -EOPNOTSUPP && request->discard)
        return BLOCK_S_UNSUPP;
    if (result == -EOPNOTSUPP) {
        request->zeroes = true;
        request->operation = request->sync_after ? BLOCK_WRITE_DURABLE : BLOCK_WRITE;
        return SUBMIT;
    }
    if (result < 0)
        return BLOCK_S_IOERR;
    if (!request->sync_after)
        return BLOCK_S_OK;
    request->operation = BLOCK_SYNC;
    return SUBMIT;
}

static int synced(struct block *block, struct block_request *request, int result)
{
    return result < 0 ? BLOCK_S_IOERR : BLOCK_S_OK;
}

typedef int answer(struct block *block, struct block_request *request, int result);

static answer *const answers[] = {
    [BLOCK_READ] = moved,  [BLOCK_WRITE] = moved,   [BLOCK_WRITE_DURABLE] = moved,
    [BLOCK_SYNC] = synced, [BLOCK_PUNCH] = cleared, [BLOCK_ZERO] = cleared,
};

void block_request_done(struct block *block, struct block_request *request, int result)
{
    int verdict;

    if ((result == -EINTR || result == -EAGAIN) && request->retries > 0) {
        request->retries--;
        verdict = SUBMIT;
    } else {
        verdict = answers[request->operation](block, request, result);
    }
    if (verdict == SUBMIT)
        block->engine->submit(block, request);
    else
        end(block, request, (uint8_t)verdict);
}
