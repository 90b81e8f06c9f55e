// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The 64-bit Linux boot protocol (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"): loads a
// checked bzImage and writes the zero page, descriptor table and page tables that its entry
// expects.
#include "main/boot/linux_boot.h"

#include "ipc/cleanup.h"
#include "main/boot/boot_kernel.h"
#include "main/boot/boot_layout.h"
#include "main/boot/bzimage.h"

#include <string.h>

#define PAGE_ENTRIES 512u
#define PAGE_TABLE_SIZE 4096u
#define PAGE_PRESENT_WRITE 0x3u
#define PAGE_LARGE 0x80u
#define IDENTITY_DIRECTORIES 4u // 1 GiB each

static int load(struct boot *boot)
{
    const struct boot_request *request = boot->request;
    struct bzimage image;
    int error =
        bzimage_parse(boot->head, boot->head_length, request->kernel->size, &image, boot->failure);

    if (error < 0)
        return error;
    boot->entry = image.load_address + LINUX_ENTRY_64;
    boot->kernel_end = image.load_address + image.memory_size;
    boot->initrd_limit = image.initrd_limit;
    boot->cmdline_max = image.cmdline_max;
    if (boot->kernel_end > boot->map.low_end)
        return boot_kernel_too_large(boot, boot->kernel_end);
    return boot_image_load(request->kernel, image.offset, request->memory,
                           guest_address(image.load_address), image.length, boot->failure);
}

// The setup header goes over as far as the kernel says that it reaches (boot.rst, "64-bit Boot
// Protocol") and as we know its fields; what is ours in it is then set.
static void copy_header(const struct boot *boot, struct linux_boot_params *params)
{
    struct linux_setup_header *to = &params->header;
    size_t known = sizeof(*to);
    size_t length =
        offsetof(struct linux_setup_header, header) +
        boot->head[LINUX_SETUP_HEADER + offsetof(struct linux_setup_header, jump_distance)];

    memcpy(to, boot->head + LINUX_SETUP_HEADER, length < known ? length : known);
    to->setup_data = 0;
    to->vid_mode = 0xffff; // "normal"
    to->type_of_loader = LINUX_LOADER_UNDEFINED;
    to->ext_loader_type = 0;
    to->ext_loader_ver = 0;
    to->code32_start = (uint32_t)(boot->entry - LINUX_ENTRY_64);
    to->cmd_line_ptr = BOOT_CMDLINE;
    to->ramdisk_image = (uint32_t)boot->initrd_start;
    to->ramdisk_size = (uint32_t)boot->initrd_size;
}

static int write_params(const struct boot *boot)
{
    struct linux_boot_params params = {0};

    static_assert(BOOT_MAP_ENTRIES_MAX <= LINUX_E820_ENTRIES, "every map has room");
    copy_header(boot, &params);
    params.acpi_rsdp_addr = boot->rsdp;
    params.e820_entries = (uint8_t)boot->map.count;
    for (unsigned i = 0; i < boot->map.count; i++)
        params.e820_table[i] = (struct linux_e820_entry){
            .address = boot->map.entries[i].start,
            .size = boot->map.entries[i].size,
            .type = boot->map.entries[i].type,
        };
    return boot_write(boot, BOOT_PARAMS, &params, sizeof(params));
}

// Flat 64-bit code at selector 0x10 (__BOOT_CS), flat data at 0x18 (__BOOT_DS).
static int write_gdt(const struct boot *boot)
{
    static const uint64_t gdt[4] = {0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff};

    return boot_write(boot, BOOT_GDT, gdt, sizeof(gdt));
}

// 2 MiB pages, which every 64-bit CPU has: one PML4, one page-directory-pointer table, four
// directories.
static int write_page_tables(const struct boot *boot)
{
    uint64_t tables[2 + IDENTITY_DIRECTORIES][PAGE_ENTRIES] = {0};

    tables[0][0] = (BOOT_PAGE_TABLES + PAGE_TABLE_SIZE) | PAGE_PRESENT_WRITE;
    for (unsigned i = 0; i < IDENTITY_DIRECTORIES; i++)
        tables[1][i] = (BOOT_PAGE_TABLES + (2 + i) * PAGE_TABLE_SIZE) | PAGE_PRESENT_WRITE;
    for (unsigned i = 0; i < IDENTITY_DIRECTORIES * PAGE_ENTRIES; i++)
        tables[2 + i / PAGE_ENTRIES][i % PAGE_ENTRIES] =
            ((uint64_t)i << 21) | PAGE_LARGE | PAGE_PRESENT_WRITE;
    static_assert(BOOT_PAGE_TABLES + sizeof(tables) <= BOOT_CMDLINE, "tables end below");
    return boot_write(boot, BOOT_PAGE_TABLES, tables, sizeof(tables));
}

static int describe(const struct boot *boot, struct boot_state *state)
{
    static int (*const steps[])(const struct boot *) = {write_params, write_gdt, write_page_tables};

    for (size_t i = 0; i < array_size(steps); i++) {
        int error = steps[i](boot);

        if (error < 0)
            return error;
    }
    state->argument = BOOT_PARAMS;
    state->page_tables = BOOT_PAGE_TABLES;
    state->gdt = BOOT_GDT;
    return 0;
}

const struct boot_format bzimage_format = {
    .protocol = BOOT_LINUX64,
    .recognise = bzimage_recognise,
    .load = load,
    .describe = describe,
};
