// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A virtio device's life as its registers show it (virtio 1.2, 2.1 and 3.1): what the driver asks
// is posted to the process and the registers say "busy" until it answers. A function without a
// process answers itself, so that no driver waits for nobody.
#include "main/machine/virtio_registers.h"

#include <errno.h>
#include <string.h>

// Transport features that every function has (virtio 1.2, chapter 6).
#define FEATURE_INDIRECT_DESC (UINT64_C(1) << 28)
#define FEATURE_EVENT_IDX (UINT64_C(1) << 29)
#define FEATURE_VERSION_1 (UINT64_C(1) << 32)
#define FEATURE_RING_RESET (UINT64_C(1) << 40)
#define FEATURES_TRANSPORT                                                                         \
    (FEATURE_INDIRECT_DESC | FEATURE_EVENT_IDX | FEATURE_VERSION_1 | FEATURE_RING_RESET)

#define STATUS_WRITABLE                                                                            \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |                  \
     VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED)

uint64_t virtio_offered_features(const struct virtio_function *function)
{
    return function->device_features | FEATURES_TRANSPORT;
}

void virtio_queue_clear(struct virtio_queue *queue)
{
    *queue = (struct virtio_queue){.size = VIRTIO_QUEUE_SIZE_MAX, .kick_fd = queue->kick_fd};
}

void virtio_config_interrupt(struct virtio_function *function)
{
    if (!(function->status & VIRTIO_STATUS_DRIVER_OK) || function->resetting)
        return;
    function->isr_config = true;
    msix_source_raise(&function->msix, function->queue_count);
}

static void set_needs_reset(struct virtio_function *function)
{
    if (function->status == 0 || function->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    function->status |= VIRTIO_STATUS_NEEDS_RESET;
    virtio_config_interrupt(function);
}

static struct virtio_queue_place place_of(const struct virtio_function *function, unsigned index)
{
    const struct virtio_queue *queue = &function->queues[index];

    return (struct virtio_queue_place){
        .index = (uint16_t)index,
        .size = queue->size,
        .descriptor_area = queue->descriptor_area,
        .driver_area = queue->driver_area,
        .device_area = queue->device_area,
    };
}

bool virtio_pci_running_state(const struct virtio_function *function, struct virtio_start *start)
{
    *start = (struct virtio_start){
        .features = function->driver_features,
        .resume = function->served,
    };
    if (!(function->status & VIRTIO_STATUS_DRIVER_OK) || function->resetting)
        return false;
    for (unsigned i = 0; i < function->queue_count; i++)
        if (function->queues[i].enabled && !function->queues[i].resetting)
            start->queues[start->count++] = place_of(function, i);
    return true;
}

// Tells the process to start, when there is one and the driver wants it. One that needs a reset
// gets it first.
static void post_start(struct virtio_function *function)
{
    struct virtio_start start;

    if (function->presence != VIRTIO_PRESENT || function->status & VIRTIO_STATUS_NEEDS_RESET ||
        !virtio_pci_running_state(function, &start))
        return;
    function->posted = true;
    function->started = true;
    function->served = true;
    function->transport->start(function->transport_context, &start);
}

static void finish_reset(struct virtio_function *function)
{
    bool drain = function->served;

    function->resetting = false;
    function->posted = false;
    function->started = false;
    function->served = false;
    function->status = 0;
    for (unsigned i = 0; drain && i <= function->queue_count; i++)
        msix_source_take(&function->msix, i);
}

// virtio 1.2, 2.4 and 4.1.4.3.1: registers are as at the beginning at once; device_status says 0
// when the process has let go of the queues.
static void driver_reset(struct virtio_function *function)
{
    function->driver_features = 0;
    function->driver_features_beyond = 0;
    function->device_feature_select = 0;
    function->driver_feature_select = 0;
    function->queue_select = 0;
    function->isr_config = false;
    for (unsigned i = 0; i < function->queue_count; i++)
        virtio_queue_clear(&function->queues[i]);
    msix_sources_unassign(&function->msix);
    if (function->presence != VIRTIO_PRESENT || !function->posted) {
        finish_reset(function);
        return;
    }
    if (function->resetting)
        return;
    function->resetting = true;
    function->reset_serial = ++function->serial;
    function->transport->reset(function->transport_context, function->reset_serial);
}

static bool features_acceptable(const struct virtio_function *function)
{
    uint64_t features = function->driver_features;

    return function->presence != VIRTIO_OFFLINE && (features & FEATURE_VERSION_1) &&
           !(features & ~virtio_offered_features(function)) &&
           function->driver_features_beyond == 0;
}

static void log_refused_features(struct virtio_function *function)
{
    if (log_limit_allows(&function->refused))
        log_warning("%s: %s: refused the driver's features %#llx of %#llx", function->id,
                    function->presence == VIRTIO_OFFLINE ? "offline" : "not as offered",
                    (unsigned long long)function->driver_features,
                    (unsigned long long)virtio_offered_features(function));
}

// Bits can only be added, all but 0 (virtio 1.2, 2.1.1); DEVICE_NEEDS_RESET is not the driver's.
void virtio_status_write(struct virtio_function *function, uint8_t value)
{
    unsigned added = value & STATUS_WRITABLE & ~(unsigned)function->status;

    if (value == 0) {
        driver_reset(function);
        return;
    }
    if ((added & VIRTIO_STATUS_FEATURES_OK) && !features_acceptable(function)) {
        added &= ~(unsigned)VIRTIO_STATUS_FEATURES_OK;
        log_refused_features(function);
    }
    if (!((function->status | added) & VIRTIO_STATUS_FEATURES_OK))
        added &= ~(unsigned)VIRTIO_STATUS_DRIVER_OK;
    function->status |= (uint8_t)added;
    if (added & VIRTIO_STATUS_DRIVER_OK)
        post_start(function);
}

void virtio_queue_enable(struct virtio_function *function, unsigned index)
{
    struct virtio_queue *queue = &function->queues[index];
    struct virtio_queue_place place;

    if (queue->enabled)
        return;
    queue->enabled = true;
    if (!function->started)
        return; // part of the start that is to come
    place = place_of(function, index);
    function->transport->queue_start(function->transport_context, &place);
}

static void finish_queue_reset(struct virtio_function *function, unsigned index)
{
    virtio_queue_clear(&function->queues[index]);
    msix_source_take(&function->msix, index);
}

// virtio 1.2, 2.6.1.
void virtio_queue_reset(struct virtio_function *function, unsigned index)
{
    struct virtio_queue *queue = &function->queues[index];

    if (!(function->status & VIRTIO_STATUS_FEATURES_OK) ||
        !(function->driver_features & FEATURE_RING_RESET) || !queue->enabled || queue->resetting)
        return;
    msix_source_select(&function->msix, index, MSIX_NO_VECTOR);
    if (!function->started) {
        finish_queue_reset(function, index);
        return;
    }
    queue->resetting = true;
    queue->reset_serial = ++function->serial;
    function->transport->queue_reset(function->transport_context, queue->reset_serial, index);
}

void virtio_pci_done(struct virtio_function *function, uint32_t serial)
{
    if (function->resetting) {
        if (serial == function->reset_serial)
            finish_reset(function);
        return;
    }
    for (unsigned i = 0; i < function->queue_count; i++)
        if (function->queues[i].resetting && function->queues[i].reset_serial == serial)
            finish_queue_reset(function, i);
}

int virtio_pci_hello(struct virtio_function *function, uint64_t features, const void *config,
                     size_t config_length)
{
    bool accepted = function->status & VIRTIO_STATUS_FEATURES_OK;
    uint64_t needed = accepted ? function->driver_features & ~FEATURES_TRANSPORT : 0;
    int error;

    if ((features & ~function->kind->features) || (needed & ~features))
        return -EPROTO;
    error = virtio_pci_config_image(function, config, config_length);
    if (error < 0)
        return error;
    function->device_features = features;
    function->presence = VIRTIO_PRESENT;
    post_start(function);
    return 0;
}

int virtio_pci_config_image(struct virtio_function *function, const void *config,
                            size_t config_length)
{
    if (config_length > sizeof(function->config))
        return -EPROTO;
    if (config_length == function->config_length &&
        (config_length == 0 || memcmp(config, function->config, config_length) == 0))
        return 0;
    memset(function->config, 0, sizeof(function->config));
    if (config_length > 0)
        memcpy(function->config, config, config_length);
    function->config_length = (unsigned)config_length;
    function->config_generation++;
    virtio_config_interrupt(function);
    return 0;
}

void virtio_pci_needs_reset(struct virtio_function *function)
{
    if (!function->resetting)
        set_needs_reset(function);
}

// Nobody is left to answer.
static void answer_for_process(struct virtio_function *function)
{
    if (function->resetting)
        finish_reset(function);
    for (unsigned i = 0; i < function->queue_count; i++)
        if (function->queues[i].resetting)
            finish_queue_reset(function, i);
    function->posted = false;
    function->started = false;
}

void virtio_pci_lost(struct virtio_function *function)
{
    function->presence = VIRTIO_ABSENT;
    answer_for_process(function);
}

void virtio_pci_offline(struct virtio_function *function)
{
    function->presence = VIRTIO_OFFLINE;
    answer_for_process(function);
    set_needs_reset(function);
}

void virtio_pci_machine_reset(struct virtio_function *function)
{
    msix_reset(&function->msix);
    pci_function_reset(&function->function);
    driver_reset(function);
}

bool virtio_pci_quiet(const struct virtio_function *function)
{
    return !function->posted;
}
