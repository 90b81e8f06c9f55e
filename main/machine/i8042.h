// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The keyboard controller, of which nothing is there but the line that resets the machine: command
// 0xfe (pulse output line 0). Its status says that it is idle. Registers only (rule 1).
#pragma once

#include "main/machine/machine.h"

struct i8042 {
    const struct machine_host *host;
};

void i8042_init(struct i8042 *i8042, const struct machine_host *host);
// Adds its ports to the bus. 0 or a negative errno.
int i8042_attach(struct i8042 *i8042, struct bus *bus);
