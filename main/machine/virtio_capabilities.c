// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The capabilities of a virtio function: where its regions are (virtio 1.2, 4.1.4), MSI-X, and the
// window through which firmware reaches the BARs from configuration space. There is no PCI Express
// capability: nothing here needs it, and kernels that find one read more registers for each
// function while they boot.
#include "main/machine/virtio_registers.h"

#include "ipc/cleanup.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define MSIX_CONTROL_AT 2u // of Message Control in its capability

enum region_type { REGION_COMMON = 1, REGION_NOTIFY, REGION_ISR, REGION_DEVICE, REGION_WINDOW };

// virtio 1.2, 4.1.4: struct virtio_pci_cap without the two bytes that all capabilities begin with,
// and what follows it for notifications (a multiplier) and for the window (data).
struct capability_body {
    uint8_t length;
    uint8_t type;
    uint8_t bar;
    uint8_t id;
    uint8_t padding[2];
    uint32_t offset;
    uint32_t region_length;
    uint32_t extra;
} __attribute__((packed));

#define BODY_SIZE_PLAIN 14u
#define BODY_SIZE_EXTRA 18u

static_assert(sizeof(struct capability_body) == BODY_SIZE_EXTRA, "virtio 1.2, 4.1.4.4");
static_assert(offsetof(struct capability_body, extra) == BODY_SIZE_PLAIN, "virtio 1.2, 4.1.4");

// PCI 3.0, 6.8.2: table and pending bits are in the memory BAR.
struct msix_body {
    uint16_t control;
    uint32_t table;
    uint32_t pending;
} __attribute__((packed));

static_assert(sizeof(struct msix_body) == 10, "PCI 3.0, 6.8.2");

// Adds one virtio capability; its offset or a negative errno.
static int add_capability(struct virtio_function *function, const struct capability_body *values,
                          const struct capability_body *writable, unsigned size)
{
    struct capability_body body = *values;

    body.length = (uint8_t)(2 + size);
    return pci_function_add_capability(&function->function, PCI_CAPABILITY_VENDOR, &body, writable,
                                       size);
}

// The doorbells are there twice: drivers use the first place that they can, and decoding a port
// access costs the host less than decoding a memory access (virtio 1.2, 4.1.4.1 allows both).
static int add_region_capabilities(struct virtio_function *function)
{
    uint32_t doorbells = function->queue_count * VIRTIO_NOTIFY_STRIDE;
    const struct capability_body bodies[] = {
        {.type = REGION_COMMON, .offset = 0, .region_length = VIRTIO_COMMON_SIZE},
        {.type = REGION_NOTIFY,
         .bar = VIRTIO_BAR_IO,
         .offset = 0,
         .region_length = doorbells,
         .extra = VIRTIO_NOTIFY_STRIDE},
        {.type = REGION_NOTIFY,
         .offset = VIRTIO_NOTIFY_OFFSET,
         .region_length = doorbells,
         .extra = VIRTIO_NOTIFY_STRIDE},
        {.type = REGION_ISR, .offset = VIRTIO_ISR_OFFSET, .region_length = 1},
        {.type = REGION_DEVICE, .offset = VIRTIO_DEVICE_OFFSET, .region_length = VIRTIO_CONFIG_MAX},
    };

    for (unsigned i = 0; i < array_size(bodies); i++) {
        unsigned size = bodies[i].type == REGION_NOTIFY ? BODY_SIZE_EXTRA : BODY_SIZE_PLAIN;
        int offset = add_capability(function, &bodies[i], NULL, size);

        if (offset < 0)
            return offset;
    }
    return 0;
}

static int add_window_capability(struct virtio_function *function)
{
    const struct capability_body body = {.type = REGION_WINDOW};
    const struct capability_body writable = {
        .bar = UINT8_MAX,
        .offset = UINT32_MAX,
        .region_length = UINT32_MAX,
        .extra = UINT32_MAX,
    };
    int offset = add_capability(function, &body, &writable, BODY_SIZE_EXTRA);

    if (offset < 0)
        return offset;
    function->window_offset = (unsigned)offset;
    return 0;
}

static int add_msix_capability(struct virtio_function *function)
{
    const struct msix_body body = {
        .control = (uint16_t)(function->msix.count - 1),
        .table = VIRTIO_MSIX_TABLE_OFFSET | VIRTIO_BAR_MEMORY,
        .pending = VIRTIO_MSIX_PENDING_OFFSET | VIRTIO_BAR_MEMORY,
    };
    const struct msix_body writable = {
        .control = MSIX_CONTROL_ENABLE | MSIX_CONTROL_FUNCTION_MASK,
    };
    int offset = pci_function_add_capability(&function->function, PCI_CAPABILITY_MSIX, &body,
                                             &writable, sizeof(body));

    if (offset < 0)
        return offset;
    function->msix_offset = (unsigned)offset;
    return 0;
}

int virtio_capabilities_add(struct virtio_function *function)
{
    int error = add_region_capabilities(function);

    if (error == 0)
        error = add_window_capability(function);
    if (error == 0)
        error = add_msix_capability(function);
    return error;
}

static bool overlap(unsigned offset, unsigned length, unsigned at, unsigned size)
{
    return offset < at + size && at < offset + length;
}

// The window to the BARs inside configuration space (virtio 1.2, 4.1.4.9). Whether it points to
// registers: a BAR that is there, 1, 2 or 4 bytes, aligned, inside it.
static bool window_target(const struct virtio_function *function, struct capability_body *body)
{
    const struct pci_bar *bar;

    memcpy(body, &function->function.config[function->window_offset + 2], sizeof(*body));
    if (body->bar >= PCI_BARS)
        return false;
    bar = &function->function.bars[body->bar];
    return bar->kind != PCI_BAR_NONE &&
           (body->region_length == 1 || body->region_length == 2 || body->region_length == 4) &&
           body->offset % body->region_length == 0 && body->offset < bar->size;
}

static unsigned window_data_offset(const struct virtio_function *function)
{
    return function->window_offset + 2 + (unsigned)offsetof(struct capability_body, extra);
}

void virtio_capabilities_read(void *context, unsigned offset, unsigned length)
{
    struct virtio_function *function = context;
    unsigned data = window_data_offset(function);
    struct capability_body body;
    uint64_t value;

    if (!overlap(offset, length, data, 4) || !window_target(function, &body))
        return;
    value = virtio_bar_read(function, body.bar, body.offset, body.region_length);
    memcpy(&function->function.config[data], &value, body.region_length);
}

void virtio_capabilities_written(void *context, unsigned offset, unsigned length)
{
    struct virtio_function *function = context;
    unsigned control = function->msix_offset + MSIX_CONTROL_AT;
    unsigned data = window_data_offset(function);
    const uint8_t *config = function->function.config;
    struct capability_body body;

    if (overlap(offset, length, control, 2))
        msix_control_write(&function->msix,
                           (uint16_t)bus_image_read(config, PCI_CONFIG_SIZE, control, 2));
    if (overlap(offset, length, data, 4) && window_target(function, &body))
        virtio_bar_write(function, body.bar, body.offset, body.region_length,
                         bus_image_read(config, PCI_CONFIG_SIZE, data, body.region_length));
}
