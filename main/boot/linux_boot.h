// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Layouts of the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst, "Details of Header
// Fields"; zero-page.rst for struct linux_boot_params).
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define LINUX_SETUP_HEADER 0x1f1u // offset in the file and in the zero page
#define LINUX_BOOT_FLAG 0xaa55u
#define LINUX_HEADER_MAGIC 0x53726448u // "HdrS"
#define LINUX_PROTOCOL_2_12 0x020cu    // the first with xloadflags
#define LINUX_XLF_KERNEL_64 (1u << 0)  // has the 64-bit entry
#define LINUX_XLF_ABOVE_4G (1u << 1)   // initrd may lie above initrd_addr_max
#define LINUX_LOADED_HIGH (1u << 0)    // loadflags: bzImage, not zImage
#define LINUX_LOADER_UNDEFINED 0xffu   // type_of_loader without an assigned number
#define LINUX_ENTRY_64 0x200u          // from the start of the protected-mode part
#define LINUX_SECTOR 512u
#define LINUX_SETUP_SECTORS_DEFAULT 4u // when the field is 0
#define LINUX_E820_ENTRIES 128u

struct linux_setup_header {
    uint8_t setup_sects;
    uint16_t root_flags;
    uint32_t syssize; // 16-byte units
    uint16_t ram_size;
    uint16_t vid_mode;
    uint16_t root_dev;
    uint16_t boot_flag;
    uint8_t jump_opcode;
    uint8_t jump_distance; // the header ends this far behind `header`
    uint32_t header;
    uint16_t version;
    uint32_t realmode_swtch;
    uint16_t start_sys_seg;
    uint16_t kernel_version;
    uint8_t type_of_loader;
    uint8_t loadflags;
    uint16_t setup_move_size;
    uint32_t code32_start;
    uint32_t ramdisk_image;
    uint32_t ramdisk_size;
    uint32_t bootsect_kludge;
    uint16_t heap_end_ptr;
    uint8_t ext_loader_ver;
    uint8_t ext_loader_type;
    uint32_t cmd_line_ptr;
    uint32_t initrd_addr_max; // the highest address that the initrd may occupy
    uint32_t kernel_alignment;
    uint8_t relocatable_kernel;
    uint8_t min_alignment;
    uint16_t xloadflags;
    uint32_t cmdline_size; // without the NUL
    uint32_t hardware_subarch;
    uint64_t hardware_subarch_data;
    uint32_t payload_offset; // from the start of the protected-mode part
    uint32_t payload_length;
    uint64_t setup_data;
    uint64_t pref_address;
    uint32_t init_size;
    uint32_t handover_offset;
    uint32_t kernel_info_offset;
} __attribute__((packed));

static_assert(LINUX_SETUP_HEADER + offsetof(struct linux_setup_header, boot_flag) == 0x1fe,
              "boot.rst");
static_assert(LINUX_SETUP_HEADER + offsetof(struct linux_setup_header, header) == 0x202,
              "boot.rst");
static_assert(LINUX_SETUP_HEADER + offsetof(struct linux_setup_header, cmd_line_ptr) == 0x228,
              "boot.rst");
static_assert(LINUX_SETUP_HEADER + offsetof(struct linux_setup_header, xloadflags) == 0x236,
              "boot.rst");
static_assert(LINUX_SETUP_HEADER + offsetof(struct linux_setup_header, pref_address) == 0x258,
              "boot.rst");
static_assert(LINUX_SETUP_HEADER + sizeof(struct linux_setup_header) == 0x26c, "boot.rst");

struct linux_e820_entry {
    uint64_t address;
    uint64_t size;
    uint32_t type;
} __attribute__((packed));

// The zero page; what we never set is left out.
struct linux_boot_params {
    uint8_t screen_info_to_apm[0x070];
    uint64_t acpi_rsdp_addr;
    uint8_t disks_and_olpc[0x1e8 - 0x078];
    uint8_t e820_entries;
    uint8_t edd_and_sentinel[LINUX_SETUP_HEADER - 0x1e9];
    struct linux_setup_header header;
    uint8_t edd_signatures[0x2d0 - 0x26c];
    struct linux_e820_entry e820_table[LINUX_E820_ENTRIES];
    uint8_t rest[0x1000 - 0xcd0];
} __attribute__((packed));

static_assert(offsetof(struct linux_boot_params, acpi_rsdp_addr) == 0x070, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, e820_entries) == 0x1e8, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, header) == 0x1f1, "zero-page.rst");
static_assert(offsetof(struct linux_boot_params, e820_table) == 0x2d0, "zero-page.rst");
static_assert(sizeof(struct linux_boot_params) == 4096, "zero-page.rst");
