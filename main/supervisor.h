// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A device's life as the coordinator sees it (DESIGN.md, section 5). What outlives a device process
// is here: its doorbells and interrupts, its in-flight pages, its registers. The process at the
// other end of the channel may be compromised: what it may say is the permit table in supervisor.c,
// all else ends it.
#pragma once

#include "devices/registry.h"
#include "ipc/byte_ring.h"
#include "ipc/channel.h"
#include "ipc/event_loop.h"
#include "ipc/log.h"
#include "main/machine/virtio_pci.h"
#include "memory/guest_memory.h"
#include "proto/device.pb.h"
#include "proto/warden.pb.h"

#include <pthread.h>

enum device_state {
    DEVICE_AWAITED,  // no process
    DEVICE_ATTACHED, // Attach is sent
    DEVICE_HELLO,    // it has locked itself down; the warden verifies its jail
    DEVICE_READY,    // verified: the driver may start it
    DEVICE_OFFLINE,  // ended, and not started again
};

struct supervisor;

struct supervised {
    struct supervisor *supervisor;
    unsigned index;
    const struct device_kind_row *kind;
    char id[32];
    enum device_state state;
    uint32_t pid;
    struct channel channel; // fd -1: no process
    int source;             // of the event loop
    bool broken;            // a post failed on a vCPU thread: the main thread ends it
    unsigned queue_count;
    int kick_fds[VIRTIO_QUEUES_MAX];
    int call_fds[VIRTIO_QUEUES_MAX];
    int config_fd;
    int shared_fd; // memfd of its in-flight pages, or of the byte rings
    device_Hello hello;
    struct virtio_function function; // kinds with a virtio id

    // What the process may still say, so that one that talks without end is ended and does not keep
    // the machine's lock from the vCPUs. Under the lock.
    bool may_quit;           // it holds the user's terminal
    unsigned answers_due;    // Resets and QueueResets that it has not answered
    unsigned faults_due;     // queues started, each of which may fail once
    unsigned images_due;     // ConfigWrites, each of which may change the image
    struct log_limit images; // beyond these, of its own accord
    struct log_limit faults; // log lines
};

#define SUPERVISED_MAX 30

// What the supervisor asks of the coordinator. Called on the main thread, without the machine's
// lock.
struct supervisor_host {
    void (*hello)(void *context, unsigned index);
    void (*failed)(void *context, unsigned index, const char *reason);
    void (*changed)(void *context); // a device became ready or quiet
    void (*quit)(void *context);
};

struct supervisor {
    const struct supervisor_host *host;
    void *host_context;
    struct event_loop *loop;
    pthread_mutex_t *lock; // the machine's
    int wake_fd;           // written from vCPU threads: look at ->broken
    int memory_fd;
    unsigned region_count;
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned count;
    struct supervised devices[SUPERVISED_MAX];
};

// Before lock-down: makes the descriptors and the shared pages of a device. The serial kind's rings
// are mapped and returned in *rings (else NULL). 0 or a negative errno.
int supervisor_add(struct supervisor *supervisor, const warden_Device *device,
                   struct byte_ring_pair **rings);

// Before lock-down: puts the device's function on the bus (kinds with a virtio id). 0 or a negative
// errno.
int supervisor_plug(struct supervised *device, struct pci_bus *pci, unsigned slot,
                    unsigned gsi_first);

// The warden started a process for a device: sends it Attach. Takes the descriptors. -EPROTO when
// the message is not one that the warden may send now.
int supervisor_spawned(struct supervisor *supervisor, const warden_DeviceSpawned *spawned,
                       struct channel_descriptors *descriptors);
// The warden has verified a device's jail: from now on it can be started.
int supervisor_verified(struct supervisor *supervisor, unsigned index);
// The warden reaped a device's process.
void supervisor_exited(struct supervisor *supervisor, unsigned index, int wait_status);

// After a wake-up of `wake_fd`: ends devices whose posts failed.
void supervisor_sweep(struct supervisor *supervisor);

// Whether every device is ready, or offline.
bool supervisor_all_ready(const struct supervisor *supervisor);
// Machine reset: all functions to power-on state; devices are told. Under the lock.
void supervisor_machine_reset(struct supervisor *supervisor);
// Whether no device uses guest memory any more.
bool supervisor_all_quiet(const struct supervisor *supervisor);
// Ends those that have not answered the machine's reset: the guest's next boot must not wait for
// them for ever.
void supervisor_give_up_on_resets(struct supervisor *supervisor);
