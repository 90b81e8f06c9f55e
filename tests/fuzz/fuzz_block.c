// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Fuzz target: the block device's request parser, its life, and its engine's answers. The engine
// is the input's: it answers late, in part, or with errors. Whatever the driver asks, a request
// lies on the disk and in memory, a disk that is read-only is not written, and after a reset
// nothing is in flight.
#include "tests/fuzz/device_rig.h"

#include "devices/block/block.h"

#include <errno.h>

#define CAPACITY 64u // sectors
#define QUEUES 2u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct {
    struct block *block;
    unsigned count;
    struct block_request *waiting[BLOCK_REQUESTS_MAX];
    unsigned answers; // that `run` may give
    uint8_t kind;
    bool settling;
} engine;

static int engine_open(struct block *block)
{
    engine.block = block;
    return 0;
}

static void check_request(const struct block *block, const struct block_request *request)
{
    const uint64_t capacity = (uint64_t)CAPACITY * BLOCK_SECTOR_SIZE;
    uint64_t sum = 0;
    const struct iovec *pieces;
    int count;

    require(request->queue < QUEUES && request->head < VIRTQUEUE_SIZE_MAX);
    require(request->operation == BLOCK_READ || request->operation == BLOCK_SYNC ||
            !block->readonly);
    require(request->offset <= capacity && request->left <= capacity - request->offset);
    if (request->operation > BLOCK_WRITE_DURABLE)
        return;
    require(request->left > 0);
    pieces = block_request_iovecs(request, &count);
    require(count > 0 && count <= GUEST_PIECES_MAX);
    for (int i = 0; i < count; i++)
        sum += pieces[i].iov_len;
    require(sum <= request->left && (request->zeroes || sum == request->left));
}

static void engine_submit(struct block *block, struct block_request *request)
{
    check_request(block, request);
    require(engine.count < BLOCK_REQUESTS_MAX);
    for (unsigned i = 0; i < engine.count; i++)
        require(engine.waiting[i] != request);
    engine.waiting[engine.count++] = request;
}

// Moves bytes as the kernel would: all of them are touched.
static int transfer(const struct block_request *request, uint64_t most)
{
    static uint8_t disk[4096];
    const struct iovec *pieces;
    uint64_t done = 0;
    int count;

    pieces = block_request_iovecs(request, &count);
    for (int i = 0; i < count && done < most; i++) {
        for (size_t at = 0; at < pieces[i].iov_len && done < most; at += sizeof(disk)) {
            size_t run =
                pieces[i].iov_len - at < sizeof(disk) ? pieces[i].iov_len - at : sizeof(disk);

            run = run < most - done ? run : most - done;
            if (request->operation == BLOCK_READ)
                memset((uint8_t *)pieces[i].iov_base + at, 0x55, run);
            else
                memcpy(disk, (uint8_t *)pieces[i].iov_base + at, run);
            done += run;
        }
    }
    return (int)done;
}

static int result_of(const struct block_request *request)
{
    static const int errors[] = {-EIO, -ENOSPC, -EINTR, -EAGAIN, -EOPNOTSUPP, 0};
    uint8_t kind = engine.settling ? 0 : engine.kind;

    if (kind >= 0xf0)
        return errors[kind % array_size(errors)];
    if (request->operation > BLOCK_WRITE_DURABLE)
        return 0;
    return transfer(request, kind < 0x80 ? UINT64_MAX : (uint64_t)(kind & 0x7f) * 13 + 1);
}

static void engine_run(struct block *block)
{
    // Those that come while answers are given wait for the next time.
    unsigned answers =
        engine.settling || engine.answers > engine.count ? engine.count : engine.answers;

    engine.answers -= engine.answers < answers ? engine.answers : answers;
    for (; answers > 0; answers--) {
        unsigned at = engine.kind % engine.count;
        struct block_request *request = engine.waiting[at];

        engine.waiting[at] = engine.waiting[--engine.count];
        block_request_done(block, request, result_of(request));
    }
}

static bool engine_ready(struct block *block)
{
    return engine.answers > 0 && engine.count > 0;
}

const struct block_engine block_engine_uring = {
    .name = "scripted",
    .open = engine_open,
    .submit = engine_submit,
    .run = engine_run,
    .ready = engine_ready,
};

const struct block_engine block_engine_workers = {
    .name = "scripted",
    .open = engine_open,
    .submit = engine_submit,
    .run = engine_run,
    .ready = engine_ready,
};

static void own(struct rig *rig, const struct rig_step *step)
{
    engine.answers = step->place % 64;
    engine.kind = step->bytes[0];
    engine.block->readonly = (step->queue & 1) != 0 && engine.count == 0;
    block_completions(engine.block, 0);
    rig_listen(rig);
}

static void settle(struct rig *rig)
{
    engine.settling = true;
    block_completions(engine.block, 0);
    rig_listen(rig);
}

static void check_rest(const struct block *block)
{
    unsigned free_requests = 0;

    for (const struct block_request *request = block->free; request != NULL;
         request = request->next)
        free_requests++;
    require(free_requests == BLOCK_REQUESTS_MAX && block->scattered_free == BLOCK_SCATTERED_MAX);
    require(engine.count == 0 && !block->stop_waits && block->stopping == 0);
    for (unsigned i = 0; i < QUEUES; i++)
        require(block->in_flight[i] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const device_Attach attach = {
        .which_config = device_Attach_block_tag,
        .config.block = {.capacity = CAPACITY,
                         .serial = "fuzz",
                         .block_size = 512,
                         .can_discard = true},
    };

    if (the_rig.device.ops == NULL) {
        the_rig.back_ends[0].role = device_DescriptorRole_ROLE_IMAGE;
        the_rig.back_ends[0].fd = eventfd(0, EFD_CLOEXEC); // never used: the engine is ours
        rig_attach(&the_rig, QUEUES, &attach);
    }
    engine.answers = 0;
    engine.kind = 0;
    engine.settling = false;
    engine.block->readonly = false;
    rig_run(&the_rig, bytes, length, own, settle);
    check_rest(engine.block);
    return 0;
}
