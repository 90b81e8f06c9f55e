// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A kernel or initrd file as the loader sees it: a size, and positioned reads. Its bytes come from
// the user, who may have them from anywhere: nothing in them is believed. The read function is a
// seam, so that tests and fuzzing give bytes without a file.
#pragma once

#include "main/boot/boot_failure.h"
#include "memory/guest_access.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct boot_image {
    const char *name; // "kernel" or "initrd": begins the user's messages
    uint64_t size;    // bytes
    // Reads at `offset` into the pieces: bytes read (may be fewer than asked for), 0 at the end, or
    // a negative errno.
    ssize_t (*read)(const void *context, const struct iovec *pieces, int count, uint64_t offset);
    // The same into guest memory's file, at `memory_offset`, without passing through this process.
    // -EOPNOTSUPP: read instead. NULL: always read.
    ssize_t (*transfer)(const void *context, uint64_t offset, uint64_t memory_offset,
                        uint64_t length);
    const void *context;
};

// Descriptors of an image that is a file; they stay the caller's.
struct boot_file {
    int fd;
    int memory_fd; // guest memory's, or -1; its file position is not kept
};

// An image over `file`, which must outlive it. Before lock-down: asks for the file's size. 0, or a
// negative errno with its line in *failure (not a regular file, for example).
int boot_image_of_file(struct boot_image *image, const char *name, const struct boot_file *file,
                       struct boot_failure *failure);

// Reads exactly `length` bytes at `offset`. 0, or a negative errno with its line in *failure.
int boot_image_read(const struct boot_image *image, uint64_t offset, void *to, size_t length,
                    struct boot_failure *failure);

// Puts exactly `length` bytes at `offset` straight into guest memory at `to`, without a copy of its
// own. 0; -EFAULT when the target is not memory; or another negative errno. *failure has the
// line.
int boot_image_load(const struct boot_image *image, uint64_t offset,
                    const struct guest_memory *memory, guest_addr to, uint64_t length,
                    struct boot_failure *failure);
