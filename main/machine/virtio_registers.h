// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Between main/machine/virtio_*.c: the handlers of the register regions of one virtio function, and
// what one of them may ask of another. Nobody else includes it.
#pragma once

#include "main/machine/virtio_pci.h"

// BARs and the regions inside the memory BAR, one page each. The I/O BAR has the doorbells only.
#define VIRTIO_BAR_MEMORY 0u
#define VIRTIO_BAR_IO 2u
#define VIRTIO_BAR_MEMORY_SIZE 0x8000u
#define VIRTIO_REGION_SIZE 0x1000u
#define VIRTIO_ISR_OFFSET 0x1000u // the common configuration is at 0
#define VIRTIO_DEVICE_OFFSET 0x2000u
#define VIRTIO_NOTIFY_OFFSET 0x3000u
#define VIRTIO_MSIX_TABLE_OFFSET 0x4000u
#define VIRTIO_MSIX_PENDING_OFFSET 0x5000u
#define VIRTIO_NOTIFY_STRIDE 4u // notify_off_multiplier

// device_status (virtio 1.2, 2.1).
enum virtio_status {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

// Bytes of the common configuration (virtio 1.2, 4.1.4.3).
#define VIRTIO_COMMON_SIZE 60u

// Adds all capabilities. 0 or -ENOSPC.
int virtio_capabilities_add(struct virtio_function *function);
// pci_function_ops: accesses to configuration space that mean more than their bytes.
void virtio_capabilities_read(void *context, unsigned offset, unsigned length);
void virtio_capabilities_written(void *context, unsigned offset, unsigned length);
// pci_function_ops: accesses to the BARs, from the bus or through the window in configuration
// space.
uint64_t virtio_bar_read(void *context, unsigned bar, uint64_t offset, unsigned length);
void virtio_bar_write(void *context, unsigned bar, uint64_t offset, unsigned length,
                      uint64_t value);

uint64_t virtio_common_read(struct virtio_function *function, uint64_t offset, unsigned length);
void virtio_common_write(struct virtio_function *function, uint64_t offset, unsigned length,
                         uint64_t value);

uint64_t virtio_isr_read(struct virtio_function *function, uint64_t offset, unsigned length);
uint64_t virtio_device_read(struct virtio_function *function, uint64_t offset, unsigned length);
void virtio_device_write(struct virtio_function *function, uint64_t offset, unsigned length,
                         uint64_t value);

// A write to byte `offset` of the notification structure in the I/O or memory BAR.
void virtio_notify_write(struct virtio_function *function, enum exit_space space, uint64_t offset);
// The BAR with these doorbells stops answering.
void virtio_notify_unmap(struct virtio_function *function, enum exit_space space);

// Features that the driver may accept.
uint64_t virtio_offered_features(const struct virtio_function *function);
// The driver wrote device_status.
void virtio_status_write(struct virtio_function *function, uint8_t value);
// The driver wrote 1 to queue_enable or queue_reset.
void virtio_queue_enable(struct virtio_function *function, unsigned index);
void virtio_queue_reset(struct virtio_function *function, unsigned index);
// Tells the driver that the configuration or the status changed.
void virtio_config_interrupt(struct virtio_function *function);
// Queue registers as they are after reset; its eventfd stays.
void virtio_queue_clear(struct virtio_queue *queue);
