// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The io_uring engine. The ring is made before lock-down and may from then on do six operations on
// one registered file, the image. All requests of a batch go out in one io_uring_enter(2), inside
// which cached reads are done already; what takes longer makes the ring's descriptor readable. A
// single request that needs no waiting does not need the ring either (immediate.c).
#include "devices/block/block.h"

#include "ipc/cleanup.h"
#include "ipc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/epoll.h>

#define RING_ENTRIES 64u
#define IMAGE 0 // index among the registered files
// The kernel's own threads for what cannot be done at once: buffered writes, flushes, discards.
#define KERNEL_WORKERS 8u
#define SUBMIT_TRIES 1000

static_assert(BLOCK_REQUESTS_MAX <= 256, "every request in flight has its completion entry");
#define RING_COMPLETIONS 256u

// The best first; a kernel that does not know a flag says EINVAL. All start disabled, so that no
// operation can be submitted before the restrictions are in place.
static const unsigned ring_flags[] = {
    IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
};

static int make_ring(struct io_uring *ring)
{
    int error = -EINVAL;

    for (size_t i = 0; i < array_size(ring_flags) && error == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = ring_flags[i],
            .cq_entries = RING_COMPLETIONS,
        };

        error = io_uring_queue_init_params(RING_ENTRIES, ring, &params);
    }
    return error;
}

static int restrict_ring(struct io_uring *ring)
{
    struct io_uring_restriction restrictions[] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FALLOCATE},
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE},
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE},
    };

    return io_uring_register_restrictions(ring, restrictions, array_size(restrictions));
}

static int prepare_ring(struct block *block)
{
    struct io_uring *ring = &block->ring;
    unsigned workers[2] = {KERNEL_WORKERS, 1};
    int error = io_uring_register_files(ring, &block->image_fd, 1);

    if (error < 0)
        return error;
    error = io_uring_register_iowq_max_workers(ring, workers);
    if (error < 0)
        return error;
    // Saves the look-up of the ring's descriptor in every call; not all kernels have it.
    io_uring_register_ring_fd(ring);
    error = restrict_ring(ring);
    if (error < 0)
        return error;
    error = io_uring_enable_rings(ring);
    if (error < 0)
        return error;
    // Edge-triggered: what was done inside io_uring_enter and is taken out already wakes nobody.
    error = event_loop_add(&block->device->loop, ring->ring_fd, EPOLLIN | EPOLLET,
                           block_completions, block);
    return error < 0 ? error : 0;
}

static int uring_open(struct block *block)
{
    int error = make_ring(&block->ring);

    if (error < 0)
        return error;
    error = prepare_ring(block);
    if (error < 0) {
        io_uring_queue_exit(&block->ring);
        return error;
    }
    return 0;
}

// Hands all that was submitted to the kernel.
static void hand_over(struct io_uring *ring)
{
    for (unsigned tries = 0; io_uring_sq_ready(ring) > 0; tries++) {
        int error = io_uring_submit(ring);

        // The kernel is short of memory for a moment. If it stays so, a new process takes over.
        if (error < 0 &&
            (tries == SUBMIT_TRIES || (error != -EINTR && error != -EAGAIN && error != -EBUSY)))
            fatal("cannot hand requests to io_uring: %s", strerror(-error));
    }
}

static void prepare_transfer(struct io_uring_sqe *sqe, const struct block_request *request)
{
    int count;
    const struct iovec *pieces = block_request_iovecs(request, &count);
    bool read = request->operation == BLOCK_READ;

    if (count > 1 && read) {
        io_uring_prep_readv(sqe, IMAGE, pieces, (unsigned)count, request->offset);
    } else if (count > 1) {
        io_uring_prep_writev(sqe, IMAGE, pieces, (unsigned)count, request->offset);
    } else {
        uint64_t address;
        uint32_t length;

        guest_iovec_numbers(pieces, &address, &length);
        io_uring_prep_rw(read ? IORING_OP_READ : IORING_OP_WRITE, sqe, IMAGE, NULL, length,
                         request->offset);
        sqe->addr = address;
    }
    sqe->rw_flags = request->operation == BLOCK_WRITE_DURABLE ? RWF_DSYNC : 0;
}

// Puts a request into the submission ring.
static void enqueue(struct block *block, struct block_request *request)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&block->ring);

    if (sqe == NULL) {
        hand_over(&block->ring);
        sqe = io_uring_get_sqe(&block->ring);
    }
    switch ((enum block_operation)request->operation) {
    case BLOCK_READ:
    case BLOCK_WRITE:
    case BLOCK_WRITE_DURABLE:
        prepare_transfer(sqe, request);
        break;
    case BLOCK_SYNC:
        io_uring_prep_fsync(sqe, IMAGE, IORING_FSYNC_DATASYNC);
        break;
    case BLOCK_PUNCH:
    case BLOCK_ZERO:
        io_uring_prep_fallocate(sqe, IMAGE, block_fallocate_mode(request), (off_t)request->offset,
                                (off_t)request->left);
        break;
    }
    io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
    io_uring_sqe_set_data(sqe, request);
}

static void do_now(struct block *block, struct block_request *request)
{
    if (!block_immediate_try(block, request)) {
        enqueue(block, request);
        return;
    }
    request->next = block->immediate_done;
    block->immediate_done = request;
}

static void uring_submit(struct block *block, struct block_request *request)
{
    enum block_immediacy wanted = block_immediate_wanted(block, request);

    if (wanted == BLOCK_ALWAYS) {
        do_now(block, request);
        return;
    }
    if (wanted == BLOCK_ALONE && block->alone == NULL && io_uring_sq_ready(&block->ring) == 0) {
        block->alone = request; // until it is known whether others follow
        return;
    }
    if (block->alone != NULL)
        enqueue(block, block->alone);
    block->alone = NULL;
    enqueue(block, request);
}

static void end_immediate(struct block *block)
{
    struct block_request *request = block->alone;

    block->alone = NULL;
    if (request != NULL)
        do_now(block, request);
    while ((request = block->immediate_done) != NULL) {
        block->immediate_done = request->next;
        block_request_done(block, request, request->result);
    }
}

static void reap(struct block *block)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;

    io_uring_for_each_cqe(&block->ring, head, cqe)
    {
        block_request_done(block, io_uring_cqe_get_data(cqe), cqe->res);
        count++;
    }
    if (count > 0)
        io_uring_cq_advance(&block->ring, count);
}

static bool uring_ready(struct block *block)
{
    // The flag says that the kernel has completions that it puts into the ring at our next call.
    return io_uring_cq_ready(&block->ring) > 0 ||
           (__atomic_load_n(block->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) != 0;
}

static void uring_run(struct block *block)
{
    if ((__atomic_load_n(block->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) != 0 &&
        io_uring_sq_ready(&block->ring) == 0)
        io_uring_get_events(&block->ring);
    // An answer may submit the rest of its request.
    do {
        end_immediate(block);
        hand_over(&block->ring);
        reap(block);
    } while (io_uring_sq_ready(&block->ring) > 0 || block->alone != NULL ||
             block->immediate_done != NULL);
}

const struct block_engine block_engine_uring = {
    .name = "io_uring",
    .open = uring_open,
    .submit = uring_submit,
    .run = uring_run,
    .ready = uring_ready,
};
