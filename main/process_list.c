// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Collects the rows of one VM's table from the kernel: who runs, in which jail, under which filter.
// Nothing is believed that a jailed process says of itself, except its name.
#include "main/process_list.h"

#include "ipc/cleanup.h"
#include "jail/facts.h"
#include "jail/filter_read.h"
#include "jail/policy/reach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define FILTERS_MAX 8
#define PROCESS_FLAG_IO_WORKER 0x10u // PF_IO_WORKER: the kernel's own thread for io_uring

void process_vm_clear(struct process_vm *vm)
{
    free(vm->rows);
    *vm = (struct process_vm){0};
}

static int add_row(struct process_vm *vm, const struct process_row *row)
{
    struct process_row *grown = realloc(vm->rows, (vm->count + 1) * sizeof(vm->rows[0]));

    if (grown == NULL)
        return -ENOMEM;
    vm->rows = grown;
    vm->rows[vm->count++] = *row;
    return 0;
}

// The calls that a thread's filters let through, or CALLS_UNKNOWN.
static int count_calls(struct process_vm *vm, pid_t thread)
{
    struct jail_filter filters[FILTERS_MAX];
    struct reach reach = reach_all();
    int count = jail_filters_read(thread, filters, FILTERS_MAX);
    int error = count < 0 ? count : 0;

    for (int i = 0; error == 0 && i < count; i++) {
        struct reach one;

        error = reach_of_filter(filters[i].insns, filters[i].count, &one);
        reach = reach_both(&reach, &one);
    }
    if (count > 0)
        jail_filters_clear(filters, (unsigned)count);
    if (error == 0)
        return (int)reach_count(&reach);
    if (vm->calls_error == 0)
        vm->calls_error = error;
    return CALLS_UNKNOWN;
}

static bool is_gone(int error)
{
    return error == -ESRCH || error == -ENOENT;
}

// Fills in what the kernel says about the process or thread `id`. -ESRCH: it has ended.
static int read_row(struct process_vm *vm, struct process_row *row, pid_t id)
{
    row->facts_error = jail_describe(id, &row->facts);
    if (is_gone(row->facts_error))
        return -ESRCH;
    row->calls = CALLS_UNKNOWN;
    if (row->facts_error == 0 && row->facts.seccomp_mode == 0)
        row->calls = CALLS_ALL;
    else if (row->facts_error == 0)
        row->calls = count_calls(vm, id);
    row->threads = row->facts.threads;
    return 0;
}

// Two threads that differ in nothing that the table shows are one row.
static bool are_alike(const struct process_row *a, const struct process_row *b)
{
    return strcmp(a->role, b->role) == 0 && a->facts_error == b->facts_error &&
           a->calls == b->calls && a->facts.seccomp_mode == b->facts.seccomp_mode &&
           a->facts.seccomp_filters == b->facts.seccomp_filters &&
           a->facts.no_new_privs == b->facts.no_new_privs &&
           memcmp(a->facts.capabilities, b->facts.capabilities, sizeof(a->facts.capabilities)) ==
               0 &&
           memcmp(a->facts.namespaces, b->facts.namespaces, sizeof(a->facts.namespaces)) == 0;
}

// Reads a thread's name, unless it is a worker of the kernel's, which runs no code of the process.
static int read_thread_name(int tasks, pid_t thread, char *name, size_t size)
{
    char path[32], text[1024], *begin, *end;
    unsigned flags = 0;
    ssize_t length;

    snprintf(path, sizeof(path), "%d/stat", (int)thread);
    length = jail_proc_read(tasks, path, text, sizeof(text));
    if (length < 0)
        return (int)length;
    begin = strchr(text, '(');
    end = strrchr(text, ')');
    if (begin == NULL || end == NULL || sscanf(end, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1 ||
        (flags & PROCESS_FLAG_IO_WORKER) != 0)
        return -ESRCH;
    *end = '\0';
    scan_printable(name, size, begin + 1);
    return 0;
}

// A thread that goes by the process's own name is called like the process.
static int add_thread(struct process_vm *vm, size_t process, const char *process_name, int tasks,
                      pid_t thread)
{
    struct process_row row = {.pid = vm->rows[process].pid, .thread = thread};
    int error = read_thread_name(tasks, thread, row.role, sizeof(row.role));

    if (error == 0 && strcmp(row.role, process_name) == 0)
        memcpy(row.role, vm->rows[process].role, sizeof(row.role));
    if (error == 0)
        error = read_row(vm, &row, thread);
    if (error < 0)
        return is_gone(error) ? 0 : error;
    row.threads = 1;
    for (size_t i = process; i < vm->count; i++) {
        if (!are_alike(&vm->rows[i], &row))
            continue;
        vm->rows[i].threads += i > process;
        return 0;
    }
    return add_row(vm, &row);
}

static void close_directory(DIR **directory)
{
    if (*directory != NULL)
        closedir(*directory);
}

static int add_threads(struct process_vm *vm, size_t process, int proc)
{
    _cleanup_(close_directory) DIR *tasks = NULL;
    char path[32], process_name[SCAN_ROLE_SIZE] = "";
    const pid_t pid = vm->rows[process].pid;
    const struct dirent *entry;
    int error = 0, fd;

    if (vm->rows[process].facts.threads < 2)
        return 0;
    snprintf(path, sizeof(path), "%d/task", (int)pid);
    fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tasks = fd >= 0 ? fdopendir(fd) : NULL;
    if (tasks == NULL)
        return 0; // it has ended
    read_thread_name(fd, pid, process_name, sizeof(process_name));
    while (error == 0 && (entry = readdir(tasks)) != NULL) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

        if (thread > 0 && thread != pid)
            error = add_thread(vm, process, process_name, fd, thread);
    }
    return error;
}

static int add_process(struct process_vm *vm, int proc, pid_t pid, const char *role)
{
    struct process_row row = {.pid = pid};
    int error = 0;

    if (role != NULL)
        scan_printable(row.role, sizeof(row.role), role);
    else
        error = scan_role(proc, pid, row.role);
    if (error == 0)
        error = read_row(vm, &row, pid);
    if (error == 0)
        error = add_row(vm, &row);
    if (error == 0)
        error = add_threads(vm, vm->count - 1, proc);
    return error;
}

// A namespace is a process's own if neither we nor any other process of the VM is in it.
static void find_own_namespaces(struct process_vm *vm)
{
    for (size_t i = 0; i < vm->count; i++) {
        struct process_row *row = &vm->rows[i];

        row->own_namespaces = row->facts.own_namespaces;
        for (size_t j = 0; j < vm->count; j++) {
            const struct process_row *other = &vm->rows[j];

            if (other->pid == row->pid || other->facts_error != 0)
                continue;
            for (unsigned stage = 0; stage < JAIL_NAMESPACE_COUNT; stage++)
                if (row->facts.namespaces[stage] == other->facts.namespaces[stage])
                    row->own_namespaces &= ~JAIL_BIT(stage);
        }
    }
}

int process_vm_read(struct process_vm *vm, const struct scan *scan, int proc, pid_t warden)
{
    int error;

    *vm = (struct process_vm){.warden = warden};
    scan_vm_name(proc, warden, vm->name);
    error = add_process(vm, proc, warden, "warden");
    for (size_t i = 0; error == 0 && i < scan->count; i++) {
        if (scan->processes[i].parent != warden)
            continue;
        error = add_process(vm, proc, scan->processes[i].pid, NULL);
        error = is_gone(error) ? 0 : error;
    }
    if (error < 0)
        process_vm_clear(vm);
    else
        find_own_namespaces(vm);
    return error;
}

uint64_t process_own_memory(const struct process_row *row)
{
    return row->facts.pss_anonymous + row->facts.pss_file;
}

uint64_t process_capabilities(const struct process_row *row)
{
    uint64_t all = 0;

    for (size_t i = 0; i < array_size(row->facts.capabilities); i++)
        all |= row->facts.capabilities[i];
    return all;
}
