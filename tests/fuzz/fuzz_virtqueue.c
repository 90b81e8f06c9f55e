// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Fuzz target: one virtqueue over memory and an in-flight page that hold anything. The input is a
// list of steps of a driver, of a device, and of a compromised predecessor; whatever they are, a
// chain that comes out is bounded, lies in memory, and is given out once.
#include "memory/guest_piece.h"
#include "memory/inflight.h"
#include "memory/virtqueue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Two regions with a hole between them, small enough that random addresses meet them.
#define REGION_SIZE UINT64_C(0x10000)
#define HIGH_START UINT64_C(0x20000)
#define ADDRESS_MASK 0x3ffffu

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct step {
    uint8_t action;
    uint8_t small;
    uint16_t place;
    uint8_t bytes[16];
} __attribute__((packed));

enum action {
    ACTION_START,
    ACTION_RESUME,
    ACTION_STOP,
    ACTION_POP,
    ACTION_PUSH,
    ACTION_NOTIFY,
    ACTION_KICKS,
    ACTION_POKE,
    ACTION_DESCRIPTOR,
    ACTION_OFFER,
    ACTION_INFLIGHT,
    ACTION_DRAIN,
    ACTIONS,
};

struct rig {
    struct guest_memory *memory;
    struct virtqueue queue;
    struct virtqueue_config config;
    uint16_t taken[VIRTQUEUE_SIZE_MAX]; // heads that are out
    unsigned taken_count;
    uint16_t offered;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct guest_memory *the_memory(void)
{
    static struct guest_memory *memory;
    const struct guest_region regions[] = {
        {.size = REGION_SIZE},
        {.guest_address = HIGH_START, .size = REGION_SIZE, .offset = REGION_SIZE},
    };
    int fd;

    if (memory != NULL)
        return memory;
    fd = guest_memory_create(2 * REGION_SIZE);
    require(fd >= 0 && guest_memory_map(fd, regions, 2, &memory) == 0);
    close(fd);
    return memory;
}

static uint64_t word(const struct step *step, unsigned at)
{
    uint32_t value;

    memcpy(&value, step->bytes + at, sizeof(value));
    return value;
}

// Mostly rings that can be started; sometimes whatever the bytes say.
static void configure(struct rig *rig, const struct step *step)
{
    bool sane = (step->small & 1) != 0;
    uint64_t mask = sane ? ADDRESS_MASK & ~0xfffu : UINT64_MAX;

    rig->config = (struct virtqueue_config){
        .size = sane ? (uint16_t)(1u << (step->place % 9)) : step->place,
        .descriptor_area = guest_address(word(step, 0) & mask),
        .driver_area = guest_address(word(step, 4) & mask),
        .device_area = guest_address(word(step, 8) & mask),
        .features = word(step, 12) << 28 | UINT64_C(1) << VIRTIO_F_VERSION_1,
    };
}

static void start(struct rig *rig, const struct step *step, bool resume)
{
    rig->taken_count = 0;
    rig->offered = 0;
    // A successor finds the ring where it was.
    if (!resume || (step->small & 2) != 0)
        configure(rig, step);
    if (virtqueue_start(&rig->queue, &rig->config, resume) < 0) {
        require(!rig->queue.running && rig->queue.fault != NULL);
        return;
    }
    require(rig->queue.running && rig->queue.resubmit_count <= rig->queue.size);
    for (unsigned i = 0; i < rig->queue.resubmit_count; i++)
        require(rig->queue.resubmit[i] < rig->queue.size);
}

// Every byte that the chain names is touched, as a device would.
static void check_chain(const struct rig *rig, const struct virtqueue_chain *chain)
{
    static uint8_t all[8192];
    const struct guest_vector *vectors[] = {&chain->readable, &chain->writable};
    struct guest_vector part;
    struct guest_piece piece;

    require(chain->head < rig->queue.size);
    for (unsigned i = 0; i < 2; i++) {
        const struct iovec *pieces;
        uint64_t sum = 0;
        int count;

        pieces = guest_vector_iovecs(vectors[i], &count);
        require(count >= 0 && count <= GUEST_PIECES_MAX);
        for (int n = 0; n < count; n++) {
            require(pieces[n].iov_len > 0 && pieces[n].iov_len <= REGION_SIZE);
            sum += pieces[n].iov_len;
        }
        require(sum == guest_vector_bytes(vectors[i]));
        guest_vector_read(vectors[i], sum / 2, all, sizeof(all));
        if (sum == 0)
            continue;
        require(guest_vector_slice(&part, vectors[i], sum / 3, sum - sum / 3) == 0);
        require(guest_vector_bytes(&part) == sum - sum / 3);
        guest_vector_advance(&part, sum / 5);
        guest_vector_read(&part, 0, all, sizeof(all));
        if (guest_vector_piece(vectors[i], sum - 1, 1, &piece) && i == 1)
            require(guest_piece_write(&piece, "", 1) == 1);
    }
}

static void pop(struct rig *rig)
{
    static struct virtqueue_chain chain;
    int got = virtqueue_pop(&rig->queue, &chain);

    require(got <= 1 && (got >= 0 || rig->queue.fault != NULL));
    if (got != 1)
        return;
    check_chain(rig, &chain);
    for (unsigned i = 0; i < rig->taken_count; i++)
        require(rig->taken[i] != chain.head);
    require(rig->taken_count < rig->queue.size);
    rig->taken[rig->taken_count++] = chain.head;
}

static void push(struct rig *rig, const struct step *step)
{
    unsigned at;

    if (rig->taken_count == 0)
        return;
    at = step->place % rig->taken_count;
    virtqueue_push(&rig->queue, rig->taken[at], (uint32_t)word(step, 0));
    rig->taken[at] = rig->taken[--rig->taken_count];
}

static void poke(const struct rig *rig, uint64_t address, const void *from, size_t length)
{
    if (guest_write(rig->memory, guest_address(address), from, length) < 0)
        return; // in the hole
}

static void descriptor(const struct rig *rig, const struct step *step)
{
    const uint64_t address = word(step, 0) & ADDRESS_MASK;
    const uint32_t bytes = (uint32_t)word(step, 8) & (step->small & 0x80 ? 0xfff0u : 0xffffu);
    uint8_t raw[16];

    memcpy(raw, &address, 8);
    memcpy(raw + 8, &bytes, 4);
    memcpy(raw + 12, step->bytes + 12, 4);
    raw[13] = 0; // flags
    raw[15] = 0; // next
    // Into the ring's table, or where an indirect one may lie.
    poke(rig,
         (step->small & 0x40 ? word(step, 4) & ADDRESS_MASK : rig->config.descriptor_area.value) +
             UINT64_C(16) * (step->place & 0xff),
         raw, sizeof(raw));
}

static void offer(struct rig *rig, const struct step *step)
{
    uint16_t mask = rig->queue.size - 1u;

    poke(rig, rig->config.driver_area.value + 4 + 2 * (uint64_t)(rig->offered & mask), &step->place,
         2);
    rig->offered = (uint16_t)(rig->offered + (step->small & 0x80 ? step->small : 1));
    poke(rig, rig->config.driver_area.value + 2, &rig->offered, 2);
}

static void take(struct rig *rig, const struct step *step)
{
    uint8_t *page = (uint8_t *)rig->queue.inflight;

    switch ((enum action)(step->action % ACTIONS)) {
    case ACTION_START:
    case ACTION_RESUME:
        start(rig, step, step->action % ACTIONS == ACTION_RESUME);
        break;
    case ACTION_STOP:
        virtqueue_stop(&rig->queue);
        rig->taken_count = 0;
        break;
    case ACTION_POP:
        pop(rig);
        break;
    case ACTION_PUSH:
        push(rig, step);
        break;
    case ACTION_NOTIFY:
        virtqueue_notify(&rig->queue);
        break;
    case ACTION_KICKS:
        virtqueue_kicks_off(&rig->queue);
        virtqueue_kicks_on(&rig->queue);
        virtqueue_waiting(&rig->queue);
        break;
    case ACTION_POKE:
        poke(rig, (uint64_t)step->place << 2, step->bytes, sizeof(step->bytes));
        break;
    case ACTION_DESCRIPTOR:
        descriptor(rig, step);
        break;
    case ACTION_OFFER:
        offer(rig, step);
        break;
    case ACTION_INFLIGHT:
        // A process that is alive writes its page alone: what a predecessor left comes before.
        virtqueue_stop(&rig->queue);
        rig->taken_count = 0;
        memcpy(page + step->place % (virtqueue_inflight_stride() - sizeof(step->bytes)),
               step->bytes, sizeof(step->bytes));
        break;
    case ACTION_DRAIN:
    case ACTIONS:
        rig->queue.draining = (step->small & 1) != 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct rig rig;
    static uint8_t *zeroes;
    struct step step;
    int call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (zeroes == NULL)
        zeroes = calloc(1, REGION_SIZE);
    rig = (struct rig){.memory = the_memory()};
    poke(&rig, 0, zeroes, REGION_SIZE);
    poke(&rig, HIGH_START, zeroes, REGION_SIZE);
    rig.queue = (struct virtqueue){.memory = rig.memory, .call_fd = call_fd, .kick_fd = -1};
    rig.queue.inflight = calloc(1, virtqueue_inflight_stride());
    require(call_fd >= 0 && rig.queue.inflight != NULL && zeroes != NULL);
    for (size_t at = 0; length - at >= sizeof(step); at += sizeof(step)) {
        memcpy(&step, bytes + at, sizeof(step));
        take(&rig, &step);
    }
    free(rig.queue.inflight);
    close(call_fd);
    return 0;
}
