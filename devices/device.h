// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What a device process is made of. device_main.c has the life (receive Attach, map, allocate, lock
// down, Hello, loop) and the transport's messages; a device has its `const struct device_ops
// device_ops` and its state in one static object. Everything that a device may touch arrives in
// Attach; after lock_down no descriptor, mapping or thread is made.
#pragma once

#include "devices/registry.h"
#include "ipc/channel.h"
#include "ipc/event_loop.h"
#include "memory/virtqueue.h"
#include "proto/device.pb.h"

#define DEVICE_QUEUES_MAX 32
#define DEVICE_CONFIG_MAX 256

struct device;

struct device_ops {
    enum device_kind kind;
    // Before lock-down: check the configuration, take the back ends (device_take), allocate, start
    // threads, and fill in
    // ->features, ->config and ->config_length. 0 or a negative errno (with its message logged).
    int (*attach)(struct device *device, const device_Attach *attach);
    // The driver is ready; queues that it enabled are running. May be NULL.
    void (*start)(struct device *device);
    // Stop using the queues: complete or forget what is in flight. Returns 0 when nothing is in
    // flight any more, or -EINPROGRESS: then the device calls device_stopped later. `queue` is one
    // queue, or DEVICE_ALL_QUEUES. May be NULL.
    int (*stop)(struct device *device, unsigned queue);
    // The driver kicked queue `queue` (or kicks may have been missed). Must not block.
    void (*kicked)(struct device *device, unsigned queue);
    // The driver wrote to the device-specific configuration. May be NULL.
    void (*config_write)(struct device *device, uint32_t offset, uint32_t length, uint64_t value);
};

#define DEVICE_ALL_QUEUES UINT32_MAX

// A Reset (DEVICE_ALL_QUEUES) or QueueReset that the coordinator waits for. They are worked off in
// their order.
struct device_stop {
    uint32_t serial;
    unsigned queue;
};

// The event loop's context of one queue's kicks.
struct device_kick {
    struct device *device;
    unsigned queue;
};

struct device {
    const struct device_ops *ops;
    struct channel channel;
    struct event_loop loop;
    struct guest_memory *memory; // NULL for kinds without queues
    char id[32];
    bool started;     // the driver said DRIVER_OK
    uint32_t faulted; // bit per queue: the coordinator was told
    unsigned stop_count;
    struct device_stop stops[DEVICE_QUEUES_MAX + 1];
    uint64_t features;        // offered by the device, device-specific bits
    uint64_t driver_features; // accepted by the driver
    unsigned queue_count;
    struct virtqueue queues[DEVICE_QUEUES_MAX];
    struct device_kick kicks[DEVICE_QUEUES_MAX];
    uint8_t config[DEVICE_CONFIG_MAX];
    unsigned config_length;
    struct channel_descriptors descriptors; // of Attach, until taken
    const device_Attach *attach;            // during ops->attach
};

// The one table of the executable, defined by the device.
extern const struct device_ops device_ops;

// During ops->attach: takes the next descriptor with this role (owned by the caller), or -ENOENT.
int device_take(struct device *device, device_DescriptorRole role);

// More is to be done on this queue than one turn of the loop may take: `kicked` comes again after
// the other events. Keeps a busy guest from starving the coordinator's messages.
void device_again(struct device *device, unsigned queue);

// Sends a new configuration image (->config, ->config_length) to the coordinator.
void device_push_config(struct device *device);

// The guest broke a rule on this queue: it is stopped, the coordinator sets DEVICE_NEEDS_RESET.
// `reason` is static text.
void device_guest_fault(struct device *device, unsigned queue, const char *reason);

// Answers the Reset or QueueReset for which ops->stop returned -EINPROGRESS: nothing of it is in
// flight any more.
void device_stopped(struct device *device);

// The user typed the escape that ends the VM.
void device_quit(struct device *device);
