// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The narrow interface to the hypervisor: create the VM, map memory, create and run vCPUs until a
// neutral exit, connect eventfds, route interrupts. kvm.c implements it for real,
// tests/unit/scripted_hypervisor.c plays exits back; chosen at link time. Nothing outside vcpu/
// includes <linux/kvm.h>. Calls marked (vCPU) are for that vCPU's own thread.
#pragma once

#include "memory/guest_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VCPUS_MAX 16

struct hypervisor; // one per process, static
struct vcpu;       // one per vCPU, static

enum exit_space { EXIT_PIO, EXIT_MMIO };

enum exit_kind {
    EXIT_ACCESS,      // .access: answer it, then run again
    EXIT_INTERRUPTED, // a signal or vcpu_kick: look at the machine's state
    EXIT_HALTED,      // shutdown, triple fault: the guest asks for a reset
    EXIT_FAILED,      // .detail says what the hypervisor refused
};

struct exit_access {
    enum exit_space space;
    uint64_t address;
    uint8_t length; // bytes, 1, 2, 4 or 8
    bool write;
    uint8_t *data; // `length` bytes: to read from (write) or to fill (read)
};

struct vcpu_exit {
    enum exit_kind kind;
    struct exit_access access;
    char detail[96];
};

enum boot_protocol { BOOT_LINUX64, BOOT_PVH };

// Where the boot vCPU begins (warden.Boot).
struct boot_state {
    enum boot_protocol protocol;
    uint64_t entry;
    uint64_t argument;
    uint64_t page_tables;
    uint64_t gdt;
};

// Creates the VM on `kvm_fd` (owned from now on): in-kernel irqchip, checks the capabilities that
// we need and logs which is missing. 0 or a negative errno.
int hypervisor_create(int kvm_fd, struct hypervisor **out);
void hypervisor_destroy(struct hypervisor *hypervisor);
int hypervisor_map(struct hypervisor *hypervisor, const struct guest_memory *memory);

// Creates vCPU `index` of `total`, with CPUID, and remembers its power-on state. Called before
// lock-down.
int hypervisor_vcpu_create(struct hypervisor *hypervisor, unsigned index, unsigned total,
                           struct vcpu **out);

// (vCPU) Puts the vCPU into its power-on state; the boot vCPU (index 0) into the state of `boot`,
// others wait for SIPI.
int vcpu_reset(struct vcpu *vcpu, const struct boot_state *boot);
// (vCPU) Runs until an exit. Exits for accesses point into the vCPU's run page. 0, or a negative
// errno.
int vcpu_run(struct vcpu *vcpu, struct vcpu_exit *exit);
// (any thread) Makes vcpu_run return EXIT_INTERRUPTED soon, now or at its next call. `tid` is its
// thread.
void vcpu_kick(struct vcpu *vcpu, int tid);
// (vCPU) Forgets a kick.
void vcpu_unkick(struct vcpu *vcpu);
// (vCPU) After a pause: tells the guest's clock (KVM_KVMCLOCK_CTRL).
void vcpu_resumed(struct vcpu *vcpu);

// Puts the irqchip into its power-on state. All vCPUs stand still.
int hypervisor_reset(struct hypervisor *hypervisor);

// A write to [address, address + length) of `space` signals `event_fd` and does not exit. length 0:
// any width.
int hypervisor_doorbell_add(struct hypervisor *hypervisor, enum exit_space space, uint64_t address,
                            unsigned length, int event_fd);
int hypervisor_doorbell_remove(struct hypervisor *hypervisor, enum exit_space space,
                               uint64_t address, unsigned length, int event_fd);

// Interrupt lines 0..23 go to the IOAPIC; 24..HYPERVISOR_GSI_MAX-1 are message-signalled.
#define HYPERVISOR_GSI_MSI_FIRST 24
#define HYPERVISOR_GSI_MAX 1024

// Level of an IOAPIC line (serial: 4, GED: 5 ...).
int hypervisor_line(struct hypervisor *hypervisor, unsigned gsi, bool level);

// Message of a message-signalled gsi; takes effect with the next hypervisor_msi_commit.
void hypervisor_msi_set(struct hypervisor *hypervisor, unsigned gsi, uint64_t address,
                        uint32_t data);
int hypervisor_msi_commit(struct hypervisor *hypervisor);

// Each signal of `event_fd` raises `gsi`. One that was signalled before it is connected raises it
// at once.
int hypervisor_interrupt_connect(struct hypervisor *hypervisor, int event_fd, unsigned gsi);
int hypervisor_interrupt_disconnect(struct hypervisor *hypervisor, int event_fd, unsigned gsi);
