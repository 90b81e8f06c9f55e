// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The setup header of a bzImage, checked. A pure parser: bytes in, numbers out.
#pragma once

#include "main/boot/boot_failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bzimage {
    uint64_t offset;       // of the protected-mode part, in the file
    uint64_t length;       // of it; offset + length is inside the file
    uint64_t load_address; // guest-physical, from 1 MiB on, aligned as the kernel asks
    uint64_t memory_size;  // from load_address on, what the kernel needs at its start; >= length
    uint64_t initrd_limit; // the initrd ends at or below
    uint32_t cmdline_max;  // bytes without the NUL
};

bool bzimage_recognise(const uint8_t *head, size_t length);

// Checks a recognised image of `file_size` bytes whose beginning is (head, length). load_address +
// memory_size does not wrap. 0, or -ENOEXEC or -ENODATA with its line in *failure.
int bzimage_parse(const uint8_t *head, size_t length, uint64_t file_size, struct bzimage *image,
                  struct boot_failure *failure);
