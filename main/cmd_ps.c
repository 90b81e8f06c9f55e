// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// `bulkhead ps`: the processes of running VMs, as the kernel sees them.
#include "main/cmd.h"

#include "ipc/cleanup.h"
#include "main/message.h"
#include "main/process_list.h"
#include "main/process_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct request {
    const char *which; // NULL: all VMs
    bool json;
    bool help;
};

static void print_help(void)
{
    printf("Usage: bulkhead ps [--json] [NAME|PID]\n"
           "Shows the processes of the running VMs, or of one, with what the kernel says about\n"
           "their jails. PID is that of any of the VM's processes.\n\n"
           "  --json  print JSON\n"
           "  --help  show this text\n\n"
           "As root it also counts the system calls that each filter lets through.\n"
           "Manual: bulkhead-ps(1)\n");
}

static int parse(struct request *request, int argc, char **argv)
{
    bool only_names = false;

    for (int i = 1; i < argc; i++) {
        if (only_names || argv[i][0] != '-') {
            if (request->which != NULL) {
                user_message("ps: '%.80s' and '%.80s' are two VMs; name one, or none for all",
                             request->which, argv[i]);
                return -EINVAL;
            }
            request->which = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_names = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            request->json = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            request->help = true;
        } else {
            user_message("ps: unknown option '%.80s'; 'bulkhead ps --help' lists them", argv[i]);
            return -EINVAL;
        }
    }
    return 0;
}

// The warden that the user named: by its VM's name, or by the pid of any process of the VM.
static bool is_meant(const struct scan *scan, int proc, pid_t warden, const char *which)
{
    char name[VM_NAME_SIZE], *end;
    long pid;

    if (which == NULL)
        return true;
    scan_vm_name(proc, warden, name);
    if (strcmp(name, which) == 0)
        return true;
    pid = strtol(which, &end, 10);
    return *end == '\0' && pid > 0 && scan_warden_of(scan, (pid_t)pid) == warden;
}

// Reads all VMs that are meant into vms, which has room for all wardens.
static int read_vms(const struct scan *scan, int proc, const char *which, struct process_vm *vms,
                    size_t *count)
{
    for (size_t i = 0; i < scan->warden_count; i++) {
        int error;

        if (!is_meant(scan, proc, scan->wardens[i], which))
            continue;
        error = process_vm_read(&vms[*count], scan, proc, scan->wardens[i]);
        if (error < 0 && error != -ESRCH)
            return error;
        *count += error == 0;
    }
    return 0;
}

static void print(const struct request *request, const struct process_vm *vms, size_t count)
{
    if (request->json) {
        process_print_json(vms, count, stdout);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            printf("\n");
        process_print_table(&vms[i], stdout);
    }
    if (count == 0)
        printf("No VM runs%s.\n", geteuid() == 0 ? "" : " that this user may look at");
}

static int show(const struct request *request, const struct scan *scan, int proc)
{
    _cleanup_free_
    struct process_vm *vms = calloc(scan->warden_count + 1, sizeof(*vms));
    size_t count = 0;
    int error = vms == NULL ? -ENOMEM : read_vms(scan, proc, request->which, vms, &count);

    if (error < 0)
        user_message("ps: cannot read /proc: %s", strerror(-error));
    else if (count == 0 && request->which != NULL)
        user_message("ps: no VM '%.80s' runs%s; 'bulkhead ps' shows those that do", request->which,
                     geteuid() == 0 ? "" : " that this user may look at");
    else
        print(request, vms, count);
    for (size_t i = 0; i < count; i++)
        process_vm_clear(&vms[i]);
    return error < 0 || (count == 0 && request->which != NULL) ? CMD_FAILED : CMD_OK;
}

static int end_of_output(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    user_message("cannot write to standard output; is its disk full?");
    return CMD_FAILED;
}

int cmd_ps(int argc, char **argv)
{
    _cleanup_(scan_clear) struct scan scan = {0};
    struct request request = {0};
    _cleanup_fd_
    int proc = -1;
    int error;

    if (parse(&request, argc, argv) < 0)
        return CMD_WRONG_USAGE;
    if (request.help) {
        print_help();
        return end_of_output(CMD_OK);
    }
    proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    error = proc < 0 ? -errno : scan_read(&scan, proc);
    if (error < 0) {
        user_message("ps: cannot read /proc: %s; is it mounted?", strerror(-error));
        return CMD_FAILED;
    }
    return end_of_output(show(&request, &scan, proc));
}
