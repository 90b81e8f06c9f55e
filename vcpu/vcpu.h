// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The threads of the vCPUs, and the orders that drive them. The coordinator's main thread gives an
// order and goes on: none of these calls waits for a vCPU. When all vCPUs stand still, the last one
// signals `parked_fd`, which the main thread's event loop watches.
//
//             vcpus_create            vcpus_start, vcpus_resume
//   (nothing) ------------> parking -> PARKED ------------------> RUNNING
//                              ^                                     |
//                              +-------------------------------------+
//                                            vcpus_park
//
// A vCPU that can't go on (triple fault, refused by the hypervisor) reports it and stands still
// until it is parked like the others. The main thread is the only one that gives orders.
#pragma once

#include "main/machine/bus.h"
#include "main/machine/machine.h"
#include "vcpu/hypervisor.h"

#include <pthread.h>
#include <stdbool.h>

struct vcpus; // one per process, static

struct vcpus_setup {
    struct hypervisor *hypervisor;
    unsigned count;                  // 1..VCPUS_MAX
    struct bus *bus;                 // answers accesses, under `lock`
    pthread_mutex_t *lock;           // the machine's lock
    const struct machine_host *host; // told of MACHINE_EVENT_RESET (triple fault), under `lock`
    int parked_fd;                   // eventfd, not owned: signalled when all vCPUs stand still
    int filter_fd;                   // seccomp program for these threads, not owned
    // Installs `filter_fd` in the calling thread (jail_lockdown_filter); NULL: threads stay without
    // a filter (tests).
    int (*lock_down)(int filter_fd);
    // A vCPU can't go on, `detail` says why. Called on the vCPU's thread without the lock; must
    // only note it and wake the main thread.
    void (*failed)(void *context, unsigned index, const char *detail);
    void *failed_context;
};

// Creates the vCPUs and their threads, which lock themselves down and park: `parked_fd` tells when
// they have. Before the main thread's own lock-down. 0 or a negative errno (already logged).
int vcpus_create(const struct vcpus_setup *setup, struct vcpus **out);

// Runs from power-on: puts the interrupt controllers and all vCPUs into their power-on state, the
// first vCPU into that of `boot` (copied), and lets them go; no vCPU enters the guest before all
// are reset. -EBUSY while they are not parked, or a negative errno of hypervisor_reset.
int vcpus_start(struct vcpus *vcpus, const struct boot_state *boot);

// Runs on from where they were parked. -EBUSY while they are not parked.
int vcpus_resume(struct vcpus *vcpus);

// Asks all vCPUs to stand still. `parked_fd` tells when they do. No effect when they do already or
// were asked already.
void vcpus_park(struct vcpus *vcpus);

// Whether all vCPUs stand still.
bool vcpus_parked(const struct vcpus *vcpus);

// Ends and joins the threads; they must be parked. For tests: a coordinator ends with its process.
void vcpus_destroy(struct vcpus *vcpus);
