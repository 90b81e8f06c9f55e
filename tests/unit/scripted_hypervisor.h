// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A hypervisor for tests: keeps what it is told (doorbells, interrupts, message routes), refuses
// what KVM would refuse, and delivers signals of connected eventfds when the test looks. It runs no
// code.
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

struct scripted_interrupt {
    int event_fd;
    unsigned gsi;
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
