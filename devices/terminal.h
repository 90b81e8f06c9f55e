// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Escape keys of a user's terminal, for the devices that hold one (console, serial). The bytes come
// from the user, not from the guest.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TERMINAL_ESCAPE 0x01 // Ctrl-A

struct terminal_escape {
    bool enabled;
    bool pending; // Ctrl-A was typed last
};

// Takes escape sequences out of `bytes` in place: Ctrl-A x ends the VM (*quit), Ctrl-A Ctrl-A is
// one Ctrl-A, Ctrl-A and any other key is that key. Number of bytes that are left for the guest.
size_t terminal_filter(struct terminal_escape *escape, uint8_t *bytes, size_t length, bool *quit);
