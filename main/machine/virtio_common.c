// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The common configuration structure (virtio 1.2, 4.1.4.3). Reads give any bytes of it, as if it
// lay in memory; they change nothing. Writes count only with a field's own width at its own offset
// (the 64-bit addresses also as two halves: 4.1.3.1); all others are ignored. So are all writes
// while a reset is not answered.
#include "main/machine/virtio_registers.h"

#include "ipc/cleanup.h"

#include <assert.h>
#include <stddef.h>

struct common_image {
    uint32_t device_feature_select;
    uint32_t device_feature;
    uint32_t driver_feature_select;
    uint32_t driver_feature;
    uint16_t config_msix_vector;
    uint16_t num_queues;
    uint8_t device_status;
    uint8_t config_generation;
    uint16_t queue_select;
    uint16_t queue_size;
    uint16_t queue_msix_vector;
    uint16_t queue_enable;
    uint16_t queue_notify_off;
    uint64_t queue_areas[3];    // descriptor, driver, device
    uint16_t queue_notify_data; // VIRTIO_F_NOTIF_CONFIG_DATA is not offered: 0
    uint16_t queue_reset;
} __attribute__((packed));

static_assert(sizeof(struct common_image) == VIRTIO_COMMON_SIZE, "virtio 1.2, 4.1.4.3");
static_assert(offsetof(struct common_image, device_status) == 0x14, "virtio 1.2, 4.1.4.3");
static_assert(offsetof(struct common_image, queue_areas) == 0x20, "virtio 1.2, 4.1.4.3");
static_assert(offsetof(struct common_image, queue_reset) == 0x3a, "virtio 1.2, 4.1.4.3");

// Word `select` of a set of feature bits.
static uint32_t feature_word(uint64_t features, uint32_t select)
{
    return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

// The queue that queue_select names, or NULL when the device has no such queue.
static struct virtio_queue *selected(struct virtio_function *function)
{
    if (function->queue_select >= function->queue_count)
        return NULL;
    return &function->queues[function->queue_select];
}

static void image_queue(struct virtio_function *function, struct common_image *image)
{
    const struct virtio_queue *queue = selected(function);

    if (!queue) {
        image->queue_msix_vector = MSIX_NO_VECTOR;
        return;
    }
    image->queue_size = queue->size;
    image->queue_msix_vector = msix_source_vector(&function->msix, function->queue_select);
    image->queue_enable = queue->enabled;
    image->queue_notify_off = function->queue_select;
    image->queue_areas[0] = queue->descriptor_area;
    image->queue_areas[1] = queue->driver_area;
    image->queue_areas[2] = queue->device_area;
    image->queue_reset = queue->resetting;
}

uint64_t virtio_common_read(struct virtio_function *function, uint64_t offset, unsigned length)
{
    struct common_image image = {
        .device_feature_select = function->device_feature_select,
        .device_feature =
            feature_word(virtio_offered_features(function), function->device_feature_select),
        .driver_feature_select = function->driver_feature_select,
        .driver_feature = feature_word(function->driver_features, function->driver_feature_select),
        .config_msix_vector = msix_source_vector(&function->msix, function->queue_count),
        .num_queues = (uint16_t)function->queue_count,
        .device_status = function->status,
        .config_generation = function->config_generation,
        .queue_select = function->queue_select,
    };

    image_queue(function, &image);
    return bus_image_read(&image, sizeof(image), offset, length);
}

static void write_device_feature_select(struct virtio_function *function, uint32_t value)
{
    function->device_feature_select = value;
}

static void write_driver_feature_select(struct virtio_function *function, uint32_t value)
{
    function->driver_feature_select = value;
}

static void write_driver_feature(struct virtio_function *function, uint32_t value)
{
    unsigned shift = 32 * (function->driver_feature_select & 1);

    if (function->status & VIRTIO_STATUS_FEATURES_OK)
        return;
    if (function->driver_feature_select > 1) {
        function->driver_features_beyond = value;
        return;
    }
    function->driver_features &= ~((uint64_t)UINT32_MAX << shift);
    function->driver_features |= (uint64_t)value << shift;
}

static void write_config_vector(struct virtio_function *function, uint32_t value)
{
    msix_source_select(&function->msix, function->queue_count, (uint16_t)value);
}

static void write_status(struct virtio_function *function, uint32_t value)
{
    virtio_status_write(function, (uint8_t)value);
}

static void write_queue_select(struct virtio_function *function, uint32_t value)
{
    function->queue_select = (uint16_t)value;
}

// virtio 1.2, 4.1.4.3.2: only powers of two for a split ring, at most what was offered.
static void write_queue_size(struct virtio_function *function, uint32_t value)
{
    struct virtio_queue *queue = selected(function);

    if (!queue || queue->enabled || value == 0 || value > VIRTIO_QUEUE_SIZE_MAX ||
        (value & (value - 1)) != 0)
        return;
    queue->size = (uint16_t)value;
}

static void write_queue_vector(struct virtio_function *function, uint32_t value)
{
    struct virtio_queue *queue = selected(function);

    if (queue && !queue->resetting)
        msix_source_select(&function->msix, function->queue_select, (uint16_t)value);
}

static void write_queue_enable(struct virtio_function *function, uint32_t value)
{
    if (selected(function) && value == 1)
        virtio_queue_enable(function, function->queue_select);
}

static void write_queue_reset(struct virtio_function *function, uint32_t value)
{
    if (selected(function) && value == 1)
        virtio_queue_reset(function, function->queue_select);
}

#define FIELD(name, handler)                                                                       \
    {                                                                                              \
        offsetof(struct common_image, name), sizeof(((struct common_image *)0)->name), (handler)   \
    }

static const struct field {
    uint8_t offset;
    uint8_t length;
    void (*write)(struct virtio_function *function, uint32_t value);
} fields[] = {
    FIELD(device_feature_select, write_device_feature_select),
    FIELD(driver_feature_select, write_driver_feature_select),
    FIELD(driver_feature, write_driver_feature),
    FIELD(config_msix_vector, write_config_vector),
    FIELD(device_status, write_status),
    FIELD(queue_select, write_queue_select),
    FIELD(queue_size, write_queue_size),
    FIELD(queue_msix_vector, write_queue_vector),
    FIELD(queue_enable, write_queue_enable),
    FIELD(queue_reset, write_queue_reset),
};

#undef FIELD

// The addresses of the selected queue: whole, or the lower or upper half.
static void write_area(struct virtio_function *function, unsigned offset, unsigned length,
                       uint64_t value)
{
    struct virtio_queue *queue = selected(function);
    unsigned shift = 8 * (offset % 8);
    uint64_t *area;

    if (!queue || queue->enabled || (length != 4 && length != 8) || offset % length != 0)
        return;
    area = offset < 8 ? &queue->descriptor_area
                      : (offset < 16 ? &queue->driver_area : &queue->device_area);
    if (length == 8)
        *area = value;
    else
        *area = (*area & ~((uint64_t)UINT32_MAX << shift)) | (value & UINT32_MAX) << shift;
}

void virtio_common_write(struct virtio_function *function, uint64_t offset, unsigned length,
                         uint64_t value)
{
    const unsigned areas = offsetof(struct common_image, queue_areas);

    if (function->resetting)
        return;
    if (offset >= areas && offset < areas + sizeof(((struct common_image *)0)->queue_areas)) {
        write_area(function, (unsigned)offset - areas, length, value);
        return;
    }
    for (unsigned i = 0; i < array_size(fields); i++)
        if (fields[i].offset == offset && fields[i].length == length) {
            fields[i].write(function, (uint32_t)value);
            return;
        }
}
