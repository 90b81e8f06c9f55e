// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// From files to a machine that can start: kernel and initrd into guest memory, beside them the
// command line, the memory map, ACPI tables and what the kernel's boot protocol asks for. Runs in
// the loader, jailed, and believes nothing that it reads.
#pragma once

#include "main/boot/boot_failure.h"
#include "main/boot/boot_image.h"
#include "memory/guest_memory.h"
#include "vcpu/hypervisor.h"

#include <stdbool.h>

struct boot_request {
    const struct guest_memory *memory; // must read as zeros: a kernel's .bss is not written
    unsigned cpus;                     // 1..VCPUS_MAX; local APIC identifiers are 0..cpus-1
    bool has_serial;
    bool has_rtc;
    const char *cmdline;
    const struct boot_image *kernel; // bzImage, or ELF vmlinux with a PVH entry
    const struct boot_image *initrd; // NULL: none
};

// Fills guest memory and says in *state where the boot vCPU begins. The same request gives the same
// bytes. 0, or a negative errno with one line for the user in *failure; guest memory is then of no
// use.
int boot_load(const struct boot_request *request, struct boot_state *state,
              struct boot_failure *failure);
