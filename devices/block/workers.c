// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The engine for hosts that forbid io_uring: a few threads, started before lock-down. A worker
// knows one request at a time, moves bytes between the image and pieces of guest memory that were
// checked, and touches no ring; answers are given by the main thread.
#include "devices/block/block.h"

#include "ipc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#define STACK_SIZE 65536

static int transfer(const struct block *block, const struct block_request *request)
{
    int count;
    const struct iovec *pieces = block_request_iovecs(request, &count);
    int flags = request->operation == BLOCK_WRITE_DURABLE ? RWF_DSYNC : 0;
    ssize_t bytes;

    if (request->operation == BLOCK_READ)
        bytes = preadv2(block->image_fd, pieces, count, (off_t)request->offset, 0);
    else
        bytes = pwritev2(block->image_fd, pieces, count, (off_t)request->offset, flags);
    // One call moves less than 2 GiB.
    return bytes < 0 ? -errno : (int)bytes;
}

static int carry_out(const struct block *block, const struct block_request *request)
{
    switch ((enum block_operation)request->operation) {
    case BLOCK_READ:
    case BLOCK_WRITE:
    case BLOCK_WRITE_DURABLE:
        return transfer(block, request);
    case BLOCK_SYNC:
        return fdatasync(block->image_fd) < 0 ? -errno : 0;
    case BLOCK_PUNCH:
    case BLOCK_ZERO:
        return fallocate(block->image_fd, block_fallocate_mode(request), (off_t)request->offset,
                         (off_t)request->left) < 0
                   ? -errno
                   : 0;
    }
    return -EINVAL;
}

static struct block_request *wait_for_request(struct block_workers *workers)
{
    struct block_request *request;

    pthread_mutex_lock(&workers->lock);
    while (workers->waiting == NULL)
        pthread_cond_wait(&workers->wake, &workers->lock);
    request = workers->waiting;
    workers->waiting = request->next;
    if (workers->waiting == NULL)
        workers->waiting_end = &workers->waiting;
    pthread_mutex_unlock(&workers->lock);
    return request;
}

static void *work(void *context)
{
    static const uint64_t one = 1;
    struct block *block = context;
    struct block_workers *workers = &block->workers;

    pthread_barrier_wait(&workers->started);
    for (;;) {
        struct block_request *request = wait_for_request(workers);
        struct block_request *before;

        request->result = carry_out(block, request);
        before = atomic_load_explicit(&workers->done, memory_order_relaxed);
        do {
            request->next = before;
        } while (!atomic_compare_exchange_weak(&workers->done, &before, request));
        // The main thread takes the whole list at once: only the first entry has to wake it.
        if (before == NULL && write(workers->event_fd, &one, sizeof(one)) < 0)
            fatal("cannot signal a finished request: %s", strerror(errno));
    }
    return NULL;
}

static int start_threads(struct block *block)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);

    if (error == 0)
        error = pthread_attr_setstacksize(&attributes, STACK_SIZE);
    for (unsigned i = 0; i < BLOCK_WORKERS && error == 0; i++) {
        pthread_t thread;

        error = pthread_create(&thread, &attributes, work, block);
    }
    pthread_attr_destroy(&attributes);
    return -error;
}

static int workers_open(struct block *block)
{
    struct block_workers *workers = &block->workers;
    int error;

    workers->waiting_end = &workers->waiting;
    workers->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (workers->event_fd < 0)
        return -errno;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    pthread_barrier_init(&workers->started, NULL, BLOCK_WORKERS + 1);
    error = event_loop_add(&block->device->loop, workers->event_fd, EPOLLIN | EPOLLET,
                           block_completions, block);
    if (error < 0)
        return error;
    error = start_threads(block);
    if (error < 0)
        return error;
    // What a thread does at its start is not allowed after lock-down.
    pthread_barrier_wait(&workers->started);
    return 0;
}

static void workers_submit(struct block *block, struct block_request *request)
{
    struct block_workers *workers = &block->workers;

    request->next = NULL;
    pthread_mutex_lock(&workers->lock);
    *workers->waiting_end = request;
    workers->waiting_end = &request->next;
    pthread_mutex_unlock(&workers->lock);
    pthread_cond_signal(&workers->wake);
}

static bool workers_ready(struct block *block)
{
    return atomic_load_explicit(&block->workers.done, memory_order_relaxed) != NULL;
}

static void workers_run(struct block *block)
{
    struct block_request *done = atomic_exchange(&block->workers.done, NULL);

    while (done != NULL) {
        struct block_request *request = done;

        done = request->next;
        block_request_done(block, request, request->result);
    }
}

const struct block_engine block_engine_workers = {
    .name = "worker threads",
    .open = workers_open,
    .submit = workers_submit,
    .run = workers_run,
    .ready = workers_ready,
};
