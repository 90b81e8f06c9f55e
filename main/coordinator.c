// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The coordinator: owns KVM, guest memory, the vCPU threads and every register that the guest can
// touch. It never looks into guest memory once the vCPUs run. Trusted by the guest's owner above
// all other processes, so it parses nothing but fixed-width registers and the messages in its
// permit tables.
//
//     starting -> running -> resetting -> reloading -> running ...   ended: the warden ends this
//     process
#include "main/coordinator.h"

#include "ipc/cleanup.h"
#include "ipc/dispatch.h"
#include "ipc/log.h"
#include "jail/startup_pages.h"
#include "main/coordinator_setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL_FD 3

// A slow disk may take long to finish what is in flight; a device that takes longer than this to
// answer a reset will not answer.
#define RESET_SECONDS 30

static void drain_eventfd(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0)
        return; // nothing was there
}

void coordinator_wake(struct coordinator *coordinator)
{
    static const uint64_t one = 1;

    if (write(coordinator->wake_fd, &one, sizeof(one)) < 0)
        return; // the counter is full: the main thread is awake
}

static void tell_warden(struct coordinator *coordinator, const warden_FromCoordinator *message)
{
    // Without the warden there is nobody to run for.
    if (channel_send(&coordinator->warden, warden_FromCoordinator_fields, message, NULL, 0) < 0)
        event_loop_stop(&coordinator->loop);
}

static void end(struct coordinator *coordinator, warden_Ended_Reason reason, const char *detail)
{
    warden_FromCoordinator message = {
        .which_message = warden_FromCoordinator_ended_tag,
        .message.ended.reason = reason,
    };

    if (coordinator->state == COORDINATOR_ENDED)
        return;
    coordinator->state = COORDINATOR_ENDED;
    vcpus_park(coordinator->vcpus);
    snprintf(message.message.ended.detail, sizeof(message.message.ended.detail), "%s", detail);
    tell_warden(coordinator, &message);
}

static long long seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void begin_reset(struct coordinator *coordinator)
{
    if (coordinator->exit_on_reset) {
        end(coordinator, warden_Ended_Reason_RESET, "the guest asked for a reset");
        return;
    }
    if (coordinator->state != COORDINATOR_RUNNING)
        return;
    coordinator->state = COORDINATOR_RESETTING;
    coordinator->devices_reset = false;
    coordinator->reset_deadline = seconds_now() + RESET_SECONDS;
    vcpus_park(coordinator->vcpus);
}

// Looks at what can go on now: called whenever a part of the machine has come to rest.
static void advance(struct coordinator *coordinator)
{
    const warden_FromCoordinator running = {.which_message = warden_FromCoordinator_running_tag};
    const warden_FromCoordinator reload = {.which_message = warden_FromCoordinator_reload_tag};
    bool parked = vcpus_parked(coordinator->vcpus);

    if (coordinator->state == COORDINATOR_STARTING && parked && coordinator->booted &&
        supervisor_all_ready(&coordinator->supervisor)) {
        if (vcpus_start(coordinator->vcpus, &coordinator->boot) < 0) {
            end(coordinator, warden_Ended_Reason_FAILURE, "the vCPUs cannot be started");
            return;
        }
        coordinator->state = COORDINATOR_RUNNING;
        tell_warden(coordinator, &running);
    }
    if (coordinator->state == COORDINATOR_RESETTING && parked) {
        pthread_mutex_lock(&coordinator->lock);
        if (!coordinator->devices_reset) {
            board_reset(&coordinator->board);
            supervisor_machine_reset(&coordinator->supervisor);
            coordinator->devices_reset = true;
        }
        if (supervisor_all_quiet(&coordinator->supervisor)) {
            coordinator->booted = false;
            coordinator->state = COORDINATOR_STARTING;
        }
        pthread_mutex_unlock(&coordinator->lock);
        if (coordinator->state == COORDINATOR_STARTING)
            tell_warden(coordinator, &reload);
    }
}

// `failure` is that of a vCPU, if one failed: another one may be writing its own meanwhile.
static unsigned take_events(struct coordinator *coordinator,
                            char failure[static sizeof(coordinator->vcpu_failure)])
{
    unsigned events;

    pthread_mutex_lock(&coordinator->lock);
    events = coordinator->events;
    memcpy(failure, coordinator->vcpu_failure, sizeof(coordinator->vcpu_failure));
    coordinator->events = 0;
    pthread_mutex_unlock(&coordinator->lock);
    return events;
}

// A vCPU thread left word: an event of the machine, a post that failed, a vCPU that cannot go on.
static void on_wake(void *context, uint32_t epoll_events)
{
    struct coordinator *coordinator = context;
    char failure[sizeof(coordinator->vcpu_failure)];
    unsigned events;

    drain_eventfd(coordinator->wake_fd);
    events = take_events(coordinator, failure);
    supervisor_sweep(&coordinator->supervisor);
    if ((events & COORDINATOR_VCPU_FAILED) != 0)
        end(coordinator, warden_Ended_Reason_FAILURE, failure);
    else if ((events & 1u << MACHINE_EVENT_POWER_OFF) != 0)
        end(coordinator, warden_Ended_Reason_POWER_OFF, "the guest powered off");
    else if ((events & 1u << MACHINE_EVENT_PANIC) != 0)
        end(coordinator, warden_Ended_Reason_PANIC, "the guest's kernel panicked");
    else if ((events & 1u << MACHINE_EVENT_RESET) != 0)
        begin_reset(coordinator);
}

// The vCPU threads stand still for the first time when each has locked itself down: before that the
// warden would rightly find threads without a filter.
static void on_parked(void *context, uint32_t events)
{
    const warden_FromCoordinator ready = {.which_message = warden_FromCoordinator_ready_tag};
    struct coordinator *coordinator = context;

    drain_eventfd(coordinator->parked_fd);
    if (!coordinator->ready)
        tell_warden(coordinator, &ready);
    coordinator->ready = true;
    advance(coordinator);
}

static void on_serial(void *context, uint32_t events)
{
    struct coordinator *coordinator = context;

    drain_eventfd(coordinator->serial_fd);
    pthread_mutex_lock(&coordinator->lock);
    serial_pump(&coordinator->board.serial);
    pthread_mutex_unlock(&coordinator->lock);
}

// --- the supervisor's words -------------------------------------------------------------------

static void device_hello(void *context, unsigned index)
{
    const warden_FromCoordinator message = {
        .which_message = warden_FromCoordinator_device_hello_tag,
        .message.device_hello.index = index,
    };

    tell_warden(context, &message);
}

static void device_failed(void *context, unsigned index, const char *reason)
{
    warden_FromCoordinator message = {
        .which_message = warden_FromCoordinator_device_failed_tag,
        .message.device_failed.index = index,
    };

    snprintf(message.message.device_failed.reason, sizeof(message.message.device_failed.reason),
             "%s", reason);
    tell_warden(context, &message);
}

static void device_changed(void *context)
{
    advance(context);
}

static void user_quit(void *context)
{
    end(context, warden_Ended_Reason_QUIT, "the user ended the VM");
}

const struct supervisor_host coordinator_supervisor_host = {
    .hello = device_hello,
    .failed = device_failed,
    .changed = device_changed,
    .quit = user_quit,
};

// --- the warden's words -----------------------------------------------------------------------

static int on_spawned(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    struct coordinator *coordinator = owner;

    return supervisor_spawned(&coordinator->supervisor, message, descriptors);
}

static int on_verified(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    struct coordinator *coordinator = owner;

    return supervisor_verified(&coordinator->supervisor,
                               ((const warden_DeviceVerified *)message)->index);
}

static int on_exited(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    const warden_DeviceExited *exited = message;
    struct coordinator *coordinator = owner;

    supervisor_exited(&coordinator->supervisor, exited->index, exited->wait_status);
    return 0;
}

static int on_boot(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    const warden_Boot *boot = message;
    struct coordinator *coordinator = owner;

    coordinator->boot = (struct boot_state){
        .protocol = boot->protocol == warden_Boot_Protocol_PVH ? BOOT_PVH : BOOT_LINUX64,
        .entry = boot->entry,
        .argument = boot->argument,
        .page_tables = boot->page_tables,
        .gdt = boot->gdt,
    };
    coordinator->booted = true;
    advance(coordinator);
    return 0;
}

static int on_power_button(void *owner, const void *message,
                           struct channel_descriptors *descriptors)
{
    struct coordinator *coordinator = owner;

    pthread_mutex_lock(&coordinator->lock);
    power_button_press(&coordinator->board.power);
    pthread_mutex_unlock(&coordinator->lock);
    return 0;
}

#define IN(state) (1u << (state))
#define ALWAYS                                                                                     \
    (IN(COORDINATOR_STARTING) | IN(COORDINATOR_RUNNING) | IN(COORDINATOR_RESETTING) |              \
     IN(COORDINATOR_ENDED))

static const struct permit permits[] = {
    {warden_ToCoordinator_device_spawned_tag, ALWAYS, 2, 32, "DeviceSpawned", on_spawned},
    {warden_ToCoordinator_device_verified_tag, ALWAYS, 0, 0, "DeviceVerified", on_verified},
    {warden_ToCoordinator_device_exited_tag, ALWAYS, 0, 0, "DeviceExited", on_exited},
    {warden_ToCoordinator_boot_tag, IN(COORDINATOR_STARTING), 0, 0, "Boot", on_boot},
    {warden_ToCoordinator_power_button_tag, ALWAYS, 0, 0, "PowerButton", on_power_button},
};

static void on_warden(void *context, uint32_t events)
{
    struct coordinator *coordinator = context;
    struct channel_descriptors descriptors;
    warden_ToCoordinator message;
    const char *refused = NULL;
    int got = channel_receive(&coordinator->warden, warden_ToCoordinator_fields, &message,
                              &descriptors, 1);

    if (got == -EAGAIN)
        return;
    if (got == 1)
        got = dispatch(permits, array_size(permits), message.which_message, coordinator->state,
                       coordinator, &message.message, &descriptors, &refused);
    else if (got == 0)
        got = -EPIPE;
    channel_descriptors_destroy(&descriptors);
    if (refused != NULL)
        log_error("the warden broke its protocol: %s", refused);
    if (got < 0)
        event_loop_stop(&coordinator->loop);
}

static int watch(struct coordinator *coordinator)
{
    const struct {
        int fd;
        event_handler *handle;
    } sources[] = {
        {coordinator->warden.fd, on_warden},
        {coordinator->wake_fd, on_wake},
        {coordinator->parked_fd, on_parked},
        {coordinator->serial_fd, on_serial},
    };

    for (size_t i = 0; i < array_size(sources); i++) {
        int error;

        if (sources[i].fd < 0)
            continue;
        error = event_loop_add(&coordinator->loop, sources[i].fd, EPOLLIN, sources[i].handle,
                               coordinator);
        if (error < 0)
            return error;
    }
    return 0;
}

// The event loop, and the one deadline that there is.
static void serve(struct coordinator *coordinator)
{
    int error = 0;

    while (!coordinator->loop.stop && error == 0) {
        bool resetting = coordinator->state == COORDINATOR_RESETTING;

        error = event_loop_turn(&coordinator->loop, resetting ? 1000 : -1);
        if (coordinator->state == COORDINATOR_RESETTING &&
            seconds_now() >= coordinator->reset_deadline)
            supervisor_give_up_on_resets(&coordinator->supervisor);
    }
}

int main(void)
{
    static struct coordinator coordinator = {
        .warden = {.fd = CHANNEL_FD},
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .serial_fd = -1,
    };
    int error;

    // 1. Receive what the VM shall be, and build it: memory, registers, vCPUs.
    error = coordinator_setup(&coordinator);
    if (error < 0)
        return 1;
    error = watch(&coordinator);
    jail_forget_startup_pages();
    // 2. Lock down. The vCPU threads have done so with a filter of their own.
    if (error == 0)
        error = coordinator_lock_down(coordinator.filter_fd);
    if (error < 0) {
        log_error("cannot lock down: %s", strerror(-error));
        return 1;
    }
    // 3. From here on devices and the guest may be heard: on_parked says so, once all are locked.
    serve(&coordinator);
    return 0;
}
