// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The block process at native speed beside the limit, fio with io_uring on the same file: random
// 4 KiB reads and writes of a cached file at depth 1 and 32, buffered, alternating in one run.
//
//     block_vs_fio [--seconds N] [--rounds N] [--driver polls|watches|sleeps] [--json FILE] IMAGE
//
// The block process runs in its jail under its policy; this program is the guest's driver. It polls
// the used ring and wants no interrupts, as fio gets none (polls); or wants an interrupt for each
// completion that it has to wait for, as Linux does, but is not stopped by it: the cost of sending
// it, without that of receiving (watches); or sleeps until it comes, with the wake-up of a process
// in every request (sleeps). IMAGE is made when it is missing.
#include "devices/block/layout.h"
#include "ipc/cleanup.h"
#include "tests/device/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IMAGE_BYTES (UINT64_C(256) << 20)
#define REQUEST_BYTES 4096u
#define ROUNDS_MAX 32

enum driver { POLLS, WATCHES, SLEEPS, DRIVERS };
static const char *const driver_names[] = {"polls", "watches", "sleeps"};

struct options {
    const char *image, *json;
    unsigned rounds;
    unsigned seconds;
    enum driver driver;
};

static const struct measurement {
    const char *name; // for people
    const char *fio;  // --rw=
    bool write;
    unsigned depth;
} measurements[] = {
    {"random 4 KiB reads, depth 1", "randread", false, 1},
    {"random 4 KiB reads, depth 32", "randread", false, 32},
    {"random 4 KiB writes, depth 1", "randwrite", true, 1},
    {"random 4 KiB writes, depth 32", "randwrite", true, 32},
};

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// -------------------------------------------------------------------------------- the guest

struct guest {
    struct harness harness;
    uint64_t random;
    uint64_t slots; // guest address: one page for each request, header and status
    uint64_t data;  // one page for each request
    uint16_t slot_of[256];
};

static uint64_t next_random(struct guest *guest)
{
    guest->random ^= guest->random << 13;
    guest->random ^= guest->random >> 7;
    guest->random ^= guest->random << 17;
    return guest->random;
}

static void offer(struct guest *guest, const struct measurement *what, uint16_t slot)
{
    struct harness_queue *queue = &guest->harness.queues[0];
    uint64_t at = guest->slots + slot * 64u;
    struct block_header *header = harness_at(&guest->harness, at);
    const struct harness_piece pieces[] = {
        {at, sizeof(*header), false},
        {guest->data + slot * REQUEST_BYTES, REQUEST_BYTES, !what->write},
        {at + 16, 1, true},
    };
    uint16_t head = harness_chain(queue, pieces, array_size(pieces));

    *header = (struct block_header){
        .type = what->write ? BLOCK_T_OUT : BLOCK_T_IN,
        .sector = next_random(guest) % (IMAGE_BYTES / REQUEST_BYTES) *
                  (REQUEST_BYTES / BLOCK_SECTOR_SIZE),
    };
    *(uint8_t *)harness_at(&guest->harness, at + 16) = 0xff;
    guest->slot_of[head] = slot;
    harness_offer(queue, head);
}

static void ask_for_interrupt(struct harness_queue *queue)
{
    __atomic_store_n(&queue->available->ring[queue->size], queue->last_used, __ATOMIC_RELAXED);
    atomic_thread_fence(memory_order_seq_cst);
}

// Takes one completion; waits for it when there is none. The slot that is free again.
static uint16_t take(struct guest *guest, enum driver driver)
{
    struct harness_queue *queue = &guest->harness.queues[0];
    uint16_t head, slot;
    uint32_t length;

    if (!harness_poll(queue, &head, &length)) {
        if (driver != POLLS)
            ask_for_interrupt(queue);
        if (driver == SLEEPS) {
            head = harness_wait(queue, &length);
        } else {
            while (!harness_poll(queue, &head, &length))
                __builtin_ia32_pause();
        }
    }
    slot = guest->slot_of[head];
    if (*(volatile uint8_t *)harness_at(&guest->harness, guest->slots + slot * 64u + 16) !=
        BLOCK_S_OK)
        fail_msg("a request failed");
    return slot;
}

static double run_guest(struct guest *guest, const struct measurement *what,
                        const struct options *options)
{
    struct harness_queue *queue = &guest->harness.queues[0];
    double start = now(), end = start + options->seconds;
    uint64_t requests = 0;
    double time = start;

    for (uint16_t slot = 0; slot < what->depth; slot++)
        offer(guest, what, slot);
    harness_kick(queue);
    for (; time < end; requests++) {
        uint16_t slot = take(guest, options->driver);

        offer(guest, what, slot);
        harness_kick(queue);
        if (requests % 64 == 0)
            time = now();
    }
    for (uint16_t slot = 0; slot < what->depth; slot++)
        take(guest, options->driver);
    return (double)requests / (time - start);
}

static void start_guest(struct guest *guest, int image)
{
    struct harness *harness = &guest->harness;

    harness_init(harness, "block", 1, 256);
    guest->random = 0x9e3779b97f4a7c15;
    guest->slots = harness_buffer(harness, 0, 256 * 64);
    guest->data = harness_buffer(harness, 0, 256 * REQUEST_BYTES);
    harness->features |= UINT64_C(1) << BLOCK_F_FLUSH | UINT64_C(1) << VIRTIO_F_EVENT_IDX |
                         UINT64_C(1) << VIRTIO_F_INDIRECT_DESC;
    harness->attach.which_config = device_Attach_block_tag;
    harness->attach.config.block = (device_BlockConfig){
        .capacity = IMAGE_BYTES / BLOCK_SECTOR_SIZE,
        .block_size = 512,
        .can_discard = true,
    };
    harness_back_end(harness, device_DescriptorRole_ROLE_IMAGE, image);
    harness_spawn(harness);
    harness_verify(harness);
    harness_start(harness, false);
}

// ---------------------------------------------------------------------------------------- fio

static double run_fio(const struct measurement *what, const struct options *options)
{
    char command[1024], output[4096] = "", *field = output;
    int column = what->write ? 49 : 8; // of the terse format, version 3
    FILE *pipe;

    snprintf(command, sizeof(command),
             "fio --name=limit --filename=%s --size=%llu --ioengine=io_uring --direct=0 "
             "--invalidate=0 --bs=%u --iodepth=%u --rw=%s --time_based --runtime=%u "
             "--output-format=terse --terse-version=3",
             options->image, (unsigned long long)IMAGE_BYTES, REQUEST_BYTES, what->depth, what->fio,
             options->seconds);
    pipe = popen(command, "r");
    if (pipe == NULL || fread(output, 1, sizeof(output) - 1, pipe) == 0 || pclose(pipe) != 0)
        fail_msg("fio does not run: install the package fio");
    while (--column > 0 && (field = strchr(field, ';')) != NULL)
        field++;
    return field == NULL ? 0 : strtod(field, NULL);
}

// ------------------------------------------------------------------------------------- the run

static int open_image(const char *path)
{
    static uint8_t block[1 << 20];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        fail_msg("cannot open %s: %s", path, strerror(errno));
    // Written once as a whole: no holes, and all of it in the page cache.
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)(i * 7);
    for (uint64_t at = 0; at < IMAGE_BYTES; at += sizeof(block))
        if (pwrite(fd, block, sizeof(block), (off_t)at) != (ssize_t)sizeof(block))
            fail_msg("cannot fill %s: %s", path, strerror(errno));
    fsync(fd);
    return fd;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof(values[0]), compare);
    return count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static enum driver driver_from_name(const char *name)
{
    enum driver driver = POLLS;

    while (driver < DRIVERS && strcmp(driver_names[driver], name) != 0)
        driver++;
    return driver;
}

static void parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            options->seconds = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            options->rounds = (unsigned)atoi(argv[++i]);
        else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            options->json = argv[++i];
        else if (strcmp(argv[i], "--driver") == 0 && i + 1 < argc)
            options->driver = driver_from_name(argv[++i]);
        else
            options->image = argv[i];
    }
    if (options->image == NULL || options->seconds == 0 || options->rounds == 0 ||
        options->rounds > ROUNDS_MAX || options->driver == DRIVERS) {
        fprintf(stderr,
                "usage: block_vs_fio [--seconds N] [--rounds N] [--driver polls|watches|sleeps] "
                "[--json FILE] IMAGE\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct options options = {.rounds = 5, .seconds = 1};
    static struct guest guest;
    FILE *json = NULL;
    int image;

    parse(&options, argc, argv);
    image = open_image(options.image);
    start_guest(&guest, image);
    if (options.json != NULL)
        json = fopen(options.json, "w");
    if (json != NULL)
        fprintf(json, "[\n");
    printf("%-32s %12s %12s %7s\n", "requests per second", "block", "fio", "ratio");
    for (size_t i = 0; i < array_size(measurements); i++) {
        const struct measurement *what = &measurements[i];
        double ours[ROUNDS_MAX], limit[ROUNDS_MAX];
        double a, b;

        for (unsigned round = 0; round < options.rounds; round++) {
            ours[round] = run_guest(&guest, what, &options);
            limit[round] = run_fio(what, &options);
        }
        a = median(ours, options.rounds);
        b = median(limit, options.rounds);
        printf("%-32s %12.0f %12.0f %7.2f\n", what->name, a, b, a / b);
        fflush(stdout);
        if (json != NULL)
            fprintf(json,
                    "  {\"name\": \"%s\", \"rounds\": %u, \"block\": %.0f, \"fio\": %.0f, "
                    "\"ratio\": %.3f}%s\n",
                    what->name, options.rounds, a, b, a / b,
                    i + 1 < array_size(measurements) ? "," : "");
    }
    if (json != NULL) {
        fprintf(json, "]\n");
        fclose(json);
    }
    harness_destroy(&guest.harness);
    close(image);
    return 0;
}
