// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Parses the setup header of a bzImage. The bytes are the user's and may be hostile; nothing is
// touched but them.
#include "main/boot/bzimage.h"

#include "main/boot/boot_layout.h"
#include "main/boot/linux_boot.h"

#include <errno.h>
#include <string.h>

#define CMDLINE_MAX_DEFAULT 255u // boot.rst: when cmdline_size is 0

static int refuse(struct boot_failure *failure, const char *cause)
{
    return boot_fail(failure, -ENOEXEC, "kernel %s; give a 64-bit Linux kernel for x86", cause);
}

bool bzimage_recognise(const uint8_t *head, size_t length)
{
    struct linux_setup_header header;

    if (length < LINUX_SETUP_HEADER + sizeof(header))
        return false;
    memcpy(&header, head + LINUX_SETUP_HEADER, sizeof(header));
    return header.boot_flag == LINUX_BOOT_FLAG && header.header == LINUX_HEADER_MAGIC;
}

// The kernel's promises about itself that have nothing to do with sizes.
static int check_kind(const struct linux_setup_header *header, struct boot_failure *failure)
{
    if (header->version < LINUX_PROTOCOL_2_12)
        return boot_fail(
            failure, -ENOEXEC,
            "kernel speaks boot protocol %u.%02u, 2.12 or later is needed; give a Linux "
            "kernel from version 3.8 on",
            header->version >> 8, header->version & 0xffu);
    if ((header->xloadflags & LINUX_XLF_KERNEL_64) == 0)
        return refuse(failure, "has no 64-bit entry (a 32-bit kernel)");
    if ((header->loadflags & LINUX_LOADED_HIGH) == 0)
        return refuse(failure, "is a zImage, which loads below 1 MiB");
    return 0;
}

static int check_sizes(const struct linux_setup_header *header, uint64_t file_size,
                       struct bzimage *image, struct boot_failure *failure)
{
    uint64_t sectors = header->setup_sects != 0 ? header->setup_sects : LINUX_SETUP_SECTORS_DEFAULT;
    uint64_t promised;

    image->offset = (sectors + 1) * LINUX_SECTOR;
    image->length = (uint64_t)header->syssize * 16;
    promised = image->offset + image->length;
    if (file_size < promised)
        return boot_fail(
            failure, -ENODATA,
            "kernel is truncated: it has %llu bytes and its header promises %llu; copy it "
            "again",
            (unsigned long long)file_size, (unsigned long long)promised);
    if (image->length <= LINUX_ENTRY_64)
        return refuse(failure, "is damaged: it has no code");
    if ((uint64_t)header->payload_offset + header->payload_length > image->length)
        return refuse(failure, "is damaged: its payload lies outside it");
    image->memory_size = header->init_size > image->length ? header->init_size : image->length;
    return 0;
}

// The preferred address is where every kernel runs: a relocatable one that is loaded below moves
// itself there, one that is not has no other.
static int check_place(const struct linux_setup_header *header, struct bzimage *image,
                       struct boot_failure *failure)
{
    uint64_t alignment = header->kernel_alignment;

    image->load_address = header->pref_address;
    if ((alignment & (alignment - 1)) != 0 ||
        (alignment != 0 && image->load_address % alignment != 0))
        return refuse(failure, "is damaged: its load address is not aligned");
    // All that is loaded lies in the identity map of the first 4 GiB, so that sums cannot wrap.
    if (image->load_address < BOOT_HIGH_MEMORY || image->load_address > UINT32_MAX)
        return refuse(failure, "is damaged: its load address is impossible");
    return 0;
}

int bzimage_parse(const uint8_t *head, size_t length, uint64_t file_size, struct bzimage *image,
                  struct boot_failure *failure)
{
    struct linux_setup_header header;
    int error;

    if (length < LINUX_SETUP_HEADER + sizeof(header))
        return refuse(failure, "is damaged: it has no header");
    memcpy(&header, head + LINUX_SETUP_HEADER, sizeof(header));
    error = check_kind(&header, failure);
    if (error == 0)
        error = check_sizes(&header, file_size, image, failure);
    if (error == 0)
        error = check_place(&header, image, failure);
    if (error < 0)
        return error;
    image->cmdline_max = header.cmdline_size != 0 ? header.cmdline_size : CMDLINE_MAX_DEFAULT;
    image->initrd_limit = (header.xloadflags & LINUX_XLF_ABOVE_4G) != 0
                              ? UINT64_C(1) << 32
                              : (uint64_t)header.initrd_addr_max + 1;
    return 0;
}
