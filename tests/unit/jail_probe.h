// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the jail's tests and their prisoner say to each other, one packet each.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROBE_SOCKET = 3, PROBE_FILTER = 4 };

#define PROBE_READY "ready"

// What the prisoner should try to reach, and what its limits are.
struct probe_host {
    pid_t warden;
    uid_t uid;
    uint16_t tcp_port;      // something listens there, outside
    char abstract_name[16]; // and here
    bool landlock;          // the kernel has it
    uint64_t descriptors, tasks, address_space, file_size;
};

struct probe_result {
    char name[48];
    int error; // errno, or 0 for success
    int expected;
};
