// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The parts of an ELF vmlinux that loading it takes: header, segments, and the note with its PVH
// entry. Pure parsers: bytes in, numbers out.
#pragma once

#include "main/boot/boot_failure.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX 64u

bool elf_recognise(const uint8_t *head, size_t length);

// Checks the header of a file of `file_size` bytes: 64-bit, little-endian, x86-64, a program with
// 1..ELF_SEGMENTS_MAX program headers that lie inside the file. 0, or -ENOEXEC or -ENODATA with its
// line in *failure.
int elf_parse_header(const uint8_t *head, size_t length, uint64_t file_size, Elf64_Ehdr *header,
                     struct boot_failure *failure);

// Checks the loadable ones of `count` program headers: data inside the file, memory not smaller
// than the data, from 1 MiB on, below 4 GiB, disjoint. *end is the first address above all of them.
int elf_check_segments(const Elf64_Phdr *segments, unsigned count, uint64_t file_size,
                       uint64_t *end, struct boot_failure *failure);

// Looks for Xen's PHYS32_ENTRY among the notes in (bytes, length); notes are padded to `alignment`
// (8, else 4 is meant). Damaged notes end the search. Whether there is one.
bool elf_find_pvh_entry(const uint8_t *bytes, size_t length, uint64_t alignment, uint32_t *entry);
