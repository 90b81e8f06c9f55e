// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Why a kernel or an initrd cannot be booted: one line for the user, with cause and remedy, made at
// the place that knows the cause (warden.LoadFailed.reason).
#pragma once

struct boot_failure {
    char text[256];
};

// Writes the line and returns `error` (a negative errno), so that one can `return boot_fail(…)`.
int boot_fail(struct boot_failure *failure, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
