// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Which VMs run on this machine: found in /proc, since no list of them is kept anywhere. Whoever
// looks sees the VMs of processes that they may look at.
#pragma once

#include "main/config/config.h"

#include <sys/types.h>

#define SCAN_ROLE_SIZE 32

// Which process is the child of which.
struct scan_process {
    pid_t pid;
    pid_t parent;
};

struct scan {
    struct scan_process *processes; // owned; all of /proc, in the order of their pids
    size_t count;
    pid_t *wardens; // owned; the `bulkhead run` processes, in the order of their pids
    size_t warden_count;
};

// Looks at all processes below `proc` (O_PATH or O_RDONLY of /proc). Returns 0 or a negative errno;
// *scan is the caller's (scan_clear).
int scan_read(struct scan *scan, int proc);
void scan_clear(struct scan *scan);

// The warden whose VM a process belongs to, itself included; 0: none.
pid_t scan_warden_of(const struct scan *scan, pid_t pid);

// The VM's name as its warden was told it on the command line: --name, else the file's name without
// suffix, else "vm-PID". The file is not read.
void scan_vm_name(int proc, pid_t warden, char name[VM_NAME_SIZE]);

// The same from the text of /proc/PID/cmdline: arguments that each end with a NUL.
void scan_name_of_arguments(char *text, size_t length, pid_t warden, char name[VM_NAME_SIZE]);

// What the warden called the process when it started it ("block0"): its argv[0]. A process can
// change that, so characters which names do not have become '?'. Returns 0 or a negative errno.
int scan_role(int proc, pid_t pid, char role[SCAN_ROLE_SIZE]);

// Copies at most size - 1 characters of a name that a process chose, for printing.
void scan_printable(char *out, size_t size, const char *text);
