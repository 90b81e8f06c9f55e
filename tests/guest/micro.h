// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Micro guests: a few instructions that run on the real hypervisor with real vCPU threads, and say
// what they find through a port. A test writes the guest next to what it expects of it.
#pragma once

#include "main/machine/bus.h"
#include "main/machine/machine.h"
#include "memory/guest_access.h"
#include "vcpu/vcpu.h"

// The group first, as cmocka wants it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MICRO_MEMORY 0x400000u
#define MICRO_GDT 0x1000u
#define MICRO_TABLES 0x2000u      // page tables: identity map of the first 4 GiB
#define MICRO_REAL_CODE 0x8000u   // where a second vCPU starts (vector 8)
#define MICRO_CODE 0x100000u      // where the guest is, and begins
#define MICRO_ARGUMENT 0x1234560u // what the loader would pass
#define MICRO_REPORT 0x500        // port: the guest's reports, of any width
#define MICRO_READ_BYTES 0x510    // port: reads count up, byte by byte
#define MICRO_MMIO 0xd0000000u    // two pages that record accesses
#define MICRO_REPORTS_MAX 256u

// `guest` in assembly, for 64-bit or (bits = "32") 32-bit mode. Labels that are digits stay its
// own.
#define MICRO_GUEST(name, bits, guest)                                                             \
    extern const uint8_t name##_start[], name##_end[];                                             \
    __asm__(".pushsection .rodata\n.code" bits "\n"                                                \
            ".globl " #name "_start\n.globl " #name "_end\n" #name "_start:\n" guest "\n" #name    \
            "_end:\n.code64\n.popsection\n")

// Reports %eax; changes %edx.
#define REPORT "mov $0x500, %edx\n out %eax, %dx\n"
// The end of a guest that stays.
#define STOP "1: cli\n hlt\n jmp 1b\n"

struct micro {
    struct hypervisor *hypervisor;
    struct guest_memory *memory;
    struct vcpus *vcpus;
    struct bus bus;
    struct machine_host host;
    pthread_mutex_t lock;
    int parked_fd;
    unsigned events;       // bit for each enum machine_event; under the lock
    unsigned report_count; // under the lock
    unsigned failures;     // vCPUs that could not go on; under the lock
    uint32_t reports[MICRO_REPORTS_MAX];
    uint8_t next_byte;
    unsigned mmio_writes; // accesses, not bytes
    uint8_t mmio[8192];
    struct boot_state boot;
};

// A VM with `cpus` vCPUs that stand still.
void micro_create(struct micro *micro, unsigned cpus);
// Puts the guest at MICRO_CODE (or `at`).
void micro_load(struct micro *micro, uint64_t at, const uint8_t *start, const uint8_t *end);
#define micro_load_guest(micro, name) micro_load(micro, MICRO_CODE, name##_start, name##_end)
void micro_start(struct micro *micro, enum boot_protocol protocol);
// Waits until the guest has made `count` reports in all; fails the test after some seconds.
void micro_wait_reports(struct micro *micro, unsigned count);
// Waits until vCPUs have failed `count` times in all.
void micro_wait_failures(struct micro *micro, unsigned count);
// Waits until the machine was told of `event`, and forgets it.
void micro_wait_event(struct micro *micro, enum machine_event event);
// Waits until all vCPUs stand still.
void micro_wait_parked(struct micro *micro);
void micro_destroy(struct micro *micro);
