// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The warden: opens, starts, reaps. It is the only process of a VM that can open a path or start
// another; it sees no guest data: guest memory is a descriptor to it that it never maps.
#include "main/warden.h"

#include "ipc/cleanup.h"
#include "jail/startup_pages.h"
#include "main/message.h"
#include "main/warden_state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

// Each device may fail once and more.
#define FAILURES_IN_TEN_SECONDS (2 * WARDEN_DEVICES_MAX)

static const int handled_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

static void on_signal(void *context, uint32_t events)
{
    struct warden *warden = context;
    struct signalfd_siginfo info;

    if (read(warden->signal_fd, &info, sizeof(info)) == sizeof(info))
        warden_signal(warden, (int)info.ssi_signo);
}

static int watch_signals(struct warden *warden)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < array_size(handled_signals); i++)
        sigaddset(&set, handled_signals[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    warden->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (warden->signal_fd < 0)
        return -errno;
    return event_loop_add(&warden->loop, warden->signal_fd, EPOLLIN, on_signal, warden);
}

static int send_configure(struct warden *warden)
{
    const struct vm_config *config = warden->config;
    warden_ToCoordinator message = {.which_message = warden_ToCoordinator_configure_tag};
    warden_Configure *configure = &message.message.configure;
    const int fds[] = {warden->kvm_fd, warden->memory_fd, warden->coordinator_filter_fd,
                       warden->vcpu_filter_fd};

    snprintf(configure->name, sizeof(configure->name), "%s", config->name);
    configure->cpus = config->cpus;
    configure->exit_on_reset = config->on_reset == VM_RESET_EXIT;
    for (unsigned i = 0; i < warden->region_count; i++)
        configure->regions[configure->regions_count++] = (warden_MemoryRegion){
            .guest_address = warden->regions[i].guest_address,
            .size = warden->regions[i].size,
            .offset = warden->regions[i].offset,
        };
    for (unsigned i = 0; i < warden->device_count; i++) {
        warden_Device *device = &configure->devices[configure->devices_count++];

        snprintf(device->id, sizeof(device->id), "%s", warden->devices[i].id);
        device->kind = warden->devices[i].kind;
        device->queue_count = warden->devices[i].queue_count;
    }
    return channel_send(&warden->coordinator, warden_ToCoordinator_fields, &message, fds,
                        array_size(fds));
}

static int start_coordinator(struct warden *warden)
{
    struct channel theirs = {.fd = -1};
    int error = channel_pair(&warden->coordinator, &theirs);

    if (error < 0)
        return error;
    if (warden_process_start(warden, "coordinator", "coordinator", -1, theirs.fd) == NULL)
        error = -ECHILD;
    channel_destroy(&theirs);
    error = error ? error : send_configure(warden);
    return error ? error : warden_watch_coordinator(warden);
}

static int send_spawned(struct warden *warden, unsigned index, const struct channel *channel,
                        pid_t pid)
{
    const struct warden_device *device = &warden->devices[index];
    warden_ToCoordinator message = {.which_message = warden_ToCoordinator_device_spawned_tag};
    warden_DeviceSpawned *spawned = &message.message.device_spawned;
    int fds[2 + WARDEN_BACKENDS_MAX];

    spawned->index = index;
    spawned->pid = (uint32_t)pid;
    memcpy(&spawned->config, &device->config, sizeof(device->config));
    fds[0] = channel->fd;
    fds[1] = device->filter_fd;
    for (unsigned i = 0; i < device->backend_count; i++) {
        fds[2 + i] = device->backends[i].fd;
        spawned->roles[spawned->roles_count++] = device->backends[i].role;
    }
    return channel_send(&warden->coordinator, warden_ToCoordinator_fields, &message, fds,
                        2 + device->backend_count);
}

static int start_device(struct warden *warden, unsigned index)
{
    struct warden_device *device = &warden->devices[index];
    struct channel ours = {.fd = -1};
    struct channel theirs = {.fd = -1};
    struct warden_process *process;
    int error = channel_pair(&ours, &theirs);

    if (error < 0)
        return error;
    device->end_told = false;
    process = warden_process_start(warden, device->id, device->kind_name, (int)index, theirs.fd);
    error = process != NULL ? send_spawned(warden, index, &ours, process->jailed.pid) : -ECHILD;
    channel_destroy(&ours);
    channel_destroy(&theirs);
    return error;
}

static int start_all(struct warden *warden)
{
    int error = start_coordinator(warden);

    error = error ? error : warden_load(warden);
    for (unsigned i = 0; i < warden->device_count && error == 0; i++)
        error = start_device(warden, i);
    return error;
}

static int run(struct warden *warden)
{
    int error = event_loop_init(&warden->loop);

    // 1. Watch for signals, so that nothing is left behind whenever the user gives up.
    if (error == 0)
        error = watch_signals(warden);
    if (error < 0) {
        user_message("cannot begin: %s", strerror(-error));
        return 1;
    }
    // 2. Open everything that the VM will ever have.
    if (warden_open(warden) < 0)
        return 1;
    // 3. Start the processes, each in its jail.
    error = start_all(warden);
    if (error == -EPIPE)
        error = 0; // a process has closed its channel: its end, in the loop, tells more
    if (error < 0 && error != -ECHILD) // that one was explained where it happened
        user_message("cannot start the VM: %s", strerror(-error));
    // 4. Serve until the end.
    jail_forget_startup_pages();
    if (error == 0)
        error = event_loop_run(&warden->loop);
    return error < 0 ? 1 : warden->status;
}

int warden_run(struct vm_config *config)
{
    struct warden *warden = calloc(1, sizeof(*warden));
    int status;

    if (warden == NULL)
        return 1;
    warden->config = config;
    warden->failures.burst = FAILURES_IN_TEN_SECONDS;
    warden->libexec_fd = warden->null_fd = warden->kvm_fd = warden->kernel_fd = -1;
    warden->initrd_fd = warden->memory_fd = warden->signal_fd = -1;
    warden->coordinator_filter_fd = warden->vcpu_filter_fd = warden->loader_filter_fd = -1;
    warden->coordinator.fd = warden->loader.fd = -1;
    for (unsigned i = 0; i < WARDEN_PROCESSES_MAX; i++) {
        warden->processes[i].log.fd = -1;
        warden->processes[i].spec.executable_fd = -1;
        warden->processes[i].device = -1;
    }
    status = run(warden);
    warden_process_end_all(warden);
    warden_close(warden);
    free(warden);
    return status;
}
