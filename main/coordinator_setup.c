// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// See coordinator_setup.h. Hears only the warden; no guest runs yet.
#include "main/coordinator_setup.h"

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "jail/lockdown.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

enum { FD_KVM, FD_MEMORY, FD_FILTER, FD_VCPU_FILTER, FD_COUNT };

static int receive_configure(struct coordinator *coordinator, warden_ToCoordinator *message,
                             struct channel_descriptors *descriptors)
{
    int got =
        channel_receive(&coordinator->warden, warden_ToCoordinator_fields, message, descriptors, 0);

    if (got <= 0)
        return got == 0 ? -EPIPE : got;
    if (message->which_message != warden_ToCoordinator_configure_tag ||
        descriptors->count != FD_COUNT)
        return -EPROTO;
    return 0;
}

static int make_memory(struct coordinator *coordinator, const warden_Configure *configure,
                       uint64_t *top)
{
    struct supervisor *supervisor = &coordinator->supervisor;
    struct guest_memory *memory;
    int error;

    for (unsigned i = 0; i < configure->regions_count; i++)
        supervisor->regions[i] = (struct guest_region){
            .guest_address = configure->regions[i].guest_address,
            .size = configure->regions[i].size,
            .offset = configure->regions[i].offset,
        };
    supervisor->region_count = configure->regions_count;
    error = guest_memory_map(supervisor->memory_fd, supervisor->regions, supervisor->region_count,
                             &memory);
    if (error < 0)
        return error;
    *top = supervisor->regions[supervisor->region_count - 1].guest_address +
           supervisor->regions[supervisor->region_count - 1].size;
    return hypervisor_map(coordinator->hypervisor, memory);
}

static void machine_event(void *context, enum machine_event event)
{
    struct coordinator *coordinator = context;

    coordinator->events |= 1u << event;
    coordinator_wake(coordinator);
}

static void vcpu_failed(void *context, unsigned index, const char *detail)
{
    struct coordinator *coordinator = context;

    pthread_mutex_lock(&coordinator->lock);
    snprintf(coordinator->vcpu_failure, sizeof(coordinator->vcpu_failure), "vCPU %u: %s", index,
             detail);
    coordinator->events |= COORDINATOR_VCPU_FAILED;
    pthread_mutex_unlock(&coordinator->lock);
    coordinator_wake(coordinator);
}

static int add_devices(struct coordinator *coordinator, const warden_Configure *configure,
                       struct byte_ring_pair **rings, int *serial_kick)
{
    struct supervisor *supervisor = &coordinator->supervisor;

    *rings = NULL;
    *serial_kick = -1;
    for (unsigned i = 0; i < configure->devices_count; i++) {
        struct byte_ring_pair *own;
        int error = supervisor_add(supervisor, &configure->devices[i], &own);

        if (error < 0)
            return error;
        if (own == NULL)
            continue;
        *rings = own;
        *serial_kick = supervisor->devices[i].kick_fds[0];
        coordinator->serial_fd = supervisor->devices[i].call_fds[0];
    }
    return 0;
}

static int plug_devices(struct coordinator *coordinator)
{
    struct supervisor *supervisor = &coordinator->supervisor;
    unsigned gsi = HYPERVISOR_GSI_MSI_FIRST;
    unsigned slot = 1;

    for (unsigned i = 0; i < supervisor->count; i++) {
        struct supervised *device = &supervisor->devices[i];
        int error;

        if (device->kind->virtio_id == 0)
            continue;
        error = supervisor_plug(device, &coordinator->board.pci, slot++, gsi);
        if (error < 0)
            return error;
        gsi += device->queue_count + 1;
    }
    return 0;
}

static int build_machine(struct coordinator *coordinator, const warden_Configure *configure,
                         uint64_t memory_top)
{
    const struct machine_host host = {
        .context = coordinator,
        .event = machine_event,
        .hypervisor = coordinator->hypervisor,
    };
    struct byte_ring_pair *rings;
    int serial_kick;
    int error = add_devices(coordinator, configure, &rings, &serial_kick);

    error = error ? error : board_init(&coordinator->board, &host, rings, serial_kick, memory_top);
    return error ? error : plug_devices(coordinator);
}

static int vcpu_lock_down(int filter_fd)
{
    static struct sock_filter program[JAIL_FILTER_INSTRUCTIONS_MAX];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    ssize_t count;
    int error;

    pthread_mutex_lock(&lock);
    count = jail_lockdown_read(filter_fd, program, array_size(program));
    // After this the thread may do little, but it may unlock: futex(2) is in both policies.
    error = count < 0 ? (int)count
                      : jail_lockdown_install(program, (size_t)count, JAIL_LOCKDOWN_THREAD);
    pthread_mutex_unlock(&lock);
    return error;
}

int coordinator_lock_down(int filter_fd)
{
    _cleanup_fd_
    int fd = filter_fd;

    return vcpu_lock_down(fd);
}

static int create_vcpus(struct coordinator *coordinator, unsigned count, int filter_fd)
{
    const struct vcpus_setup setup = {
        .hypervisor = coordinator->hypervisor,
        .count = count,
        .bus = &coordinator->board.bus,
        .lock = &coordinator->lock,
        .host = &coordinator->board.host,
        .parked_fd = coordinator->parked_fd,
        .filter_fd = filter_fd,
        .lock_down = vcpu_lock_down,
        .failed = vcpu_failed,
        .failed_context = coordinator,
    };

    return vcpus_create(&setup, &coordinator->vcpus);
}

static int make_loop(struct coordinator *coordinator)
{
    struct supervisor *supervisor = &coordinator->supervisor;

    coordinator->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    coordinator->parked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (coordinator->wake_fd < 0 || coordinator->parked_fd < 0)
        return -errno;
    supervisor->host = &coordinator_supervisor_host;
    supervisor->host_context = coordinator;
    supervisor->loop = &coordinator->loop;
    supervisor->lock = &coordinator->lock;
    supervisor->wake_fd = coordinator->wake_fd;
    return event_loop_init(&coordinator->loop);
}

int coordinator_setup(struct coordinator *coordinator)
{
    struct channel_descriptors descriptors;
    warden_ToCoordinator message;
    const warden_Configure *configure = &message.message.configure;
    uint64_t memory_top = 0;
    int vcpu_filter;
    int error;

    error = receive_configure(coordinator, &message, &descriptors);
    if (error < 0) {
        log_error("no valid Configure: %s", strerror(-error));
        return error;
    }
    coordinator->exit_on_reset = configure->exit_on_reset;
    coordinator->supervisor.memory_fd = channel_take(&descriptors, FD_MEMORY);
    coordinator->filter_fd = channel_take(&descriptors, FD_FILTER);
    vcpu_filter = channel_take(&descriptors, FD_VCPU_FILTER);
    error = hypervisor_create(channel_take(&descriptors, FD_KVM), &coordinator->hypervisor);
    if (error < 0)
        return error; // hypervisor_create has said why
    error = make_memory(coordinator, configure, &memory_top);
    error = error ? error : make_loop(coordinator);
    error = error ? error : build_machine(coordinator, configure, memory_top);
    error = error ? error : create_vcpus(coordinator, configure->cpus, vcpu_filter);
    if (error < 0)
        log_error("cannot build the machine: %s", strerror(-error));
    return error;
}
