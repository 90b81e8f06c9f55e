// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Messages of the `bulkhead` command to its user: one line on standard error, "bulkhead: cause;
// remedy".
#pragma once

// The usual printf conversions, without newline. Works while the terminal is raw.
void user_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
