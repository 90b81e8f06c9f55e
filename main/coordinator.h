// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The coordinator's state: one static object of its main function. `lock` is the machine's lock: it
// guards the board, the functions and `events`; vCPU threads take it for each register access, the
// main thread for each message.
#pragma once

#include "ipc/channel.h"
#include "ipc/event_loop.h"
#include "main/machine/board.h"
#include "main/supervisor.h"
#include "vcpu/vcpu.h"

#include <pthread.h>

enum coordinator_state {
    COORDINATOR_STARTING,  // devices and the loader are at work, vCPUs stand still
    COORDINATOR_RUNNING,   // the guest runs
    COORDINATOR_RESETTING, // vCPUs, then devices come to rest
    COORDINATOR_ENDED,     // the warden was told
};

// In `events`, beside the bits of enum machine_event.
#define COORDINATOR_VCPU_FAILED (1u << 31)

struct coordinator {
    struct channel warden;
    struct event_loop loop;
    pthread_mutex_t lock;
    enum coordinator_state state;
    bool exit_on_reset;
    bool ready;               // the warden was told that all threads are locked down
    bool booted;              // the loader has filled memory: `boot` says where to begin
    bool devices_reset;       // of COORDINATOR_RESETTING: devices were told
    long long reset_deadline; // of COORDINATOR_RESETTING: CLOCK_MONOTONIC, seconds
    struct boot_state boot;
    int wake_fd;   // eventfd: a vCPU thread left word
    int parked_fd; // eventfd: all vCPUs stand still
    int serial_fd; // eventfd of the serial process, or -1
    int filter_fd; // seccomp program of the main thread
    unsigned events;
    char vcpu_failure[96];
    struct hypervisor *hypervisor;
    struct vcpus *vcpus;
    struct board board;
    struct supervisor supervisor;
};

// From any thread: makes the main thread look at `events` and at broken devices.
void coordinator_wake(struct coordinator *coordinator);

extern const struct supervisor_host coordinator_supervisor_host;
