// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The processes of one VM, each with what the kernel says about its jail.
#pragma once

#include "jail/jail.h"
#include "main/config/config.h"
#include "main/process_scan.h"

#include <stdio.h>

// Instead of a number of system calls.
enum {
    CALLS_ALL = -1,     // no filter: all that the kernel has
    CALLS_UNKNOWN = -2, // the filter was not to be read, see process_vm.calls_error
};

// A process; or some of its threads, where these differ from it by their name or their filter.
struct process_row {
    char role[SCAN_ROLE_SIZE]; // "warden", "block0", "vcpu0"
    pid_t pid;
    pid_t thread;     // 0: the row of the process itself
    unsigned threads; // of the process; or how many threads the row stands for
    struct jail_facts facts;
    uint32_t own_namespaces; // JAIL_BIT of each that no other process of the VM or ours is in
    int facts_error;         // not 0: *facts could not be read
    int calls;               // system calls that its filters let through, or CALLS_…
};

struct process_vm {
    char name[VM_NAME_SIZE];
    pid_t warden;
    struct process_row *rows; // owned; the warden first, threads behind their process
    size_t count;
    int calls_error; // why a filter could not be read: the first negative errno, or 0
};

// Reads the VM of one warden. Processes that end meanwhile are left out. Returns 0; -ESRCH when the
// warden is gone; or a negative errno. *vm is the caller's (process_vm_clear).
int process_vm_read(struct process_vm *vm, const struct scan *scan, int proc, pid_t warden);
void process_vm_clear(struct process_vm *vm);

// Memory of the process's own, in KiB: what is not the guest's memory or another shared memfd.
uint64_t process_own_memory(const struct process_row *row);

// The short name of a namespace ("net"), index < JAIL_NAMESPACE_COUNT.
const char *process_namespace_name(unsigned index);
// The name of capability `number`, "cap_" left out, or NULL.
const char *process_capability_name(unsigned number);
// All capabilities in any set of the process, bounding included.
uint64_t process_capabilities(const struct process_row *row);

// One VM for people: a title, a table of at most 100 columns (unless capabilities are listed), a
// sum, and a line about what could not be read. As root: every filter is read.
void process_print_table(const struct process_vm *vm, FILE *out);
// VMs as one JSON array.
void process_print_json(const struct process_vm *vms, size_t count, FILE *out);
