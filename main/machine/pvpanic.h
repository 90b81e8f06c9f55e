// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The paravirtual panic port: a guest kernel that panics writes bit 0 there. One register (rule 1).
// Source: QEMU's docs/specs/pvpanic. Bit 1 (crash image loaded) is ignored and not offered.
#pragma once

#include "main/machine/machine.h"

struct pvpanic {
    const struct machine_host *host;
};

void pvpanic_init(struct pvpanic *pvpanic, const struct machine_host *host);
// Adds its port to the bus. 0 or a negative errno.
int pvpanic_attach(struct pvpanic *pvpanic, struct bus *bus);
