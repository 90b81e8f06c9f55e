// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The PVH boot protocol: loads a checked ELF vmlinux and writes the start-of-day structure that its
// 32-bit entry expects.
#include "main/boot/pvh.h"

#include "main/boot/boot_kernel.h"
#include "main/boot/boot_layout.h"
#include "main/boot/elf_kernel.h"

#include <errno.h>

#define NOTES_MAX 16384u      // bytes of one note segment that are looked at
#define PVH_CMDLINE_MAX 2047u // x86 Linux; the protocol itself has no limit

// One page at BOOT_PVH_INFO.
struct pvh_page {
    struct pvh_start_info info;
    struct pvh_module initrd;
    struct pvh_memory_map_entry map[BOOT_MAP_ENTRIES_MAX];
};

static_assert(sizeof(struct pvh_page) <= 4096, "one page");

static int find_entry(struct boot *boot, const Elf64_Phdr *segments, unsigned count)
{
    const struct boot_image *kernel = boot->request->kernel;
    uint8_t notes[NOTES_MAX];
    uint32_t entry;

    for (unsigned i = 0; i < count; i++) {
        const Elf64_Phdr *segment = &segments[i];
        size_t length = segment->p_filesz < NOTES_MAX ? segment->p_filesz : NOTES_MAX;
        int error;

        if (segment->p_type != PT_NOTE)
            continue;
        error = boot_image_read(kernel, segment->p_offset, notes, length, boot->failure);
        if (error < 0)
            return error;
        if (elf_find_pvh_entry(notes, length, segment->p_align, &entry)) {
            boot->entry = entry;
            return 0;
        }
    }
    return boot_fail(
        boot->failure, -ENOEXEC,
        "kernel is an ELF file without a PVH entry; build it with CONFIG_PVH=y, or give "
        "its bzImage");
}

static bool entry_is_loaded(const struct boot *boot, const Elf64_Phdr *segments, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (segments[i].p_type == PT_LOAD && boot->entry >= segments[i].p_paddr &&
            boot->entry - segments[i].p_paddr < segments[i].p_filesz)
            return true;
    return false;
}

static int load_segments(const struct boot *boot, const Elf64_Phdr *segments, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const Elf64_Phdr *segment = &segments[i];
        int error;

        if (segment->p_type != PT_LOAD || segment->p_filesz == 0)
            continue;
        error = boot_image_load(boot->request->kernel, segment->p_offset, boot->request->memory,
                                guest_address(segment->p_paddr), segment->p_filesz, boot->failure);
        if (error < 0)
            return error;
    }
    return 0;
}

static int load(struct boot *boot)
{
    const struct boot_image *kernel = boot->request->kernel;
    Elf64_Phdr segments[ELF_SEGMENTS_MAX];
    Elf64_Ehdr header;
    unsigned count;
    int error =
        elf_parse_header(boot->head, boot->head_length, kernel->size, &header, boot->failure);

    if (error < 0)
        return error;
    count = header.e_phnum;
    error = boot_image_read(kernel, header.e_phoff, segments, count * sizeof(segments[0]),
                            boot->failure);
    if (error == 0)
        error = elf_check_segments(segments, count, kernel->size, &boot->kernel_end, boot->failure);
    if (error == 0)
        error = find_entry(boot, segments, count);
    if (error < 0)
        return error;
    if (!entry_is_loaded(boot, segments, count))
        return boot_fail(
            boot->failure, -ENOEXEC,
            "kernel is damaged: its PVH entry lies outside what is loaded; copy it again");
    if (boot->kernel_end > boot->map.low_end)
        return boot_kernel_too_large(boot, boot->kernel_end);
    boot->initrd_limit = UINT64_C(1) << 32;
    boot->cmdline_max = PVH_CMDLINE_MAX;
    return load_segments(boot, segments, count);
}

static int describe(const struct boot *boot, struct boot_state *state)
{
    bool has_initrd = boot->initrd_size > 0;
    struct pvh_page page = {
        .info =
            {
                .magic = PVH_START_MAGIC,
                .version = PVH_START_VERSION,
                .module_count = has_initrd ? 1 : 0,
                .modules = has_initrd ? BOOT_PVH_INFO + offsetof(struct pvh_page, initrd) : 0,
                .cmdline = BOOT_CMDLINE,
                .rsdp = boot->rsdp,
                .memory_map = BOOT_PVH_INFO + offsetof(struct pvh_page, map),
                .memory_map_entries = boot->map.count,
            },
        .initrd = {.address = boot->initrd_start, .size = boot->initrd_size},
    };

    for (unsigned i = 0; i < boot->map.count; i++)
        page.map[i] = (struct pvh_memory_map_entry){
            .address = boot->map.entries[i].start,
            .size = boot->map.entries[i].size,
            .type = boot->map.entries[i].type,
        };
    state->argument = BOOT_PVH_INFO;
    return boot_write(boot, BOOT_PVH_INFO, &page, sizeof(page));
}

const struct boot_format elf_format = {
    .protocol = BOOT_PVH,
    .recognise = elf_recognise,
    .load = load,
    .describe = describe,
};
