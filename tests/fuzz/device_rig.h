// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Plays the coordinator, the driver and a predecessor for one device inside a fuzz target: no jail,
// no process, the device's own files and devices/device_transport.c. The coordinator says only what
// its registers let it say (the guest chooses when and with which numbers); memory, rings and
// in-flight pages hold whatever the input puts there. A device is attached once and reset after
// each input.
#pragma once

#include "devices/device.h"
#include "devices/device_transport.h"
#include "ipc/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RIG_QUEUES_MAX 8u
#define RIG_REGION UINT64_C(0x10000)
#define RIG_HIGH UINT64_C(0x20000) // guest address of the second region
#define RIG_ADDRESS_MASK 0x3ffffu
#define RIG_BACK_ENDS_MAX 8u

struct rig_step {
    uint8_t action;
    uint8_t queue;
    uint16_t place;
    uint8_t bytes[16];
} __attribute__((packed));

enum rig_action {
    RIG_START,
    RIG_RESET,
    RIG_QUEUE_START,
    RIG_QUEUE_RESET,
    RIG_CONFIG_WRITE,
    RIG_KICK,
    RIG_TURN,
    RIG_POKE,
    RIG_DESCRIPTOR,
    RIG_OFFER,
    RIG_INFLIGHT,
    RIG_OWN, // what only this target knows
    RIG_ACTIONS,
};

struct rig {
    struct device device;
    struct channel coordinator;
    uint8_t *inflight;
    device_Queue places[RIG_QUEUES_MAX];
    uint16_t offered[RIG_QUEUES_MAX];
    bool enabled[RIG_QUEUES_MAX];
    uint32_t queue_serial[RIG_QUEUES_MAX]; // of a QueueReset that is not answered; 0: none
    bool started;
    uint32_t reset_serial; // of a Reset that is not answered; 0: none
    uint32_t serial;
    uint32_t faults; // bit per queue, since its start
    struct {
        device_DescriptorRole role;
        int fd; // the device takes it
    } back_ends[RIG_BACK_ENDS_MAX];
};

static inline void require(bool condition)
{
    if (!condition)
        abort();
}

static struct rig the_rig;

// The seam of device_main.c, which has a main function of its own.
int device_take(struct device *device, device_DescriptorRole role)
{
    for (unsigned i = 0; i < RIG_BACK_ENDS_MAX; i++)
        if (the_rig.back_ends[i].role == role && the_rig.back_ends[i].fd >= 0)
            return steal_fd(&the_rig.back_ends[i].fd);
    return -ENOENT;
}

static inline uint32_t rig_word(const struct rig_step *step, unsigned at)
{
    uint32_t value;

    memcpy(&value, step->bytes + at, sizeof(value));
    return value;
}

static inline void rig_poke(struct rig *rig, uint64_t address, const void *from, size_t length)
{
    if (guest_write(rig->device.memory, guest_address(address), from, length) < 0)
        return; // in the hole
}

// Once for all inputs. `attach` has the typed configuration.
static inline void rig_attach(struct rig *rig, unsigned queues, const device_Attach *attach)
{
    const struct guest_region regions[] = {
        {.size = RIG_REGION},
        {.guest_address = RIG_HIGH, .size = RIG_REGION, .offset = RIG_REGION},
    };
    struct device *device = &rig->device;
    int fd = guest_memory_create(2 * RIG_REGION);

    require(fd >= 0 && guest_memory_map(fd, regions, 2, &device->memory) == 0);
    close(fd);
    rig->inflight = calloc(queues, virtqueue_inflight_stride());
    require(rig->inflight != NULL && event_loop_init(&device->loop) == 0);
    require(channel_pair(&rig->coordinator, &device->channel) == 0);
    device->ops = &device_ops;
    device->queue_count = queues;
    for (unsigned i = 0; i < queues; i++) {
        device->queues[i].memory = device->memory;
        device->queues[i].inflight =
            (void *)(rig->inflight + (size_t)i * virtqueue_inflight_stride());
        device->queues[i].kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        device->queues[i].call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        require(device->queues[i].kick_fd >= 0 && device->queues[i].call_fd >= 0);
    }
    require(device->ops->attach(device, attach) == 0);
    require(device_transport_watch(device) == 0);
}

static inline void rig_heard_done(struct rig *rig, uint32_t serial)
{
    bool expected = false;

    require(serial != 0);
    // A QueueReset that the Reset overtook is answered all the same.
    if (serial < rig->reset_serial)
        return;
    for (unsigned i = 0; i < rig->device.queue_count; i++) {
        if (rig->queue_serial[i] != serial)
            continue;
        expected = true;
        rig->queue_serial[i] = 0;
        rig->enabled[i] = false;
        require(!rig->device.queues[i].running);
    }
    if (rig->reset_serial == serial) {
        expected = true;
        rig->reset_serial = 0;
        memset(rig->enabled, 0, sizeof(rig->enabled));
        for (unsigned i = 0; i < rig->device.queue_count; i++)
            require(!rig->device.queues[i].running);
    }
    require(expected);
}

// The device says nothing that the coordinator does not permit.
static inline void rig_listen(struct rig *rig)
{
    struct channel_descriptors descriptors;
    device_FromDevice message;
    uint32_t queue;

    while (channel_receive(&rig->coordinator, device_FromDevice_fields, &message, &descriptors,
                           1) == 1) {
        require(descriptors.count == 0);
        switch (message.which_message) {
        case device_FromDevice_done_tag:
            rig_heard_done(rig, message.message.done.serial);
            break;
        case device_FromDevice_guest_fault_tag:
            queue = message.message.guest_fault.queue;
            require(queue < rig->device.queue_count && (rig->faults >> queue & 1) == 0);
            require(message.message.guest_fault.reason[0] != '\0');
            rig->faults |= UINT32_C(1) << queue;
            break;
        case device_FromDevice_config_image_tag:
        case device_FromDevice_quit_tag:
            break;
        default:
            abort();
        }
    }
    require(!rig->device.loop.stop);
}

static inline void rig_turn(struct rig *rig)
{
    require(event_loop_turn(&rig->device.loop, 0) == 0);
    rig_listen(rig);
}

static inline void rig_say(struct rig *rig, const device_ToDevice *message)
{
    require(channel_send(&rig->coordinator, device_ToDevice_fields, message, NULL, 0) == 0);
    rig_turn(rig);
}

// Mostly a ring that can be started; sometimes whatever the bytes say.
static inline device_Queue rig_place(const struct rig_step *step, unsigned queue)
{
    bool sane = (step->queue & 0x80) == 0;
    uint64_t mask = sane ? RIG_ADDRESS_MASK & ~0xfffu : UINT64_MAX;

    return (device_Queue){
        .index = queue,
        .size = 1u << (step->place % 9),
        .descriptor_area = rig_word(step, 0) & mask,
        .driver_area = rig_word(step, 4) & mask,
        .device_area = rig_word(step, 8) & mask,
    };
}

static inline void rig_enable(struct rig *rig, const struct rig_step *step, unsigned queue)
{
    rig->places[queue] = rig_place(step, queue);
    rig->enabled[queue] = true;
    rig->offered[queue] = 0;
    rig->faults &= ~(UINT32_C(1) << queue);
}

// The queue of the step and its neighbour, so that two can be at work.
static inline void rig_start(struct rig *rig, const struct rig_step *step, unsigned queue)
{
    device_ToDevice message = {
        .which_message = device_ToDevice_start_tag,
        .message.start = {.features = (uint64_t)rig_word(step, 12) << 28 | (step->place >> 9),
                          .resume = (step->queue & 0x40) != 0},
    };
    struct rig_step other = *step;

    if (rig->started || rig->reset_serial != 0)
        return;
    rig->started = true;
    if (!message.message.start.resume) {
        rig_enable(rig, step, queue);
        for (unsigned i = 1; i < 12; i += 4)
            other.bytes[i] ^= 0x80;
        if (queue + 1 < rig->device.queue_count)
            rig_enable(rig, &other, queue + 1);
    } else {
        rig->enabled[queue] = true;
        rig->faults &= ~(UINT32_C(1) << queue);
    }
    for (unsigned i = 0; i < rig->device.queue_count; i++)
        if (rig->enabled[i] && rig->places[i].size != 0)
            message.message.start.queues[message.message.start.queues_count++] = rig->places[i];
    rig_say(rig, &message);
}

static inline void rig_reset(struct rig *rig)
{
    device_ToDevice message = {.which_message = device_ToDevice_reset_tag};

    if (rig->reset_serial != 0)
        return;
    message.message.reset.serial = rig->reset_serial = ++rig->serial;
    memset(rig->queue_serial, 0, sizeof(rig->queue_serial));
    rig->started = false;
    rig_say(rig, &message);
}

static inline void rig_queue_start(struct rig *rig, const struct rig_step *step, unsigned queue)
{
    device_ToDevice message = {.which_message = device_ToDevice_queue_start_tag};

    if (!rig->started || rig->enabled[queue])
        return;
    rig_enable(rig, step, queue);
    message.message.queue_start.has_queue = true;
    message.message.queue_start.queue = rig->places[queue];
    rig_say(rig, &message);
}

static inline void rig_queue_reset(struct rig *rig, unsigned queue)
{
    device_ToDevice message = {.which_message = device_ToDevice_queue_reset_tag};

    if (!rig->started || !rig->enabled[queue] || rig->queue_serial[queue] != 0)
        return;
    message.message.queue_reset.serial = rig->queue_serial[queue] = ++rig->serial;
    message.message.queue_reset.index = queue;
    rig_say(rig, &message);
}

static inline void rig_config_write(struct rig *rig, const struct rig_step *step)
{
    const device_ToDevice message = {
        .which_message = device_ToDevice_config_write_tag,
        .message.config_write = {.offset = step->place % DEVICE_CONFIG_MAX,
                                 .length = 1u << (step->bytes[0] & 3),
                                 .value = rig_word(step, 4)},
    };

    rig_say(rig, &message);
}

static inline void rig_kick(struct rig *rig, unsigned queue)
{
    const uint64_t one = 1;

    require(write(rig->device.queues[queue].kick_fd, &one, sizeof(one)) == sizeof(one));
    rig_turn(rig);
}

// A descriptor of a ring, or one of an indirect table somewhere.
static inline void rig_descriptor(struct rig *rig, const struct rig_step *step, unsigned queue)
{
    const uint64_t address = rig_word(step, 0) & RIG_ADDRESS_MASK;
    const uint64_t table = (step->queue & 0x40) != 0 ? rig_word(step, 4) & RIG_ADDRESS_MASK
                                                     : rig->places[queue].descriptor_area;
    const uint32_t length = rig_word(step, 8) & 0xffff;
    uint8_t raw[16];

    memcpy(raw, &address, 8);
    memcpy(raw + 8, &length, 4);
    memcpy(raw + 12, step->bytes + 12, 4);
    rig_poke(rig, table + UINT64_C(16) * (step->place & 0xff), raw, sizeof(raw));
}

static inline void rig_offer(struct rig *rig, const struct rig_step *step, unsigned queue)
{
    const device_Queue *place = &rig->places[queue];

    if (place->size == 0)
        return;
    rig_poke(rig, place->driver_area + 4 + 2 * (uint64_t)(rig->offered[queue] & (place->size - 1)),
             &step->place, 2);
    rig->offered[queue] =
        (uint16_t)(rig->offered[queue] + ((step->queue & 0x80) != 0 ? step->bytes[0] : 1));
    rig_poke(rig, place->driver_area + 2, &rig->offered[queue], 2);
}

// What a predecessor left, before anything is started.
static inline void rig_inflight(struct rig *rig, const struct rig_step *step, unsigned queue)
{
    if (rig->started || rig->reset_serial != 0)
        return;
    memcpy(rig->inflight + (size_t)queue * virtqueue_inflight_stride() +
               step->place % (virtqueue_inflight_stride() - sizeof(step->bytes)),
           step->bytes, sizeof(step->bytes));
}

static inline void rig_take(struct rig *rig, const struct rig_step *step,
                            void (*own)(struct rig *rig, const struct rig_step *step))
{
    unsigned queue = (step->queue & 0x3f) % rig->device.queue_count;

    switch ((enum rig_action)(step->action % RIG_ACTIONS)) {
    case RIG_START:
        rig_start(rig, step, queue);
        break;
    case RIG_RESET:
        rig_reset(rig);
        break;
    case RIG_QUEUE_START:
        rig_queue_start(rig, step, queue);
        break;
    case RIG_QUEUE_RESET:
        rig_queue_reset(rig, queue);
        break;
    case RIG_CONFIG_WRITE:
        rig_config_write(rig, step);
        break;
    case RIG_KICK:
        rig_kick(rig, queue);
        break;
    case RIG_TURN:
        rig_turn(rig);
        break;
    case RIG_POKE:
        rig_poke(rig, (uint64_t)step->place << 2, step->bytes, sizeof(step->bytes));
        break;
    case RIG_DESCRIPTOR:
        rig_descriptor(rig, step, queue);
        break;
    case RIG_OFFER:
        rig_offer(rig, step, queue);
        break;
    case RIG_INFLIGHT:
        rig_inflight(rig, step, queue);
        break;
    case RIG_OWN:
    case RIG_ACTIONS:
        own(rig, step);
    }
}

// A fresh machine, then one step after the other. `settle` ends what the device waits for, so that
// the last reset comes to its end.
static inline void rig_run(struct rig *rig, const uint8_t *bytes, size_t length,
                           void (*own)(struct rig *rig, const struct rig_step *step),
                           void (*settle)(struct rig *rig))
{
    static const uint8_t zeroes[RIG_REGION];
    struct rig_step step;

    rig_poke(rig, 0, zeroes, sizeof(zeroes));
    rig_poke(rig, RIG_HIGH, zeroes, sizeof(zeroes));
    memset(rig->inflight, 0, (size_t)rig->device.queue_count * virtqueue_inflight_stride());
    memset(rig->places, 0, sizeof(rig->places));
    memset(rig->enabled, 0, sizeof(rig->enabled));
    rig->faults = 0;
    rig->device.faulted = 0;
    for (size_t at = 0; length - at >= sizeof(step); at += sizeof(step)) {
        memcpy(&step, bytes + at, sizeof(step));
        rig_take(rig, &step, own);
    }
    rig_reset(rig);
    for (unsigned tries = 0; rig->reset_serial != 0; tries++) {
        require(tries < 100000);
        settle(rig);
        rig_turn(rig);
    }
    // Kicks that nobody takes any more.
    for (unsigned turns = 0; turns < 4; turns++)
        rig_turn(rig);
}
