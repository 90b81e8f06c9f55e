// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The coordinator before its lock-down: everything that allocates, maps or creates.
#pragma once

#include "main/coordinator.h"

// Receives Configure and builds the machine. 0 or a negative errno (already logged).
int coordinator_setup(struct coordinator *coordinator);

// Installs the seccomp program in `filter_fd` (closed) for the calling thread. 0 or a negative
// errno.
int coordinator_lock_down(int filter_fd);
