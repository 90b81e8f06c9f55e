// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// What the user asked for, checked and typed: one struct vm_config for the file and the options of
// `bulkhead run`. It is built before anything is opened or started, by pure checks: no kernel, disk
// or policy is looked at here, and no guest byte ever comes near.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VM_NAME_SIZE = 64,      // with its NUL; the name is also a file name (control socket)
    VM_ID_SIZE = 32,        // with its NUL; device.Attach.id
    VM_PATH_SIZE = 4096,    // PATH_MAX
    VM_CMDLINE_SIZE = 2048, // COMMAND_LINE_SIZE of x86 Linux, with its NUL
    VM_CPUS_MAX = 16,
    VM_DISKS_MAX = 16,
    VM_DISK_QUEUES_MAX = 16,
    VM_CONSOLES_MAX = 8,
    VM_POLICIES_MAX = 32,
    VM_STAGES_MAX = 16,
};

// Where a byte stream of the guest goes on the host.
enum vm_stream_mode {
    VM_STREAM_NULL,  // output is dropped, no input
    VM_STREAM_STDIO, // the terminal (or pipe) of the user who started the VM
    VM_STREAM_PTY,   // a new pseudo-terminal, whose name is printed
    VM_STREAM_FILE,  // output is appended to a file, no input
};

struct vm_stream {
    enum vm_stream_mode mode;
    char *path; // VM_STREAM_FILE only, else NULL
};

enum vm_block_engine {
    VM_BLOCK_AUTO,     // io_uring where the host allows it, else workers
    VM_BLOCK_IO_URING, // io_uring, or the VM does not start
    VM_BLOCK_WORKERS,  // worker threads
};

struct vm_disk {
    char *path;          // image or block device, never NULL
    char id[VM_ID_SIZE]; // "block0": unique in the VM
    bool readonly;
    uint32_t queues; // 1..VM_DISK_QUEUES_MAX
    enum vm_block_engine engine;
};

enum vm_on_reset {
    VM_RESET_RESTART, // a guest's reset starts it again in place
    VM_RESET_EXIT,    // a guest's reset ends the VM with status 10
};

// A policy file for one process instead of the one in policy_dir.
struct vm_policy {
    char id[VM_ID_SIZE]; // as the process is called: "block0", "coordinator"
    char *path;
};

struct vm_stage {
    char name[VM_ID_SIZE]; // as typed; jail_stage_from_name() knows which exist
};

// All strings are owned by the struct. Paths can be opened as they are: those from a file have been
// resolved against its directory, those from the command line are the user's.
struct vm_config {
    char name[VM_NAME_SIZE]; // [A-Za-z0-9_.-], begins with a letter or digit
    char *kernel;            // never NULL
    char *initrd;            // NULL: none
    char *cmdline;           // never NULL, shorter than VM_CMDLINE_SIZE
    uint32_t cpus;           // 1..VM_CPUS_MAX
    uint64_t memory_bytes;   // a multiple of 1 MiB, at least 64 MiB, at most what the host has
    struct vm_disk disks[VM_DISKS_MAX];
    uint32_t disk_count;
    struct vm_stream serial;
    struct vm_stream consoles[VM_CONSOLES_MAX]; // ports of one console device, in order
    uint32_t console_count;                     // 0: no console device
    bool rng;
    enum vm_on_reset on_reset;
    char *policy_dir; // NULL: the policies that were installed
    struct vm_policy policies[VM_POLICIES_MAX];
    uint32_t policy_count;
    struct vm_stage allow_missing[VM_STAGES_MAX];
    uint32_t allow_missing_count;
};

// What the machine at hand allows; a parameter, so that tests do not depend on where they run.
struct vm_config_limits {
    uint64_t memory_max; // bytes
};

// The limits of this host (sysinfo(2)).
struct vm_config_limits vm_config_host_limits(void);

// One line for the user: where, cause, remedy; without "bulkhead: " and without newline.
struct vm_config_message {
    char text[512];
};

// Reads the arguments of `bulkhead run` (argv[0] is the verb and is skipped) and the file that they
// name; an option replaces the file's value, or adds to the file's list. On success *config is
// complete, defaults included, and the caller owns it (vm_config_destroy()). Returns 0; -EINVAL
// for an option, key or value that is wrong (exit status 2); another negative errno for a file that
// cannot be read (exit status 1). On failure *config is empty and *message says why.
int vm_config_load(struct vm_config *config, int argc, char *const argv[],
                   const struct vm_config_limits *limits, struct vm_config_message *message);

// The same from the text of a VM.yaml alone. file_name is for messages, for the default name and
// for the directory of relative paths; it is not opened. Touches nothing but its arguments.
int vm_config_parse(struct vm_config *config, const char *file_name, const void *bytes,
                    size_t length, const struct vm_config_limits *limits,
                    struct vm_config_message *message);

// Frees what *config owns and empties it; may be called twice, and on a zeroed struct.
void vm_config_destroy(struct vm_config *config);
