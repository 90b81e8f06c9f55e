// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The parts of the block process and what passes between them:
//
//     block.c     its life: attach, start, stop; which queue is served when
//     request.c   what the guest asked for: chain -> checks -> struct block_request, and its end
//     uring.c     engine: io_uring, made and restricted before lock-down
//     immediate.c what that engine does without a ring, since it needs no waiting
//     workers.c   engine: a few threads, where the host forbids io_uring
//
// One image, one struct block, one thread that touches rings (the workers only move bytes between
// the image and pieces of guest memory that were checked).
#pragma once

#include "devices/block/layout.h"
#include "devices/device.h"
#include "memory/guest_piece.h"

#include <liburing.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdbool.h>

#define BLOCK_QUEUES_MAX 16
// Requests in flight over all queues, and those among them whose data is scattered.
#define BLOCK_REQUESTS_MAX 256u
#define BLOCK_SCATTERED_MAX 64u
// What is told to the driver, and enforced.
#define BLOCK_SEGMENTS_MAX 126u
#define BLOCK_DISCARD_SECTORS_MAX (UINT32_C(1) << 22)      // 2 GiB
#define BLOCK_WRITE_ZEROES_SECTORS_MAX (UINT32_C(1) << 18) // 128 MiB
#define BLOCK_WORKERS 4

static_assert(BLOCK_SEGMENTS_MAX + 2 <= GUEST_PIECES_MAX, "data, header and status fit");

// What an engine does with the image.
enum block_operation {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_WRITE_DURABLE, // returns when it is on stable storage: no write-back cache
    BLOCK_SYNC,
    BLOCK_PUNCH, // deallocate: reads as zeroes or as before
    BLOCK_ZERO,  // make zero, keep allocated
};

// One request in flight. Small, and the last one used is used first, so that a guest with few
// requests touches little memory of the process.
struct block_request {
    struct block_request *next; // in the list of free ones, or of an engine
    uint64_t offset;            // bytes: where in the image the rest begins
    uint64_t left;              // bytes still to be moved
    uint32_t read;              // bytes put into guest memory
    int result;                 // of a worker, or of an immediate transfer
    uint16_t head;
    uint8_t queue;
    uint8_t operation;           // enum block_operation
    uint8_t retries;             // left for EINTR and EAGAIN
    bool discard;                // the guest's DISCARD: data may be anything afterwards
    bool zeroes;                 // data is the page of zeroes, not the guest's
    bool sync_after;             // a BLOCK_SYNC follows: no write-back cache
    struct guest_piece status;   // one byte
    struct guest_piece piece;    // the data, when it is contiguous
    struct guest_vector *vector; // the data, when it is not; else NULL
};

struct block;

// An engine carries out requests. It is opened before lock-down and calls block_request_done for
// each, from block_engine.run only.
struct block_engine {
    const char *name;
    // Ready to be locked down. 0 or a negative errno.
    int (*open)(struct block *block);
    // Accepts a request; it may begin now or in `run`.
    void (*submit)(struct block *block, struct block_request *request);
    // Begins what was submitted and ends what is done.
    void (*run)(struct block *block);
    // Whether `run` would end something. No system call.
    bool (*ready)(struct block *block);
};

extern const struct block_engine block_engine_uring;
extern const struct block_engine block_engine_workers;

struct block_workers {
    pthread_barrier_t started;
    pthread_mutex_t lock; // of `waiting`
    pthread_cond_t wake;
    struct block_request *waiting; // for a worker, oldest first
    struct block_request **waiting_end;
    struct block_request *_Atomic done; // newest first
    int event_fd;                       // owned; readable: `done` is not empty
};

// What is known of the image's file system, for one direction (immediate.c).
struct block_immediate {
    bool no_nowait;        // it does not know RWF_NOWAIT
    unsigned penalty;      // transfers that go to the ring before the next try
    unsigned next_penalty; // after the next slow one
};

struct block {
    struct device *device;
    const struct block_engine *engine;
    int image_fd;      // owned
    uint64_t capacity; // sectors
    bool readonly;
    bool can_discard;
    char serial[BLOCK_ID_BYTES];

    // Queues, one bit each.
    uint32_t ready;    // may have requests to take; kicks are off
    uint32_t drained;  // had none left; kicks are still off
    uint32_t touched;  // had requests ended: the guest may want an interrupt
    uint32_t stopping; // wait for requests in flight
    bool stop_waits;   // the coordinator waits for device_stopped
    unsigned in_flight[BLOCK_QUEUES_MAX];

    // Busy-waiting before sleep (block.c).
    bool may_spin;
    uint64_t spin_ticks;
    uint64_t slept_at;

    // Of the io_uring engine.
    struct io_uring ring;
    struct block_immediate immediate[2]; // reads, writes
    struct block_request *alone;         // first of a batch, perhaps the only one
    struct block_request *immediate_done;

    struct block_workers workers;

    struct block_request *free;
    unsigned scattered_free;
    struct guest_vector *scattered[BLOCK_SCATTERED_MAX]; // a stack of the free ones
    struct virtqueue_chain chain;                        // of the request that is being taken
    struct block_request requests[BLOCK_REQUESTS_MAX];
    struct guest_vector vectors[BLOCK_SCATTERED_MAX];
};

// Whether a request more can be taken.
static inline bool block_has_room(const struct block *block)
{
    return block->free != NULL && block->scattered_free > 0;
}

void block_requests_init(struct block *block);

// Takes up to `most` requests from a queue and submits them to the engine, or ends them at once
// when they are wrong or need no I/O. Number taken, or a negative errno: the guest broke a rule of
// the ring (text in *fault).
int block_requests_take(struct block *block, unsigned queue, unsigned most, const char **fault);

// An engine's answer: bytes moved (READ, WRITE), 0, or a negative errno. Submits what is left or
// ends the request.
void block_request_done(struct block *block, struct block_request *request, int result);

// The data of a READ or WRITE, or what comes first of it; for the kernel and nobody else.
const struct iovec *block_request_iovecs(const struct block_request *request, int *count);

// The mode of fallocate(2) for PUNCH and ZERO.
static inline int block_fallocate_mode(const struct block_request *request)
{
    return FALLOC_FL_KEEP_SIZE |
           (request->operation == BLOCK_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

// Whether a request should be done at once: never, when it is the only one of its batch (since the
// ring would not wait either), or always (since the ring would need a thread for it).
enum block_immediacy { BLOCK_NEVER, BLOCK_ALONE, BLOCK_ALWAYS };
enum block_immediacy block_immediate_wanted(struct block *block,
                                            const struct block_request *request);
// Tries it. true: it is done, request->result is the answer; false: it would have to wait.
bool block_immediate_try(struct block *block, struct block_request *request);

// Handler of the event loop for the engine's descriptor: requests are done. `context` is the block.
void block_completions(void *context, uint32_t events);
