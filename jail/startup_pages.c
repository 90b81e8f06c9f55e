// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// See startup_pages.h. Touches the process's own mappings only.
#include "jail/startup_pages.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define PAGE_MASK ((uintptr_t)4095)

// A fault maps the 64 KiB around it, as far as they are in one mapping. A device's loop uses a few
// functions of a large C library that lie far apart: windows of 16 KiB keep what comes back small.
// Neighbours with different advice are different mappings, which is all that the advice is for.
#define WINDOW ((uintptr_t)16384)

static void forget_range(uintptr_t start, uintptr_t end)
{
    for (uintptr_t at = start; at < end; at += WINDOW) {
        uintptr_t length = end - at < WINDOW ? end - at : WINDOW;

        madvise((void *)at, length, (at / WINDOW) % 2 != 0 ? MADV_RANDOM : MADV_NORMAL);
    }
    madvise((void *)start, end - start, MADV_DONTNEED);
}

static int forget_object(struct dl_phdr_info *info, size_t size, void *nothing)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = (info->dlpi_addr + segment->p_vaddr) & ~PAGE_MASK;
        uintptr_t end =
            (info->dlpi_addr + segment->p_vaddr + segment->p_memsz + PAGE_MASK) & ~PAGE_MASK;

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) == 0)
            forget_range(start, end);
    }
    return 0;
}

void jail_forget_startup_pages(void)
{
    dl_iterate_phdr(forget_object, NULL);
}
