// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * guest_io WORKLOAD=VALUE...: the work that the bench gives a guest, run inside it by the bench
 * initramfs. Each workload is a fixed number of requests, so that two VMMs do the same work, and
 * prints one line of JSON with the time that it took by the guest's monotonic clock.
 *
 *   disk=PATH          the block device or file for the workloads that follow (/dev/vda)
 *   output=PATH        where the lines go from here on (standard output)
 *   readT=N            N random 4 KiB reads by T requesters (1 to 64), past the page cache
 *   writeT=N           the same, writing
 *   seqread=N          N reads of 1 MiB each, one after the other, past the page cache
 *   seqwrite=N         the same, writing
 *   flush=N            N times: write 4 KiB, then fdatasync
 *   pattern=N          writes 4 KiB blocks 0 to N-1 with a pattern that holds their number
 *   verify=N           reads them back and counts those that differ
 *   zero=N             zeroes the first N MiB by requests of 1 MiB that carry no data
 *   serial=N           writes N bytes of text to standard output and waits until they are out
 *   kmsg=N             writes N bytes of text to the kernel's log, whose console prints them
 *   random=N           reads N bytes from /dev/hwrng
 *
 * The random order is the same in every run. Ends with 1 if a request failed or a block differed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SMALL 4096u
#define LARGE (1024u * 1024u)
#define REQUESTERS_MAX 64u

struct job {
    const char *disk;
    uint64_t count;
    unsigned requesters;
    int fd;
    uint64_t size; /* of the disk, bytes */
};

struct result {
    uint64_t bytes;
    uint64_t errors;
};

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void *buffer(size_t length)
{
    void *memory = NULL;

    if (posix_memalign(&memory, SMALL, length) != 0) {
        fputs("guest_io: out of memory\n", stderr);
        exit(1);
    }
    memset(memory, 0x5a, length);
    return memory;
}

/* xorshift64*: the same numbers in every run. */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static bool transfer(int fd, bool write, void *memory, size_t length, uint64_t at)
{
    const ssize_t done =
        write ? pwrite(fd, memory, length, (off_t)at) : pread(fd, memory, length, (off_t)at);

    return done == (ssize_t)length;
}

/* --- random requests, one thread for each requester --- */

struct requester {
    pthread_t thread;
    const struct job *job;
    bool write;
    uint64_t state;
    uint64_t count;
    uint64_t errors;
    void *memory;
};

static void *request(void *argument)
{
    struct requester *self = argument;
    const uint64_t blocks = self->job->size / SMALL;

    for (uint64_t i = 0; i < self->count; i++) {
        const uint64_t block = draw(&self->state) % blocks;

        if (!transfer(self->job->fd, self->write, self->memory, SMALL, block * SMALL))
            self->errors++;
    }
    return NULL;
}

static struct result random_requests(const struct job *job, bool write)
{
    struct requester all[REQUESTERS_MAX] = {0};
    struct result result = {.bytes = job->count * SMALL};

    all[0].job = job; // the first one is this thread, whatever was asked for
    for (unsigned i = 0; i < job->requesters; i++) {
        all[i].job = job;
        all[i].write = write;
        all[i].state = 0x9e3779b97f4a7c15u + i;
        all[i].count = job->count / job->requesters + (i < job->count % job->requesters);
        all[i].memory = buffer(SMALL);
        if (i > 0 && pthread_create(&all[i].thread, NULL, request, &all[i]) != 0) {
            fputs("guest_io: cannot start a thread\n", stderr);
            exit(1);
        }
    }
    request(&all[0]);
    for (unsigned i = 0; i < job->requesters; i++) {
        if (i > 0)
            pthread_join(all[i].thread, NULL);
        result.errors += all[i].errors;
        free(all[i].memory);
    }
    return result;
}

static struct result random_read(const struct job *job)
{
    return random_requests(job, false);
}

static struct result random_write(const struct job *job)
{
    return random_requests(job, true);
}

/* --- one after the other --- */

static struct result sequential(const struct job *job, bool write)
{
    struct result result = {.bytes = job->count * LARGE};
    const uint64_t pieces = job->size / LARGE;
    void *memory = buffer(LARGE);

    for (uint64_t i = 0; i < job->count; i++) {
        if (pieces == 0 || !transfer(job->fd, write, memory, LARGE, i % pieces * LARGE))
            result.errors++;
    }
    free(memory);
    return result;
}

static struct result sequential_read(const struct job *job)
{
    return sequential(job, false);
}

static struct result sequential_write(const struct job *job)
{
    return sequential(job, true);
}

static struct result flush(const struct job *job)
{
    struct result result = {.bytes = job->count * SMALL};
    const uint64_t blocks = job->size / SMALL;
    void *memory = buffer(SMALL);

    for (uint64_t i = 0; i < job->count; i++) {
        if (!transfer(job->fd, true, memory, SMALL, i % blocks * SMALL) || fdatasync(job->fd) < 0)
            result.errors++;
    }
    free(memory);
    return result;
}

static void fill(uint64_t *words, uint64_t block)
{
    for (size_t i = 0; i < SMALL / sizeof(*words); i++)
        words[i] = block * 0x9e3779b97f4a7c15u + i;
}

static struct result write_pattern(const struct job *job)
{
    struct result result = {.bytes = job->count * SMALL};
    uint64_t *memory = buffer(SMALL);

    for (uint64_t block = 0; block < job->count; block++) {
        fill(memory, block);
        if (!transfer(job->fd, true, memory, SMALL, block * SMALL))
            result.errors++;
    }
    if (fdatasync(job->fd) < 0)
        result.errors++;
    free(memory);
    return result;
}

static struct result verify_pattern(const struct job *job)
{
    struct result result = {.bytes = job->count * SMALL};
    uint64_t *memory = buffer(SMALL), *expected = buffer(SMALL);

    for (uint64_t block = 0; block < job->count; block++) {
        fill(expected, block);
        if (!transfer(job->fd, false, memory, SMALL, block * SMALL) ||
            memcmp(memory, expected, SMALL) != 0)
            result.errors++;
    }
    free(memory);
    free(expected);
    return result;
}

static struct result write_zeroes(const struct job *job)
{
    struct result result = {.bytes = job->count * LARGE};

    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t range[2] = {i * LARGE, LARGE};

        if (ioctl(job->fd, BLKZEROOUT, range) < 0)
            result.errors++;
    }
    return result;
}

/* --- character devices --- */

static struct result serial(const struct job *job)
{
    static const char line[] =
        "the quick brown fox jumps over the lazy dog, and then over it again\n";
    struct result result = {0};

    while (result.bytes < job->count && result.errors == 0) {
        const ssize_t done = write(STDOUT_FILENO, line, sizeof(line) - 1);

        if (done > 0)
            result.bytes += (uint64_t)done;
        else
            result.errors++;
    }
    (void)tcdrain(STDOUT_FILENO);
    return result;
}

/* Alerts: they are printed even where the kernel is told to be quiet. */
static struct result kernel_log(const struct job *job)
{
    static const char line[] =
        "<1>the quick brown fox jumps over the lazy dog, and then over it again\n";
    struct result result = {0};

    while (result.bytes < job->count && result.errors == 0) {
        if (write(job->fd, line, sizeof(line) - 1) == (ssize_t)sizeof(line) - 1)
            result.bytes += sizeof(line) - 1;
        else
            result.errors++;
    }
    return result;
}

static struct result read_random(const struct job *job)
{
    struct result result = {0};
    char *memory = buffer(SMALL);

    while (result.bytes < job->count && result.errors == 0) {
        const uint64_t left = job->count - result.bytes;
        const ssize_t done = read(job->fd, memory, left < SMALL ? (size_t)left : SMALL);

        if (done > 0)
            result.bytes += (uint64_t)done;
        else
            result.errors++;
    }
    free(memory);
    return result;
}

/* --- the table --- */

enum resource { NOTHING, DISK_READ, DISK_WRITE, HWRNG, KERNEL_LOG };

static const struct {
    const char *path; /* NULL: the job's disk */
    int flags;
} resources[] = {
    [DISK_READ] = {NULL, O_RDONLY | O_DIRECT},
    [DISK_WRITE] = {NULL, O_RDWR | O_DIRECT},
    [HWRNG] = {"/dev/hwrng", O_RDONLY},
    [KERNEL_LOG] = {"/dev/kmsg", O_WRONLY},
};

static const struct workload {
    const char *name;
    bool numbered; /* the number of requesters follows the name */
    enum resource resource;
    struct result (*run)(const struct job *job);
} workloads[] = {
    {"read", true, DISK_READ, random_read},
    {"write", true, DISK_WRITE, random_write},
    {"seqread", false, DISK_READ, sequential_read},
    {"seqwrite", false, DISK_WRITE, sequential_write},
    {"flush", false, DISK_WRITE, flush},
    {"pattern", false, DISK_WRITE, write_pattern},
    {"verify", false, DISK_READ, verify_pattern},
    {"zero", false, DISK_WRITE, write_zeroes},
    {"serial", false, NOTHING, serial},
    {"kmsg", false, KERNEL_LOG, kernel_log},
    {"random", false, HWRNG, read_random},
};

static const struct workload *find(const char *name, size_t length, unsigned *requesters)
{
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        const size_t own = strlen(workloads[i].name);
        char *end = NULL;

        if (own > length || strncmp(name, workloads[i].name, own) != 0)
            continue;
        *requesters = 1;
        if (workloads[i].numbered)
            *requesters = (unsigned)strtoul(name + own, &end, 10);
        if (workloads[i].numbered ? end == name + length : own == length)
            return *requesters >= 1 && *requesters <= REQUESTERS_MAX ? &workloads[i] : NULL;
    }
    return NULL;
}

static bool open_resource(struct job *job, enum resource resource)
{
    const char *path = resources[resource].path ? resources[resource].path : job->disk;
    struct stat status;

    job->fd = -1;
    if (resource == NOTHING)
        return true;
    job->fd = open(path, resources[resource].flags | O_CLOEXEC);
    if (job->fd < 0 && errno == EINVAL) /* a tmpfs is its own page cache */
        job->fd = open(path, (resources[resource].flags & ~O_DIRECT) | O_CLOEXEC);
    if (job->fd < 0 || fstat(job->fd, &status) < 0) {
        fprintf(stderr, "guest_io: %s: %s\n", path, strerror(errno));
        return false;
    }
    job->size = (uint64_t)status.st_size;
    if (S_ISBLK(status.st_mode) && ioctl(job->fd, BLKGETSIZE64, &job->size) < 0)
        job->size = 0;
    if (!resources[resource].path && job->size < SMALL) {
        fprintf(stderr, "guest_io: %s is smaller than one request\n", path);
        return false;
    }
    return true;
}

static bool run(const char *word, struct job *job)
{
    const char *equals = strchr(word, '=');
    const struct workload *workload = NULL;

    if (equals)
        workload = find(word, (size_t)(equals - word), &job->requesters);
    if (!workload) {
        fprintf(stderr, "guest_io: no workload '%s'\n", word);
        return false;
    }
    job->count = strtoull(equals + 1, NULL, 10);
    if (!open_resource(job, workload->resource))
        return false;
    const uint64_t began = now();
    const struct result result = workload->run(job);
    const uint64_t elapsed = now() - began;

    printf("{\"workload\": \"%.*s\", \"requests\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"elapsed_ns\": %" PRIu64 ", \"errors\": %" PRIu64 "}\n",
           (int)(equals - word), word, job->count, result.bytes, elapsed, result.errors);
    fflush(stdout);
    (void)tcdrain(STDOUT_FILENO); /* what is still being printed would be part of the next one */
    if (job->fd >= 0)
        close(job->fd);
    return result.errors == 0;
}

int main(int count, char **arguments)
{
    struct job job = {.disk = "/dev/vda"};
    bool good = true;

    for (int i = 1; i < count; i++) {
        if (strncmp(arguments[i], "disk=", 5) == 0)
            job.disk = arguments[i] + 5;
        else if (strncmp(arguments[i], "output=", 7) == 0)
            good = freopen(arguments[i] + 7, "we", stdout) && good;
        else
            good = run(arguments[i], &job) && good;
    }
    return good ? 0 : 1;
}
