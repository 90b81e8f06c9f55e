// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the steps of boot_load hand to each other, and the table of kernel formats. A new format is
// one file and one row in boot.c.
#pragma once

#include "main/boot/boot.h"
#include "main/boot/boot_map.h"

#include <stddef.h>

// Enough of the file's beginning to tell its format: holds the setup header of a bzImage.
#define BOOT_HEAD_SIZE 4096u

struct boot {
    const struct boot_request *request;
    struct boot_failure *failure;
    struct boot_map map;
    uint8_t head[BOOT_HEAD_SIZE];
    size_t head_length;

    // From the format's load().
    uint64_t entry;
    uint64_t kernel_end;   // first address above all that the kernel needs at its start
    uint64_t initrd_limit; // the initrd must end at or below this
    uint64_t cmdline_max;  // bytes without the NUL

    // From the step for the initrd; both 0 when there is none.
    uint64_t initrd_start;
    uint64_t initrd_size;

    uint64_t rsdp;
};

struct boot_format {
    enum boot_protocol protocol;
    // Whether the file's beginning is of this format.
    bool (*recognise)(const uint8_t *head, size_t length);
    // Checks the kernel and puts it into guest memory.
    int (*load)(struct boot *boot);
    // Writes the protocol's data once everything has its place, and completes *state.
    int (*describe)(const struct boot *boot, struct boot_state *state);
};

extern const struct boot_format bzimage_format;
extern const struct boot_format elf_format;

// Fails with the line for a kernel that needs memory up to `end`.
int boot_kernel_too_large(const struct boot *boot, uint64_t end);

// Writes boot data at one of the places of boot_layout.h.
int boot_write(const struct boot *boot, uint64_t address, const void *bytes, size_t length);
