// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the warden's files share: the resources of one VM, its processes, its state. One object on
// the stack of warden_run. The warden may open paths and start processes; it reads no byte of the
// guest.
#pragma once

#include "ipc/channel.h"
#include "ipc/event_loop.h"
#include "jail/jail.h"
#include "main/config/config.h"
#include "main/process_log.h"
#include "memory/guest_memory.h"
#include "proto/device.pb.h"
#include "proto/warden.pb.h"

#include <stdbool.h>
#include <termios.h>

#define WARDEN_DEVICES_MAX 30
#define WARDEN_BACKENDS_MAX 32
// Coordinator, loader, devices.
#define WARDEN_PROCESSES_MAX (WARDEN_DEVICES_MAX + 2)

// One descriptor that a device gets, and what it is for (device.DescriptorRole).
struct warden_backend {
    int fd; // owned
    uint32_t role;
};

struct warden_device {
    char id[VM_ID_SIZE];
    uint16_t kind;
    uint32_t queue_count;
    const char *kind_name;
    unsigned backend_count;
    struct warden_backend backends[WARDEN_BACKENDS_MAX];
    warden_DeviceSpawned_config_t config; // encoded, as DeviceSpawned takes it
    int filter_fd;                        // memfd: its compiled policy
    unsigned tasks;                       // threads that it may have
    bool io_uring;
    bool end_told;      // the user has been told how its process ended
    uint64_t file_size; // bytes: how long a file may be that it writes to (RLIMIT_FSIZE)
};

struct warden;

// A process that the warden started and must reap.
struct warden_process {
    struct warden *warden;
    char id[VM_ID_SIZE];
    const char *executable; // name below libexec
    int device;             // index, or -1
    struct jail_spec spec;  // its executable_fd is owned
    struct jail_descriptor descriptors[4];
    struct jailed jailed; // pid 0: none
    bool verified;
    bool finished;           // has done all it was started for: how it ends says nothing
    bool silent;             // closed its channel, which none does that is to go on
    struct jail_facts facts; // once verified
    char failure[160];       // why the coordinator gave it up, empty: it did not
    int pidfd_source;
    struct process_log log;
};

struct warden {
    const struct vm_config *config;
    struct event_loop loop;
    int libexec_fd;
    int null_fd;
    int kvm_fd;
    int kernel_fd;
    int initrd_fd; // -1: none
    int memory_fd;
    int coordinator_filter_fd;
    int vcpu_filter_fd;
    int loader_filter_fd;
    int signal_fd;
    uint32_t allow_missing;
    uint32_t missing_told; // stages whose lack was said
    unsigned region_count;
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned device_count;
    struct warden_device devices[WARDEN_DEVICES_MAX];
    unsigned process_count;
    struct warden_process processes[WARDEN_PROCESSES_MAX];
    struct channel coordinator;
    int coordinator_source;
    struct channel loader; // fd -1: none runs
    int loader_source;
    bool terminal_raw; // `terminal` is to be put back
    struct termios terminal;
    bool stdio_taken;
    unsigned signals;          // SIGTERM so far
    struct log_limit failures; // lines about devices that failed
    bool running;              // the guest has begun
    bool ended;
    int status; // exit status, once ended
};

// --- warden_open.c: before anything is started. Each prints one line with cause and remedy. ---

// Opens everything that the configuration names. 0 or a negative errno.
int warden_open(struct warden *warden);
void warden_close(struct warden *warden);

// --- warden_streams.c: terminals, pseudo-terminals and files of serial port and console ---

struct warden_stream {
    int input_fd;  // owned, -1: none
    int output_fd; // owned, -1: none
    bool escape;   // the input is the user's terminal
};

int warden_stream_open(struct warden *warden, const struct vm_stream *stream, const char *what,
                       struct warden_stream *out);
// The size of the user's terminal, if it has one.
void warden_terminal_size(device_ConsoleConfig *console);
void warden_terminal_restore(struct warden *warden);

// --- warden_policy.c ---

// The compiled policy of process `id` as a sealed memfd (owned by the caller), or a negative errno.
int warden_policy_compile(const struct vm_config *config, const char *id, const char *name);

// --- warden_process.c: start, verify, reap ---

// Starts libexec/`executable` in its jail, with `channel` as descriptor 3 (stays the caller's). The
// process, or NULL.
struct warden_process *warden_process_start(struct warden *warden, const char *id,
                                            const char *executable, int device, int channel);
// Verifies a jail (rule 9). 0, or -EPERM (already logged).
int warden_process_verify(struct warden_process *process);
struct warden_process *warden_process_of_device(struct warden *warden, unsigned index);
// Kills and reaps all processes.
void warden_process_end_all(struct warden *warden);

// --- warden_life.c: what happens while the VM runs ---

// Starts the loader: its Boot goes to the coordinator. 0 or a negative errno.
int warden_load(struct warden *warden);
int warden_watch_coordinator(struct warden *warden);
// A process has ended; called by warden_process.c after reaping it.
void warden_process_ended(struct warden_process *process, int wait_status);
// Ends the VM with this exit status; the first word stands.
void warden_end(struct warden *warden, int status);
void warden_signal(struct warden *warden, int signal);
