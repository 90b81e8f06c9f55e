// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// See supervisor.h. Reads messages of device processes that may be compromised.
#include "main/supervisor.h"

#include "ipc/cleanup.h"
#include "ipc/dispatch.h"
#include "ipc/log.h"
#include "main/supervisor_posts.h"
#include "memory/virtqueue.h"

#include <errno.h>
#include <pb_decode.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// Far more than a device that is honest says of its own accord.
#define IMAGES_IN_TEN_SECONDS 100
#define FAULT_LINES_IN_TEN_SECONDS 5

static int make_eventfds(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fds[i] < 0)
            return -errno;
    }
    return 0;
}

static int make_shared(struct supervised *device, uint64_t size)
{
    device->shared_fd = guest_memory_create(size);
    return device->shared_fd < 0 ? device->shared_fd : 0;
}

static int map_rings(const struct supervised *device, struct byte_ring_pair **rings)
{
    void *at =
        mmap(NULL, sizeof(**rings), PROT_READ | PROT_WRITE, MAP_SHARED, device->shared_fd, 0);

    if (at == MAP_FAILED)
        return -errno;
    *rings = at;
    return 0;
}

int supervisor_add(struct supervisor *supervisor, const warden_Device *row,
                   struct byte_ring_pair **rings)
{
    struct supervised *device = &supervisor->devices[supervisor->count];
    const struct device_kind_row *kind = device_kind_find(row->kind);
    bool virtio = kind != NULL && kind->virtio_id != 0;
    int error;

    *rings = NULL;
    if (kind == NULL || supervisor->count == SUPERVISED_MAX || row->queue_count > kind->queues_max)
        return -EINVAL;
    device->supervisor = supervisor;
    device->index = supervisor->count;
    device->kind = kind;
    device->queue_count = row->queue_count;
    device->channel.fd = -1;
    static_assert(sizeof(device->id) == sizeof(row->id), "both end with a zero byte");
    memcpy(device->id, row->id, sizeof(device->id));
    // The serial kind has one doorbell each way for its rings.
    error = make_eventfds(device->kick_fds, virtio ? device->queue_count : 1);
    error = error ? error : make_eventfds(device->call_fds, virtio ? device->queue_count : 1);
    error = error ? error : make_eventfds(&device->config_fd, 1);
    if (virtio)
        error = error ? error
                      : make_shared(device,
                                    (uint64_t)device->queue_count * virtqueue_inflight_stride());
    else
        error = error ? error : make_shared(device, sizeof(struct byte_ring_pair));
    if (!virtio)
        error = error ? error : map_rings(device, rings);
    if (error == 0)
        supervisor->count++;
    return error;
}

int supervisor_plug(struct supervised *device, struct pci_bus *pci, unsigned slot,
                    unsigned gsi_first)
{
    const struct virtio_function_config config = {
        .kind = device->kind,
        .id = device->id,
        .queue_count = device->queue_count,
        .kick_fds = device->kick_fds,
        .call_fds = device->call_fds,
        .config_fd = device->config_fd,
        .gsi_first = gsi_first,
        .transport = &supervisor_transport,
        .transport_context = device,
    };

    return virtio_pci_init(&device->function, &config, pci, slot);
}

static bool is_virtio(const struct supervised *device)
{
    return device->kind->virtio_id != 0;
}

// The process has no voice any more: it is cut off here, the warden ends it.
static void cut_off(struct supervised *device)
{
    struct supervisor *supervisor = device->supervisor;

    if (device->channel.fd >= 0)
        event_loop_remove(supervisor->loop, device->source);
    pthread_mutex_lock(supervisor->lock);
    channel_destroy(&device->channel);
    device->broken = false;
    device->state = DEVICE_OFFLINE;
    if (is_virtio(device))
        virtio_pci_offline(&device->function);
    pthread_mutex_unlock(supervisor->lock);
}

static void fail(struct supervised *device, const char *reason)
{
    struct supervisor *supervisor = device->supervisor;

    if (device->state == DEVICE_OFFLINE || device->state == DEVICE_AWAITED)
        return;
    cut_off(device);
    supervisor->host->failed(supervisor->host_context, device->index, reason);
    supervisor->host->changed(supervisor->host_context);
}

static int on_hello(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    struct supervised *device = owner;
    const struct supervisor_host *host = device->supervisor->host;

    device->hello = *(const device_Hello *)message;
    device->state = DEVICE_HELLO;
    host->hello(device->supervisor->host_context, device->index);
    return 0;
}

// Takes one of what is due. Devices without queues have nothing due.
static bool take_due(unsigned *count)
{
    if (*count == 0)
        return false;
    (*count)--;
    return true;
}

static int on_done(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    struct supervised *device = owner;
    const struct supervisor_host *host = device->supervisor->host;
    bool due;

    pthread_mutex_lock(device->supervisor->lock);
    due = take_due(&device->answers_due);
    if (due)
        virtio_pci_done(&device->function, ((const device_Done *)message)->serial);
    pthread_mutex_unlock(device->supervisor->lock);
    if (!due)
        return -EPROTO;
    host->changed(device->supervisor->host_context);
    return 0;
}

static int on_config_image(void *owner, const void *message,
                           struct channel_descriptors *descriptors)
{
    const device_ConfigImage *image = message;
    struct supervised *device = owner;
    int error = -EPROTO;

    if (!is_virtio(device))
        return -EPROTO;
    pthread_mutex_lock(device->supervisor->lock);
    if (take_due(&device->images_due) || log_limit_allows(&device->images))
        error = virtio_pci_config_image(&device->function, image->config.bytes, image->config.size);
    pthread_mutex_unlock(device->supervisor->lock);
    return error;
}

static int on_guest_fault(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    const device_GuestFault *fault = message;
    struct supervised *device = owner;
    bool due;

    pthread_mutex_lock(device->supervisor->lock);
    due = take_due(&device->faults_due);
    if (due)
        virtio_pci_needs_reset(&device->function);
    pthread_mutex_unlock(device->supervisor->lock);
    if (!due)
        return -EPROTO;
    if (log_limit_allows(&device->faults))
        log_warning("%s: queue %u: the guest broke a rule of virtio: %s; the device waits for a "
                    "reset",
                    device->id, fault->queue, fault->reason);
    return 0;
}

static int on_quit(void *owner, const void *message, struct channel_descriptors *descriptors)
{
    const struct supervised *device = owner;
    const struct supervisor_host *host = device->supervisor->host;

    // Only who holds the user's terminal can have seen the escape.
    if (!device->may_quit)
        return -EPROTO;
    host->quit(device->supervisor->host_context);
    return 0;
}

#define IN(state) (1u << (state))

// What a device process may say, and when. No message of a device carries descriptors.
static const struct permit permits[] = {
    {device_FromDevice_hello_tag, IN(DEVICE_ATTACHED), 0, 0, "Hello", on_hello},
    {device_FromDevice_done_tag, IN(DEVICE_READY), 0, 0, "Done", on_done},
    {device_FromDevice_config_image_tag, IN(DEVICE_READY), 0, 0, "ConfigImage", on_config_image},
    {device_FromDevice_guest_fault_tag, IN(DEVICE_READY), 0, 0, "GuestFault", on_guest_fault},
    {device_FromDevice_quit_tag, IN(DEVICE_READY), 0, 0, "Quit", on_quit},
};

static void on_message(void *context, uint32_t events)
{
    struct supervised *device = context;
    device_FromDevice message = {.which_message = 0};
    const char *refused = NULL;
    char reason[160];
    int got = channel_receive(&device->channel, device_FromDevice_fields, &message, NULL, 1);

    if (got == -EAGAIN)
        return;
    if (got == 1) {
        got = dispatch(permits, array_size(permits), message.which_message, device->state, device,
                       &message.message, NULL, &refused);
        if (got == 0)
            return;
    }
    if (got == 0)
        snprintf(reason, sizeof(reason), "it closed its channel");
    else
        snprintf(reason, sizeof(reason), "it broke the device protocol (message %u: %s)",
                 (unsigned)message.which_message, refused != NULL ? refused : strerror(-got));
    fail(device, reason);
}

static int watch(struct supervised *device)
{
    device->source =
        event_loop_add(device->supervisor->loop, device->channel.fd, EPOLLIN, on_message, device);
    return device->source < 0 ? device->source : 0;
}

// Nothing that a predecessor did or was told counts for a new process. One that filled a kick's
// counter would else keep its successors from kicking themselves; kicks that are lost here are made
// good when the queues are started.
static void prepare_for_process(struct supervised *device)
{
    unsigned kicks = is_virtio(device) ? device->queue_count : 1;
    uint64_t count;

    device->answers_due = 0;
    device->faults_due = 0;
    device->images_due = 0;
    device->images = (struct log_limit){.burst = IMAGES_IN_TEN_SECONDS};
    device->faults = (struct log_limit){.burst = FAULT_LINES_IN_TEN_SECONDS};
    for (unsigned i = 0; i < kicks; i++)
        if (read(device->kick_fds[i], &count, sizeof(count)) < 0)
            continue; // was empty
}

int supervisor_spawned(struct supervisor *supervisor, const warden_DeviceSpawned *spawned,
                       struct channel_descriptors *descriptors)
{
    struct supervised *device;
    int error;

    if (spawned->index >= supervisor->count || descriptors->count != spawned->roles_count + 2u)
        return -EPROTO;
    device = &supervisor->devices[spawned->index];
    if (device->state != DEVICE_AWAITED && device->state != DEVICE_OFFLINE)
        return -EPROTO;
    pthread_mutex_lock(supervisor->lock);
    prepare_for_process(device);
    device->channel.fd = channel_take(descriptors, 0);
    pthread_mutex_unlock(supervisor->lock);
    device->pid = spawned->pid;
    device->state = DEVICE_ATTACHED;
    error = watch(device);
    if (error == 0)
        error = supervisor_send_attach(device, spawned, descriptors);
    if (error < 0)
        fail(device, "it does not take Attach");
    return 0;
}

int supervisor_verified(struct supervisor *supervisor, unsigned index)
{
    struct supervised *device;
    int error = 0;

    if (index >= supervisor->count)
        return -EPROTO;
    device = &supervisor->devices[index];
    if (device->state != DEVICE_HELLO)
        return 0; // it failed meanwhile
    pthread_mutex_lock(supervisor->lock);
    device->state = DEVICE_READY;
    if (is_virtio(device))
        error = device->hello.queue_count != device->queue_count
                    ? -EPROTO
                    : virtio_pci_hello(&device->function, device->hello.features,
                                       device->hello.config.bytes, device->hello.config.size);
    pthread_mutex_unlock(supervisor->lock);
    if (error < 0)
        fail(device, "its Hello offers what its kind may not");
    else
        supervisor->host->changed(supervisor->host_context);
    return 0;
}

void supervisor_exited(struct supervisor *supervisor, unsigned index, int wait_status)
{
    char reason[64];

    if (index >= supervisor->count)
        return;
    if (WIFSIGNALED(wait_status))
        snprintf(reason, sizeof(reason), "it was ended by signal %d", WTERMSIG(wait_status));
    else
        snprintf(reason, sizeof(reason), "it ended with status %d", WEXITSTATUS(wait_status));
    fail(&supervisor->devices[index], reason);
}

void supervisor_sweep(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->count; i++) {
        struct supervised *device = &supervisor->devices[i];
        bool broken;

        pthread_mutex_lock(supervisor->lock);
        broken = device->broken;
        pthread_mutex_unlock(supervisor->lock);
        if (broken)
            fail(device, "it does not read its channel");
    }
}

bool supervisor_all_ready(const struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->count; i++)
        if (supervisor->devices[i].state != DEVICE_READY &&
            supervisor->devices[i].state != DEVICE_OFFLINE)
            return false;
    return true;
}

void supervisor_machine_reset(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->count; i++)
        if (is_virtio(&supervisor->devices[i]))
            virtio_pci_machine_reset(&supervisor->devices[i].function);
}

bool supervisor_all_quiet(const struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->count; i++)
        if (is_virtio(&supervisor->devices[i]) &&
            !virtio_pci_quiet(&supervisor->devices[i].function))
            return false;
    return true;
}

void supervisor_give_up_on_resets(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->count; i++) {
        struct supervised *device = &supervisor->devices[i];
        bool quiet;

        if (!is_virtio(device))
            continue;
        pthread_mutex_lock(supervisor->lock);
        quiet = virtio_pci_quiet(&device->function);
        pthread_mutex_unlock(supervisor->lock);
        if (!quiet)
            fail(device, "it did not answer the machine's reset");
    }
}
