// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// MSI-X of one function (PCI 3.0, 6.8.2): its vector table, and which eventfd raises which vector.
// A "source" is an eventfd that a device process (queue interrupts) or the coordinator
// (configuration change) signals; the driver chooses a vector for each source. While that vector
// may be delivered, the source's eventfd is connected to the vector's gsi in the hypervisor and an
// interrupt passes through no process of ours. While it may not, signals stay in the eventfd, and
// connecting it later raises the interrupt.
//
// Only messages to local APICs (0xfeexxxxx) are delivered: the guest's table never becomes a memory
// write. The eventfds must be non-blocking: they are read and written under the machine's lock.
#pragma once

#include "ipc/log.h"
#include "vcpu/hypervisor.h"

#include <stdbool.h>
#include <stdint.h>

#define MSIX_VECTORS_MAX 33u
#define MSIX_NO_VECTOR 0xffffu // virtio 1.2, 4.1.4.3: VIRTIO_MSI_NO_VECTOR
#define MSIX_ENTRY_SIZE 16u

// Message Control (PCI 3.0, 6.8.2.3).
#define MSIX_CONTROL_ENABLE 0x8000u
#define MSIX_CONTROL_FUNCTION_MASK 0x4000u

struct msix_entry {
    uint32_t address_low;
    uint32_t address_high;
    uint32_t data;
    uint32_t control; // bit 0: masked
};

struct msix_source {
    int event_fd; // not owned
    uint16_t vector;
    bool connected; // to the gsi of connected_vector
    uint16_t connected_vector;
    bool pending; // was signalled, and the signal was taken out of the eventfd
};

struct msix {
    struct hypervisor *hypervisor;
    unsigned gsi_first;
    unsigned count; // of vectors and of sources
    uint16_t control;
    struct log_limit refused;
    struct msix_entry table[MSIX_VECTORS_MAX];
    struct msix_entry routed[MSIX_VECTORS_MAX]; // what the hypervisor knows
    struct msix_source sources[MSIX_VECTORS_MAX];
};

// `count` vectors (1..MSIX_VECTORS_MAX) with the gsis from `gsi_first` on, and as many sources;
// event_fds[i] is that of source i. -EINVAL when numbers are out of range.
int msix_init(struct msix *msix, struct hypervisor *hypervisor, unsigned gsi_first, unsigned count,
              const int *event_fds);
// Power-on state: disabled, all masked, no source has a vector, nothing is pending.
void msix_reset(struct msix *msix);
// The guest wrote Message Control.
void msix_control_write(struct msix *msix, uint16_t control);
bool msix_enabled(const struct msix *msix);

// The vector table and the pending bit array. Any bytes can be read; writes are aligned 4 or 8
// bytes long, others are ignored.
uint64_t msix_table_read(const struct msix *msix, uint64_t offset, unsigned length);
void msix_table_write(struct msix *msix, uint64_t offset, unsigned length, uint64_t value);
uint64_t msix_pending_read(struct msix *msix, uint64_t offset, unsigned length);

// The driver chose `vector` for a source; one that does not exist becomes MSIX_NO_VECTOR.
void msix_source_select(struct msix *msix, unsigned source, uint16_t vector);
uint16_t msix_source_vector(const struct msix *msix, unsigned source);
// No source has a vector any more.
void msix_sources_unassign(struct msix *msix);
// Signals a source that belongs to the coordinator.
void msix_source_raise(struct msix *msix, unsigned source);
// Whether the source was signalled while it was not connected; forgets it.
bool msix_source_take(struct msix *msix, unsigned source);
