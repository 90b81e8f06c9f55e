// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A hypervisor for tests: keeps what it is told (doorbells, interrupts, message routes), refuses
// what KVM would refuse, and delivers signals of connected eventfds when the test looks. It runs no
// code: a vCPU plays the exits that the test wrote, then runs until it is kicked.
#pragma once

#include "vcpu/hypervisor.h"

#define SCRIPTED_DOORBELLS_MAX 512
#define SCRIPTED_INTERRUPTS_MAX 1024

struct scripted_doorbell {
    enum exit_space space;
    uint64_t address;
    unsigned length;
    int event_fd;
};

// As with KVM, a signal from before the connection raises the interrupt but stays in the eventfd
// until the next one comes.
struct scripted_interrupt {
    int event_fd;
    unsigned gsi;
    uint64_t stale;
};

struct scripted_message {
    uint64_t address;
    uint32_t data;
};

struct hypervisor {
    unsigned doorbell_count;
    struct scripted_doorbell doorbells[SCRIPTED_DOORBELLS_MAX];
    unsigned interrupt_count;
    struct scripted_interrupt interrupts[SCRIPTED_INTERRUPTS_MAX];
    struct scripted_message staged[HYPERVISOR_GSI_MAX];
    struct scripted_message routed[HYPERVISOR_GSI_MAX];
    unsigned raised[HYPERVISOR_GSI_MAX];
    bool lines[HYPERVISOR_GSI_MSI_FIRST];
    unsigned commits;
    struct scripted_vcpu {
        const struct vcpu_exit *exits; // played once, from the first
        unsigned count;
        _Atomic unsigned played;
        _Atomic unsigned resets;
        _Atomic unsigned resumes;
        int fail_reset; // returned by vcpu_reset when not 0
    } vcpus[VCPUS_MAX];
    unsigned calls; // doorbell, interrupt and commit calls: what costs a system call
    unsigned resets;
    int fail_doorbell; // returned by the next calls when not 0
    int fail_interrupt;
    int fail_commit;
};

// The one instance, emptied.
struct hypervisor *scripted_hypervisor(void);
// How often `gsi` was raised so far, signals that still wait in connected eventfds included.
unsigned scripted_raised(struct hypervisor *hypervisor, unsigned gsi);
// The doorbell that a write of this width rings, or NULL when the write would exit.
const struct scripted_doorbell *scripted_doorbell_find(const struct hypervisor *hypervisor,
                                                       enum exit_space space, uint64_t address,
                                                       unsigned length);
// What a guest's write does: rings the doorbell there, or returns false for an exit.
bool scripted_store(const struct hypervisor *hypervisor, enum exit_space space, uint64_t address,
                    unsigned length);
// The gsi to which the eventfd is connected, or -1.
int scripted_connected(const struct hypervisor *hypervisor, int event_fd);
