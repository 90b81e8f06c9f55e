// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Layouts of the PVH boot protocol (Xen's public/arch-x86/hvm/start_info.h, version 1).
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define PVH_START_MAGIC 0x336ec578u
#define PVH_START_VERSION 1u

struct pvh_start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules; // guest-physical, of struct pvh_module
    uint64_t cmdline;
    uint64_t rsdp;
    uint64_t memory_map; // of struct pvh_memory_map_entry
    uint32_t memory_map_entries;
    uint32_t reserved;
};

struct pvh_module {
    uint64_t address;
    uint64_t size;
    uint64_t cmdline; // 0: none
    uint64_t reserved;
};

struct pvh_memory_map_entry {
    uint64_t address;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};

static_assert(offsetof(struct pvh_start_info, modules) == 16, "start_info.h");
static_assert(offsetof(struct pvh_start_info, memory_map) == 40, "start_info.h");
static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h");
static_assert(sizeof(struct pvh_module) == 32, "start_info.h");
static_assert(sizeof(struct pvh_memory_map_entry) == 24, "start_info.h");
