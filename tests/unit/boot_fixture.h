// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// For the tests of main/boot: kernels and initrds that are bytes in memory, guest memory of a given
// size, and what boot_load made of them.
#pragma once

#include "main/boot/boot.h"
#include "main/boot/boot_layout.h"
#include "main/machine/layout.h"
#include "memory/guest_access.h"

// cmocka.h wants these before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

// A file in memory. `read_max` > 0 bounds each read, as a slow file system might.
struct bytes_file {
    const uint8_t *bytes;
    size_t size;
    size_t read_max;
    int error; // returned by each read when not 0
};

static inline ssize_t bytes_file_read(const void *context, const struct iovec *pieces, int count,
                                      uint64_t offset)
{
    const struct bytes_file *file = context;
    size_t left = offset < file->size ? file->size - offset : 0;
    ssize_t done = 0;

    if (file->error != 0)
        return file->error;
    if (file->read_max > 0 && left > file->read_max)
        left = file->read_max;
    for (int i = 0; i < count && left > 0; i++) {
        size_t run = pieces[i].iov_len < left ? pieces[i].iov_len : left;

        memcpy(pieces[i].iov_base, file->bytes + offset + done, run);
        done += (ssize_t)run;
        left -= run;
    }
    return done;
}

static inline struct boot_image bytes_image(const char *name, const struct bytes_file *file)
{
    return (struct boot_image){
        .name = name, .size = file->size, .read = bytes_file_read, .context = file};
}

// Fresh guest memory that reads as zeros, and its file. Unmapped by guest_memory_unmap.
static inline struct guest_memory *fixture_memory_file(uint64_t size, int *memory_fd)
{
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned count = guest_memory_layout(size, MACHINE_HOLE_START, regions);
    struct guest_memory *memory = NULL;

    *memory_fd = guest_memory_create(size);
    assert_true(*memory_fd >= 0);
    assert_int_equal(guest_memory_map(*memory_fd, regions, count, &memory), 0);
    return memory;
}

static inline struct guest_memory *fixture_memory(uint64_t size)
{
    int fd;
    struct guest_memory *memory = fixture_memory_file(size, &fd);

    close(fd);
    return memory;
}

static inline void put(uint8_t *bytes, size_t offset, unsigned width, uint64_t value)
{
    memcpy(bytes + offset, &value, width);
}

// Bytes that tell their place.
static inline void fill_pattern(uint8_t *bytes, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static inline void assert_guest_bytes(const struct guest_memory *memory, uint64_t address,
                                      const uint8_t *bytes, size_t length)
{
    uint8_t *got = malloc(length);

    assert_non_null(got);
    assert_int_equal(guest_read(memory, guest_address(address), got, length), 0);
    assert_memory_equal(got, bytes, length);
    free(got);
}

// One damaged or unsuitable file: what is changed in a good one, and what the user must read.
struct refusal {
    const char *name;
    size_t offset;
    unsigned width;
    uint64_t value;
    int error;
    const char *text;
};

static inline void assert_refused(const char *name, int result, const struct boot_failure *failure,
                                  int error, const char *text)
{
    if (result != error || strstr(failure->text, text) == NULL ||
        strchr(failure->text, '\n') != NULL || strchr(failure->text, ';') == NULL)
        fail_msg("%s: got %d \"%s\", expected %d \"%s\" with a remedy", name, result, failure->text,
                 error, text);
}
