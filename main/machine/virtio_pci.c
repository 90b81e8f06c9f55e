// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A virtio device as a PCI function (virtio 1.2, 4.1): its identity, and which register region
// answers where in its BARs. Decodes offsets; the regions are in virtio_*.c.
#include "main/machine/virtio_registers.h"

#include "ipc/cleanup.h"

#include <errno.h>

#define VENDOR_VIRTIO 0x1af4
#define DEVICE_VIRTIO 0x1040 // + virtio device id
#define SUBSYSTEM_MODERN 0x0040

static uint64_t notify_read(struct virtio_function *function, uint64_t offset, unsigned length)
{
    return 0;
}

static void notify_memory_write(struct virtio_function *function, uint64_t offset, unsigned length,
                                uint64_t value)
{
    virtio_notify_write(function, EXIT_MMIO, offset);
}

static uint64_t table_read(struct virtio_function *function, uint64_t offset, unsigned length)
{
    return msix_table_read(&function->msix, offset, length);
}

static void table_write(struct virtio_function *function, uint64_t offset, unsigned length,
                        uint64_t value)
{
    msix_table_write(&function->msix, offset, length, value);
}

static uint64_t pending_read(struct virtio_function *function, uint64_t offset, unsigned length)
{
    return msix_pending_read(&function->msix, offset, length);
}

// The pages of the memory BAR.
static const struct region {
    uint64_t (*read)(struct virtio_function *function, uint64_t offset, unsigned length);
    void (*write)(struct virtio_function *function, uint64_t offset, unsigned length,
                  uint64_t value); // NULL: writes are ignored
} regions[] = {
    [0] = {virtio_common_read, virtio_common_write},
    [VIRTIO_ISR_OFFSET / VIRTIO_REGION_SIZE] = {virtio_isr_read, NULL},
    [VIRTIO_DEVICE_OFFSET / VIRTIO_REGION_SIZE] = {virtio_device_read, virtio_device_write},
    [VIRTIO_NOTIFY_OFFSET / VIRTIO_REGION_SIZE] = {notify_read, notify_memory_write},
    [VIRTIO_MSIX_TABLE_OFFSET / VIRTIO_REGION_SIZE] = {table_read, table_write},
    [VIRTIO_MSIX_PENDING_OFFSET / VIRTIO_REGION_SIZE] = {pending_read, NULL},
};

uint64_t virtio_bar_read(void *context, unsigned bar, uint64_t offset, unsigned length)
{
    uint64_t page = offset / VIRTIO_REGION_SIZE;

    if (bar == VIRTIO_BAR_IO || page >= array_size(regions))
        return 0;
    return regions[page].read(context, offset % VIRTIO_REGION_SIZE, length);
}

void virtio_bar_write(void *context, unsigned bar, uint64_t offset, unsigned length, uint64_t value)
{
    uint64_t page = offset / VIRTIO_REGION_SIZE;

    if (bar == VIRTIO_BAR_IO)
        virtio_notify_write(context, EXIT_PIO, offset);
    else if (page < array_size(regions) && regions[page].write)
        regions[page].write(context, offset % VIRTIO_REGION_SIZE, length, value);
}

static void bar_unmap(void *context, unsigned bar)
{
    virtio_notify_unmap(context, bar == VIRTIO_BAR_IO ? EXIT_PIO : EXIT_MMIO);
}

static const struct pci_function_ops function_ops = {
    .name = "virtio",
    .bar_read = virtio_bar_read,
    .bar_write = virtio_bar_write,
    .bar_unmap = bar_unmap,
    .config_read = virtio_capabilities_read,
    .config_written = virtio_capabilities_written,
};

static uint64_t io_bar_size(unsigned queue_count)
{
    uint64_t size = VIRTIO_NOTIFY_STRIDE;

    while (size < (uint64_t)queue_count * VIRTIO_NOTIFY_STRIDE)
        size *= 2;
    return size;
}

static int build(struct virtio_function *function)
{
    struct pci_function *pci = &function->function;
    int error =
        pci_function_add_bar(pci, VIRTIO_BAR_MEMORY, PCI_BAR_MEMORY64, VIRTIO_BAR_MEMORY_SIZE);

    if (error == 0)
        error = pci_function_add_bar(pci, VIRTIO_BAR_IO, PCI_BAR_IO,
                                     io_bar_size(function->queue_count));
    if (error == 0)
        error = virtio_capabilities_add(function);
    if (error == 0)
        pci_function_seal(pci);
    return error;
}

static int init_interrupts(struct virtio_function *function,
                           const struct virtio_function_config *config, struct pci_bus *pci)
{
    int event_fds[VIRTIO_QUEUES_MAX + 1];

    for (unsigned i = 0; i < config->queue_count; i++)
        event_fds[i] = config->call_fds[i];
    event_fds[config->queue_count] = config->config_fd;
    return msix_init(&function->msix, pci->host->hypervisor, config->gsi_first,
                     config->queue_count + 1, event_fds);
}

int virtio_pci_init(struct virtio_function *function, const struct virtio_function_config *config,
                    struct pci_bus *pci, unsigned slot)
{
    const struct pci_identity identity = {
        .vendor = VENDOR_VIRTIO,
        .device = (uint16_t)(DEVICE_VIRTIO + config->kind->virtio_id),
        .subsystem_vendor = VENDOR_VIRTIO,
        .subsystem = SUBSYSTEM_MODERN,
        .revision = 1,
        .class_code = config->kind->pci_class,
    };
    int error;

    if (config->queue_count == 0 || config->queue_count > VIRTIO_QUEUES_MAX ||
        config->kind->virtio_id == 0)
        return -EINVAL;
    *function = (struct virtio_function){
        .kind = config->kind,
        .id = config->id,
        .transport = config->transport,
        .transport_context = config->transport_context,
        .queue_count = config->queue_count,
        .refused = {.burst = 3},
    };
    for (unsigned i = 0; i < config->queue_count; i++) {
        function->queues[i].kick_fd = config->kick_fds[i];
        virtio_queue_clear(&function->queues[i]);
    }
    error = init_interrupts(function, config, pci);
    if (error == 0)
        error =
            pci_function_init(&function->function, pci, slot, &identity, &function_ops, function);
    return error == 0 ? build(function) : error;
}
