// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What happens while a VM runs: words of the coordinator and the loader, ends of processes, signals
// of the user. Both peers may be compromised: what they may say is a permit table.
#include "main/warden_state.h"

#include "ipc/cleanup.h"
#include "ipc/dispatch.h"
#include "main/message.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#define STATUS_RESET 10
#define STATUS_PANIC 11

void warden_end(struct warden *warden, int status)
{
    if (warden->ended)
        return;
    warden->ended = true;
    warden->status = status;
    event_loop_stop(&warden->loop);
}

// A peer's words, after ours, in one line: it can neither begin another one in somebody else's name
// nor send control characters to the user's terminal.
static void tell_user(const char *ours, const char *theirs)
{
    char text[256];

    snprintf(text, sizeof(text), "%s", theirs);
    for (char *at = text; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    user_message("%s%s", ours, text);
}

// A running process that is no device's, or NULL.
static struct warden_process *process_named(struct warden *warden, const char *id)
{
    for (unsigned i = 0; i < WARDEN_PROCESSES_MAX; i++) {
        struct warden_process *process = &warden->processes[i];

        if (process->jailed.pid != 0 && process->device < 0 && strcmp(process->id, id) == 0)
            return process;
    }
    return NULL;
}

// A process that has closed its channel is ending, or it must: how it ended tells the user more
// than that it closed its channel. A signal does not change what has ended it already.
static void end_silent(struct warden_process *process)
{
    process->silent = true;
    kill(process->jailed.pid, SIGKILL);
}

static void tell_coordinator(struct warden *warden, const warden_ToCoordinator *message)
{
    int error = channel_send(&warden->coordinator, warden_ToCoordinator_fields, message, NULL, 0);
    struct warden_process *coordinator = process_named(warden, "coordinator");

    if (error == 0)
        return;
    if (error == -EPIPE && coordinator != NULL) {
        end_silent(coordinator);
        return;
    }
    user_message("the coordinator does not listen any more");
    warden_end(warden, 1);
}

// --- the loader -------------------------------------------------------------------------------

static void loader_done(struct warden *warden)
{
    event_loop_remove(&warden->loop, warden->loader_source);
    channel_destroy(&warden->loader);
}

// Nothing is left to do for it. One that a hostile kernel file has taken over would not end by
// itself, and would still have guest memory when that is filled for the next boot.
static void end_loader(struct warden *warden)
{
    struct warden_process *loader = process_named(warden, "loader");

    if (loader == NULL)
        return;
    loader->finished = true;
    kill(loader->jailed.pid, SIGKILL);
}

static int on_boot(void *owner, const void *boot, struct channel_descriptors *descriptors)
{
    struct warden *warden = owner;
    warden_ToCoordinator message = {
        .which_message = warden_ToCoordinator_boot_tag,
        .message.boot = *(const warden_Boot *)boot,
    };

    end_loader(warden);
    tell_coordinator(warden, &message);
    return 0;
}

static int on_load_failed(void *owner, const void *failed, struct channel_descriptors *descriptors)
{
    tell_user("", ((const warden_LoadFailed *)failed)->reason);
    warden_end(owner, 1);
    return 0;
}

static const struct permit loader_permits[] = {
    {warden_FromLoader_boot_tag, 1, 0, 0, "Boot", on_boot},
    {warden_FromLoader_failed_tag, 1, 0, 0, "LoadFailed", on_load_failed},
};

static void on_loader(void *context, uint32_t events)
{
    struct warden *warden = context;
    warden_FromLoader answer;
    struct warden_process *loader = process_named(warden, "loader");
    const char *refused;
    int got = channel_receive(&warden->loader, warden_FromLoader_fields, &answer, NULL, 1);

    if (got == -EAGAIN)
        return;
    loader_done(warden); // it has one word to say
    if (got == 1)
        got = dispatch(loader_permits, array_size(loader_permits), answer.which_message, 0, warden,
                       &answer.message, NULL, &refused);
    else if (got == 0 && loader != NULL) {
        end_silent(loader);
        return;
    } else if (got == 0)
        got = -EPIPE;
    if (got < 0 && !warden->ended) {
        user_message("the loader failed before the kernel was loaded");
        warden_end(warden, 1);
    }
}

static int send_load(struct warden *warden, const struct channel *channel)
{
    const struct vm_config *config = warden->config;
    warden_ToLoader message = {.which_message = warden_ToLoader_load_tag};
    warden_Load *load = &message.message.load;
    int fds[4];
    unsigned count = 0;

    for (unsigned i = 0; i < warden->region_count; i++)
        load->regions[load->regions_count++] = (warden_MemoryRegion){
            .guest_address = warden->regions[i].guest_address,
            .size = warden->regions[i].size,
            .offset = warden->regions[i].offset,
        };
    load->cpus = config->cpus;
    load->has_initrd = warden->initrd_fd >= 0;
    load->has_serial = true;
    load->has_rtc = true;
    snprintf(load->cmdline, sizeof(load->cmdline), "%s", config->cmdline);
    fds[count++] = warden->memory_fd;
    fds[count++] = warden->kernel_fd;
    if (warden->initrd_fd >= 0)
        fds[count++] = warden->initrd_fd;
    fds[count++] = warden->loader_filter_fd;
    return channel_send(channel, warden_ToLoader_fields, &message, fds, count);
}

int warden_load(struct warden *warden)
{
    struct channel theirs = {.fd = -1};
    int error = channel_pair(&warden->loader, &theirs);

    if (error < 0)
        return error;
    if (warden_process_start(warden, "loader", "loader", -1, theirs.fd) == NULL)
        error = -ECHILD;
    channel_destroy(&theirs);
    error = error ? error : send_load(warden, &warden->loader);
    if (error == 0)
        warden->loader_source =
            event_loop_add(&warden->loop, warden->loader.fd, EPOLLIN, on_loader, warden);
    return error;
}

// --- the coordinator --------------------------------------------------------------------------

static int on_ready(void *owner, const void *nothing, struct channel_descriptors *descriptors)
{
    struct warden *warden = owner;

    struct warden_process *coordinator = process_named(warden, "coordinator");

    if (coordinator != NULL && warden_process_verify(coordinator) < 0)
        warden_end(warden, 1);
    return 0;
}

static int on_device_hello(void *owner, const void *hello, struct channel_descriptors *descriptors)
{
    struct warden *warden = owner;
    unsigned index = ((const warden_DeviceHello *)hello)->index;
    struct warden_process *process = warden_process_of_device(warden, index);
    const warden_ToCoordinator verified = {
        .which_message = warden_ToCoordinator_device_verified_tag,
        .message.device_verified.index = index,
    };

    if (index >= warden->device_count)
        return -EPROTO;
    if (process == NULL)
        return 0; // it has ended meanwhile
    if (warden_process_verify(process) == 0)
        tell_coordinator(warden, &verified);
    else
        warden_end(warden, 1);
    return 0;
}

// A process that still lives is ended, and its end tells the user; one that has ended may have
// told.
static int on_device_failed(void *owner, const void *body, struct channel_descriptors *descriptors)
{
    const warden_DeviceFailed *failed = body;
    struct warden *warden = owner;
    struct warden_process *process = warden_process_of_device(warden, failed->index);
    char ours[VM_ID_SIZE + 32];

    if (failed->index >= warden->device_count)
        return -EPROTO;
    if (process != NULL) {
        snprintf(process->failure, sizeof(process->failure), "%s", failed->reason);
        kill(process->jailed.pid, SIGKILL);
        return 0;
    }
    snprintf(ours, sizeof(ours), "device %s failed: ", warden->devices[failed->index].id);
    if (!warden->devices[failed->index].end_told && log_limit_allows(&warden->failures))
        tell_user(ours, failed->reason);
    if (!warden->running)
        warden_end(warden, 1);
    return 0;
}

// Empties guest memory, so that the next boot finds what power-on gives: zeroes.
static int on_reload(void *owner, const void *nothing, struct channel_descriptors *descriptors)
{
    struct warden *warden = owner;

    if (warden->loader.fd >= 0)
        return -EPROTO;
    if (fallocate(warden->memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  (off_t)warden->config->memory_bytes) < 0)
        user_message("guest memory cannot be emptied: %s", strerror(errno));
    else if (warden_load(warden) == 0)
        return 0;
    warden_end(warden, 1);
    return 0;
}

static int on_running(void *owner, const void *nothing, struct channel_descriptors *descriptors)
{
    struct warden *warden = owner;

    warden->running = true;
    return 0;
}

static int on_ended(void *owner, const void *body, struct channel_descriptors *descriptors)
{
    static const int statuses[] = {
        [warden_Ended_Reason_POWER_OFF] = 0,
        [warden_Ended_Reason_RESET] = STATUS_RESET,
        [warden_Ended_Reason_PANIC] = STATUS_PANIC,
        [warden_Ended_Reason_FAILURE] = 1,
        [warden_Ended_Reason_QUIT] = 0,
    };
    const warden_Ended *ended = body;

    if ((unsigned)ended->reason >= array_size(statuses))
        return -EPROTO;
    if (ended->reason == warden_Ended_Reason_FAILURE || ended->reason == warden_Ended_Reason_PANIC)
        tell_user("", ended->detail);
    warden_end(owner, statuses[ended->reason]);
    return 0;
}

static const struct permit coordinator_permits[] = {
    {warden_FromCoordinator_ready_tag, 1, 0, 0, "Ready", on_ready},
    {warden_FromCoordinator_device_hello_tag, 1, 0, 0, "DeviceHello", on_device_hello},
    {warden_FromCoordinator_device_failed_tag, 1, 0, 0, "DeviceFailed", on_device_failed},
    {warden_FromCoordinator_reload_tag, 1, 0, 0, "Reload", on_reload},
    {warden_FromCoordinator_running_tag, 1, 0, 0, "Running", on_running},
    {warden_FromCoordinator_ended_tag, 1, 0, 0, "Ended", on_ended},
};

static void on_coordinator(void *context, uint32_t events)
{
    struct warden *warden = context;
    struct warden_process *coordinator = process_named(warden, "coordinator");
    warden_FromCoordinator word;
    const char *refused = NULL;
    int got = channel_receive(&warden->coordinator, warden_FromCoordinator_fields, &word, NULL, 1);

    if (got == -EAGAIN)
        return;
    if (got == 1)
        got = dispatch(coordinator_permits, array_size(coordinator_permits), word.which_message, 0,
                       warden, &word.message, NULL, &refused);
    else if (got == 0)
        got = -EPIPE;
    if (got == 0)
        return;
    if (refused != NULL)
        user_message("the coordinator broke its protocol: %s", refused);
    if (got != -EPIPE) {
        warden_end(warden, 1);
        return;
    }
    event_loop_remove(&warden->loop, warden->coordinator_source);
    if (coordinator != NULL)
        end_silent(coordinator);
}

int warden_watch_coordinator(struct warden *warden)
{
    warden->coordinator_source =
        event_loop_add(&warden->loop, warden->coordinator.fd, EPOLLIN, on_coordinator, warden);
    return warden->coordinator_source < 0 ? warden->coordinator_source : 0;
}

// --- ends of processes, signals ----------------------------------------------------------------

// How a process ended, in the warden's words; nothing for an end that needs none.
static void describe_end(const struct warden_process *process, int wait_status, char *text,
                         size_t size)
{
    text[0] = '\0';
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSYS)
        snprintf(text, size, "%s was stopped: it made a system call that its policy does not allow",
                 process->id);
    else if (WIFSIGNALED(wait_status))
        snprintf(text, size, "%s was ended by signal %d (%s)", process->id, WTERMSIG(wait_status),
                 strsignal(WTERMSIG(wait_status)));
    else if (WEXITSTATUS(wait_status) != 0 || process->silent || process->failure[0] != '\0')
        snprintf(text, size, "%s ended with status %d", process->id, WEXITSTATUS(wait_status));
}

// One line: how it ended and, when the coordinator had given it up, why. Whether there was
// something to tell: a device that ends without a fault may follow the coordinator, whose end tells
// more.
static bool say_end(const struct warden_process *process, int wait_status)
{
    char text[VM_ID_SIZE + 128];
    size_t used;

    describe_end(process, wait_status, text, sizeof(text));
    used = strlen(text);
    if (process->failure[0] != '\0')
        snprintf(text + used, sizeof(text) - used, "; the coordinator says: ");
    if (used > 0 && log_limit_allows(&process->warden->failures))
        tell_user(text, process->failure);
    return used > 0;
}

void warden_process_ended(struct warden_process *process, int wait_status)
{
    struct warden *warden = process->warden;
    warden_ToCoordinator message = {.which_message = warden_ToCoordinator_device_exited_tag};
    bool told;

    // What ends after the VM has ended follows from that.
    if (process->finished || warden->ended)
        return;
    told = say_end(process, wait_status);
    if (process->device >= 0) {
        warden->devices[process->device].end_told = told;
        message.message.device_exited.index = (uint32_t)process->device;
        message.message.device_exited.pid = (uint32_t)process->jailed.pid;
        message.message.device_exited.wait_status = wait_status;
        tell_coordinator(warden, &message);
        if (told && !warden->running)
            warden_end(warden, 1);
        return;
    }
    // A loader that ends by itself has said its word, which may still wait to be heard; the
    // coordinator never ends by itself.
    if (strcmp(process->id, "loader") != 0 || !WIFEXITED(wait_status) ||
        WEXITSTATUS(wait_status) != 0 || process->silent)
        warden_end(warden, 1);
}

void warden_signal(struct warden *warden, int signal)
{
    const warden_ToCoordinator button = {.which_message = warden_ToCoordinator_power_button_tag};

    // The first SIGTERM asks the guest, the second does not.
    if (signal == SIGTERM && warden->running && warden->signals++ == 0)
        tell_coordinator(warden, &button);
    else
        warden_end(warden, 128 + signal);
}
