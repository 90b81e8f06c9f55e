// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the registers ask of the rest of the coordinator, and the other way round. The machine's
// code decodes fixed-width accesses, keeps their state, and never looks into guest memory (rule 1).
// All of it runs under the machine's lock, on whichever thread had the access; nothing here blocks
// (rule 2).
#pragma once

#include "main/machine/bus.h"

#include <stdint.h>

enum machine_event {
    MACHINE_EVENT_POWER_OFF, // sleep control register, S5
    MACHINE_EVENT_RESET,     // reset register, i8042, 0xcf9, triple fault
    MACHINE_EVENT_PANIC,     // pvpanic
};

// The way out of the machine: implemented by coordinator.c, and by the tests.
struct machine_host {
    void *context;
    // The guest asked for it; called under the lock, must only note it and wake the main thread.
    void (*event)(void *context, enum machine_event event);
    struct hypervisor *hypervisor;
};
