// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The virtio-over-PCI transport of one device (virtio 1.2, 4.1): every register is here, in the
// coordinator; the queues and what they carry are in the device's process. Register reads are
// answered from this state alone (rule 2); what changes the device's life is posted through
// `struct virtio_transport_ops`, and the device's answers come back through the functions below.
// Everything runs under the machine's lock, never waits, and never looks into guest memory.
//
// virtio_pci.c: BARs. virtio_capabilities.c: configuration space. virtio_common.c: the common
// configuration. virtio_life.c: status, start, reset. virtio_notify.c: doorbells. virtio_device.c:
// ISR and device configuration.
#pragma once

#include "devices/registry.h"
#include "main/machine/msix.h"
#include "main/machine/pci.h"

#define VIRTIO_QUEUES_MAX 32u
#define VIRTIO_QUEUE_SIZE_MAX 256u
#define VIRTIO_CONFIG_MAX 256u

// Where the driver put one virtqueue: guest-written, for the device to check.
struct virtio_queue_place {
    uint16_t index;
    uint16_t size; // a power of two, 1..VIRTIO_QUEUE_SIZE_MAX
    uint64_t descriptor_area;
    uint64_t driver_area;
    uint64_t device_area;
};

struct virtio_start {
    uint64_t features; // accepted by the driver, transport bits included
    bool resume;       // another process of this device has served these queues
    unsigned count;
    struct virtio_queue_place queues[VIRTIO_QUEUES_MAX];
};

// The way out: what the device process is to be told (device.proto). Called under the machine's
// lock as the last thing that a register access does; must not block. May call virtio_pci_done.
struct virtio_transport_ops {
    void (*start)(void *context, const struct virtio_start *start);
    void (*reset)(void *context, uint32_t serial);
    void (*queue_start)(void *context, const struct virtio_queue_place *queue);
    void (*queue_reset)(void *context, uint32_t serial, unsigned index);
    void (*config_write)(void *context, uint32_t offset, uint32_t length, uint64_t value);
};

// All descriptors are non-blocking eventfds and stay the caller's.
struct virtio_function_config {
    const struct device_kind_row *kind;
    const char *id;       // "block0", for messages; stays the caller's
    unsigned queue_count; // 1..VIRTIO_QUEUES_MAX
    const int *kick_fds;  // [queue_count]: signalled when the driver notifies the queue
    const int *call_fds;  // [queue_count]: the device signals them to interrupt
    int config_fd;        // the coordinator's own: configuration change
    unsigned gsi_first;   // queue_count + 1 message-signalled gsis from here are this function's
    const struct virtio_transport_ops *transport;
    void *transport_context;
};

enum virtio_presence {
    VIRTIO_ABSENT,  // no process now; the next Hello goes on
    VIRTIO_PRESENT, // a process is attached, verified and said Hello
    VIRTIO_OFFLINE, // given up: FEATURES_OK is refused until there is a Hello
};

struct virtio_queue {
    uint16_t size;
    bool enabled;
    bool resetting;
    uint32_t reset_serial;
    uint64_t descriptor_area;
    uint64_t driver_area;
    uint64_t device_area;
    int kick_fd;
};

enum virtio_doorbell { VIRTIO_DOORBELL_OFF, VIRTIO_DOORBELL_ON, VIRTIO_DOORBELL_REFUSED };

// In static storage of the coordinator; its members are for main/machine/virtio_*.c only.
struct virtio_function {
    struct pci_function function;
    struct msix msix;
    const struct device_kind_row *kind;
    const char *id;
    const struct virtio_transport_ops *transport;
    void *transport_context;
    enum virtio_presence presence;

    // Common configuration.
    uint64_t device_features;
    uint64_t driver_features;
    uint32_t driver_features_beyond; // last write to a word of features that does not exist
    uint32_t device_feature_select;
    uint32_t driver_feature_select;
    uint16_t queue_select;
    uint8_t status;
    uint8_t config_generation;
    bool isr_config;

    // Life.
    bool posted;  // the process was told something that only Reset makes it forget
    bool started; // the process was told to start
    bool served;  // this process or one before it was started with these queues
    bool resetting;
    uint32_t reset_serial;
    uint32_t serial; // of the last Reset or QueueReset

    unsigned queue_count;
    struct virtio_queue queues[VIRTIO_QUEUES_MAX];
    enum virtio_doorbell doorbells[2][VIRTIO_QUEUES_MAX]; // by enum exit_space

    uint8_t config[VIRTIO_CONFIG_MAX];
    unsigned config_length;

    struct log_limit refused;
    unsigned msix_offset; // of the capabilities that the guest can write
    unsigned window_offset;
};

// Puts the function into `slot` (1..31) of `pci`, absent until its first Hello. 0, -EINVAL,
// -EEXIST, -ENOSPC.
int virtio_pci_init(struct virtio_function *function, const struct virtio_function_config *config,
                    struct pci_bus *pci, unsigned slot);

// A process of this device is attached, verified and answered Hello with these device-specific
// features and this configuration image. When the driver has already started the device, transport
// `start` follows at once (with `resume` where another process served the queues); not while
// DEVICE_NEEDS_RESET waits for the driver. -EPROTO, and
// nothing changes, when it offers features that its kind may not have or lacks ones that the driver
// accepted, or when the image is longer than VIRTIO_CONFIG_MAX.
int virtio_pci_hello(struct virtio_function *function, uint64_t features, const void *config,
                     size_t config_length);
// The process answered the Reset or QueueReset with this serial number. Others are stale and
// ignored.
void virtio_pci_done(struct virtio_function *function, uint32_t serial);
// The process sent a new configuration image. When it differs: a new generation and a configuration
// interrupt. -EPROTO when it is too long.
int virtio_pci_config_image(struct virtio_function *function, const void *config,
                            size_t config_length);
// The guest broke the device's rules: DEVICE_NEEDS_RESET and a configuration interrupt (virtio 1.2,
// 2.1.2), until the driver resets it. Nothing happens before the driver began or during a reset.
void virtio_pci_needs_reset(struct virtio_function *function);
// The process is gone and another one will come: what was asked of it counts as done. The driver
// does not see it.
void virtio_pci_lost(struct virtio_function *function);
// The process is gone for good: as virtio_pci_lost, and DEVICE_NEEDS_RESET. From now on resets are
// done at once and FEATURES_OK is refused, so that drivers give up instead of waiting.
void virtio_pci_offline(struct virtio_function *function);

// Power-on state of every register, BARs and MSI-X included; the process is told to reset when it
// was used. Guest memory must not be given a new content before virtio_pci_quiet.
void virtio_pci_machine_reset(struct virtio_function *function);
// Whether the process remembers nothing of the driver: no start is in effect, no reset unanswered.
bool virtio_pci_quiet(const struct virtio_function *function);
// Whether the driver started the device; then *start says with what.
bool virtio_pci_running_state(const struct virtio_function *function, struct virtio_start *start);
