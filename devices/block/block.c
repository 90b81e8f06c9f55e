// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The block device's life and its turn: which queues are served, when the guest is interrupted,
// when the process sleeps. Trusted with one image and with guest memory; reads nothing that the
// guest wrote (request.c does).
#include "devices/block/block.h"

#include "ipc/cleanup.h"
#include "ipc/log.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <x86intrin.h>

// Requests that one queue may have taken before its completions are handed out.
#define BATCH 32u
// Requests and rounds before the event loop gets its turn: a busy guest must not keep the
// coordinator waiting.
#define WORK_MAX 512u
// Longest busy-wait before sleep and the first one, in ticks of the time-stamp counter (a tick is
// 0.2 to 0.5 ns on what runs KVM): about 30 µs and 4 µs.
#define SPIN_TICKS_MAX 80000u
#define SPIN_TICKS_MIN 10000u

static uint32_t bit(unsigned queue)
{
    return UINT32_C(1) << queue;
}

// Calls `step` for each queue in `set`.
#define for_each_queue(queue, set)                                                                 \
    for (uint32_t set_ = (set), queue = 0;                                                         \
         set_ != 0 && (queue = (uint32_t)__builtin_ctz(set_), true); set_ &= set_ - 1)

// ------------------------------------------------------------------------------------- the turn

// Number of requests taken.
static unsigned take_ready(struct block *block)
{
    unsigned sum = 0;

    for_each_queue(queue, block->ready)
    {
        const char *fault;
        int taken = block_requests_take(block, queue, BATCH, &fault);

        sum += taken > 0 ? (unsigned)taken : 0;
        if (taken == (int)BATCH || (taken >= 0 && !block_has_room(block)))
            continue; // there may be more
        block->ready &= ~bit(queue);
        if (taken >= 0)
            block->drained |= bit(queue);
        else
            device_guest_fault(block->device, queue, fault);
    }
    return sum;
}

static void interrupt(struct block *block)
{
    for_each_queue(queue, block->touched) virtqueue_notify(&block->device->queues[queue]);
    block->touched = 0;
}

static bool anything_in_flight(const struct block *block, uint32_t queues)
{
    for_each_queue(queue, queues) if (block->in_flight[queue] > 0) return true;
    return false;
}

static void finish_stop(struct block *block)
{
    if (!block->stop_waits || anything_in_flight(block, block->stopping))
        return;
    block->stop_waits = false;
    block->stopping = 0;
    device_stopped(block->device);
}

// Asks for kicks again; queues that got requests meanwhile are ready once more.
static void rearm(struct block *block)
{
    for_each_queue(queue, block->drained)
    {
        struct virtqueue *ring = &block->device->queues[queue];

        if (!virtqueue_kicks_on(ring))
            continue;
        virtqueue_kicks_off(ring);
        block->ready |= bit(queue);
    }
    block->drained = 0;
}

// Whether there is something to do without sleeping.
static bool look(struct block *block)
{
    for_each_queue(queue, block->drained)
    {
        if (!virtqueue_waiting(&block->device->queues[queue]))
            continue;
        block->drained &= ~bit(queue);
        block->ready |= bit(queue);
    }
    return block->ready != 0 || block->engine->ready(block);
}

// Waits a moment for more work before the price of sleep and wake-up is paid. How long follows from
// how long the last sleeps were (woken), as in the kernel's halt polling: a guest that answers at
// once is waited for, a quiet one costs nothing.
static bool spin(struct block *block)
{
    uint64_t start;

    if (block->spin_ticks == 0)
        return false;
    start = __rdtsc();
    do {
        if (look(block))
            return true;
        _mm_pause();
    } while (__rdtsc() - start < block->spin_ticks);
    return false;
}

static void woken(struct block *block)
{
    if (!block->may_spin)
        return;
    if (__rdtsc() - block->slept_at > SPIN_TICKS_MAX)
        block->spin_ticks = 0;
    else if (block->spin_ticks < SPIN_TICKS_MAX)
        block->spin_ticks = block->spin_ticks == 0 ? SPIN_TICKS_MIN : block->spin_ticks * 2;
}

// Whether a round found nothing to do; asks for kicks then.
static bool idle(struct block *block)
{
    if (block->ready != 0 || spin(block))
        return false;
    rearm(block);
    return block->ready == 0;
}

static void serve(struct block *block)
{
    unsigned work = 0;

    do {
        work += 1 + take_ready(block);
        block->engine->run(block);
        interrupt(block);
        finish_stop(block);
        // A full house is opened again by completions.
    } while (work < WORK_MAX && block_has_room(block) && !idle(block));
    rearm(block);
    if (block->ready != 0 && block_has_room(block))
        device_again(block->device, (unsigned)__builtin_ctz(block->ready));
    block->slept_at = block->may_spin ? __rdtsc() : 0;
}

void block_completions(void *context, uint32_t events)
{
    struct block *block = context;

    woken(block);
    serve(block);
}

static struct block *block_of(const struct device *device);

static void kicked(struct device *device, unsigned queue)
{
    struct block *block = block_of(device);

    if ((block->stopping & bit(queue)) != 0)
        return;
    woken(block);
    virtqueue_kicks_off(&device->queues[queue]);
    block->drained &= ~bit(queue);
    block->ready |= bit(queue);
    serve(block);
}

// ---------------------------------------------------------------------------- attach and stop

static int stop(struct device *device, unsigned queue)
{
    struct block *block = block_of(device);

    block->stopping =
        queue == DEVICE_ALL_QUEUES ? UINT32_MAX >> (32 - BLOCK_QUEUES_MAX) : bit(queue);
    block->ready &= ~block->stopping;
    block->drained &= ~block->stopping;
    block->stop_waits = anything_in_flight(block, block->stopping);
    if (block->stop_waits)
        return -EINPROGRESS;
    block->stopping = 0;
    return 0;
}

static void describe(struct block *block, const device_BlockConfig *config)
{
    struct device *device = block->device;
    uint32_t blocks_in_page = GUEST_PAGE_SIZE / config->block_size;
    struct block_configuration image = {
        .capacity = config->capacity,
        .seg_max = BLOCK_SEGMENTS_MAX,
        .blk_size = config->block_size,
        .physical_block_exp = (uint8_t)__builtin_ctz(blocks_in_page),
        .min_io_size = (uint16_t)blocks_in_page,
        .writeback = 1,
        .num_queues = (uint16_t)device->queue_count,
    };

    device->features = UINT64_C(1) << BLOCK_F_SEG_MAX | UINT64_C(1) << BLOCK_F_BLK_SIZE |
                       UINT64_C(1) << BLOCK_F_FLUSH | UINT64_C(1) << BLOCK_F_TOPOLOGY |
                       UINT64_C(1) << BLOCK_F_MQ;
    if (block->readonly)
        device->features |= UINT64_C(1) << BLOCK_F_RO;
    if (block->can_discard) {
        device->features |= UINT64_C(1) << BLOCK_F_DISCARD;
        image.max_discard_sectors = BLOCK_DISCARD_SECTORS_MAX;
        image.max_discard_seg = 1;
        image.discard_sector_alignment = config->block_size / BLOCK_SECTOR_SIZE;
    }
    if (!block->readonly) {
        device->features |= UINT64_C(1) << BLOCK_F_WRITE_ZEROES;
        image.max_write_zeroes_sectors = BLOCK_WRITE_ZEROES_SECTORS_MAX;
        image.max_write_zeroes_seg = 1;
        image.write_zeroes_may_unmap = block->can_discard;
    }
    static_assert(sizeof(image) <= DEVICE_CONFIG_MAX, "the image fits");
    memcpy(device->config, &image, sizeof(image));
    device->config_length = sizeof(image);
}

static int open_engine(struct block *block, bool workers)
{
    int error = -ENOSYS;

    block->engine = &block_engine_uring;
    if (!workers)
        error = block->engine->open(block);
    if (error == 0)
        return 0;
    if (!workers)
        log_warning("this host forbids io_uring (%s): using worker threads", strerror(-error));
    block->engine = &block_engine_workers;
    error = block->engine->open(block);
    if (error < 0)
        log_error("cannot start worker threads: %s", strerror(-error));
    return error;
}

static bool has_processors_to_spare(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1;
}

static struct block the_block;

static struct block *block_of(const struct device *device)
{
    (void)device;
    return &the_block;
}

static int attach(struct device *device, const device_Attach *attach)
{
    struct block *block = &the_block;
    const device_BlockConfig *config = &attach->config.block;

    if (attach->which_config != device_Attach_block_tag || device->queue_count == 0 ||
        device->queue_count > BLOCK_QUEUES_MAX ||
        config->capacity > INT64_MAX / BLOCK_SECTOR_SIZE ||
        (config->block_size != 512 && config->block_size != 4096)) {
        log_error("the block device cannot be configured like this");
        return -EINVAL;
    }
    block->device = device;
    block->capacity = config->capacity;
    block->readonly = config->readonly;
    block->can_discard = config->can_discard && !config->readonly;
    memcpy(block->serial, config->serial, strnlen(config->serial, sizeof(block->serial)));
    block->may_spin = has_processors_to_spare();
    block->image_fd = device_take(device, device_DescriptorRole_ROLE_IMAGE);
    if (block->image_fd < 0)
        return -EPROTO;
    block_requests_init(block);
    describe(block, config);
    return open_engine(block, config->workers);
}

const struct device_ops device_ops = {
    .kind = DEVICE_block,
    .attach = attach,
    .stop = stop,
    .kicked = kicked,
};
