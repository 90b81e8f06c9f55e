// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Where the loader puts what the guest's kernel finds at its start. Everything but the initrd and
// the kernel itself lies below 1 MiB, in places that the memory map keeps reserved or that a kernel
// may use again once it has read them.
#pragma once

#define BOOT_GDT 0x1000u         // four descriptors (64-bit Linux only)
#define BOOT_PVH_INFO 0x2000u    // hvm_start_info, its module and its memory map: one page
#define BOOT_PARAMS 0x7000u      // the "zero page" (64-bit Linux only)
#define BOOT_PAGE_TABLES 0x8000u // six pages: identity map of the first 4 GiB
#define BOOT_CMDLINE 0x10000u    // one page
#define BOOT_CMDLINE_ROOM 0x1000u

// What a PC keeps for its firmware, and kernels expect to be reserved.
#define BOOT_EBDA 0x9fc00u
#define BOOT_VGA 0xa0000u
#define BOOT_ACPI 0xe0000u // the RSDP is its first byte, so that a search finds it
#define BOOT_ACPI_ROOM 0x20000u
#define BOOT_RESET_VECTOR 0xffff0u // f000:fff0, where a PC's firmware begins
#define BOOT_HIGH_MEMORY 0x100000u // kernels are loaded from here on
