// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Plays the coordinator and the guest's driver for one real device process in its real jail: guest
// memory, eventfds and in-flight pages are made here, the executable is started by jail_spawn, gets
// its compiled policy, and is driven through its rings. No KVM. Everything here is the hostile
// side: rings can be filled with anything. A step that fails ends the test (cmocka's fail()).
#pragma once

#include "ipc/channel.h"
#include "jail/jail.h"
#include "memory/guest_memory.h"
#include "memory/virtqueue.h"
#include "proto/device.pb.h"

// cmocka.h wants these before it.
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HARNESS_QUEUES_MAX 32
#define HARNESS_ROLES_MAX 8
#define HARNESS_REGION_SIZE (UINT64_C(32) << 20) // of each of the two regions
#define HARNESS_HIGH (UINT64_C(4) << 30)         // guest address of the second region
#define HARNESS_TIMEOUT_MS 20000

// Flags of a descriptor and of the rings (virtio 1.2, 2.7).
#define HARNESS_NEXT 1u
#define HARNESS_WRITE 2u
#define HARNESS_INDIRECT 4u
#define HARNESS_NO_INTERRUPT 1u

struct harness_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct harness_available {
    _Atomic uint16_t flags;
    _Atomic uint16_t index;
    uint16_t ring[];
};

struct harness_used {
    _Atomic uint16_t flags;
    _Atomic uint16_t index;
    struct {
        uint32_t id;
        uint32_t length;
    } ring[];
};

// The driver's side of one queue.
struct harness_queue {
    uint16_t size;
    device_Queue where;
    struct harness_descriptor *descriptors;
    struct harness_available *available;
    struct harness_used *used;
    int kick_fd, call_fd; // owned
    bool event_index;
    uint16_t next_available;
    uint16_t kicked_available; // at the last kick or decision not to
    uint16_t last_used;
    uint16_t free_count;
    uint16_t free_head; // free descriptors are chained by `next`
};

// One piece of a request.
struct harness_piece {
    uint64_t address;
    uint32_t length;
    bool writable; // by the device
};

struct harness {
    const char *kind; // "block"
    struct jail_spec spec;
    struct jailed jailed;
    bool alive;
    struct channel channel;
    int executable_fd, memory_fd, inflight_fd; // owned
    uint8_t *memory;                           // both regions, one behind the other
    uint8_t *inflight;
    unsigned queue_count;
    struct harness_queue queues[HARNESS_QUEUES_MAX];
    uint64_t features;    // what the driver accepts, ring features included
    device_Attach attach; // `config` is filled in by the test
    device_DescriptorRole roles[HARNESS_ROLES_MAX]; // back ends for Attach
    int role_fds[HARNESS_ROLES_MAX];                // not owned
    unsigned role_count;
    device_Hello hello; // the device's answer
    uint64_t next_buffer[2];
    uint32_t serial;
};

// ------------------------------------------------------------------------------------- process

// Makes memory, queues and pages; starts nothing yet.
void harness_init(struct harness *harness, const char *kind, unsigned queues, uint16_t queue_size);
// Another descriptor for Attach; stays the caller's.
void harness_back_end(struct harness *harness, device_DescriptorRole role, int fd);
// Starts the process in its jail, attaches it, waits for Hello. Again after harness_kill.
void harness_spawn(struct harness *harness);
// The jail, read back from the kernel.
void harness_verify(struct harness *harness);
// DRIVER_OK with harness->features on all queues.
void harness_start(struct harness *harness, bool resume);
// Ends the process with SIGKILL and reaps it; rings and pages stay.
void harness_kill(struct harness *harness);
// Closes the channel and checks that the process ends by itself with status 0; frees everything.
void harness_destroy(struct harness *harness);

// ------------------------------------------------------------------------------------ messages

void harness_send(struct harness *harness, const device_ToDevice *message);
// The next message of the device; fails after HARNESS_TIMEOUT_MS.
void harness_receive(struct harness *harness, device_FromDevice *message);
// Posts a Reset, waits for Done; the driver's rings are empty again.
void harness_reset(struct harness *harness);
uint32_t harness_post_reset(struct harness *harness);
void harness_await_done(struct harness *harness, uint32_t serial);
void harness_queue_reset(struct harness *harness, unsigned queue);
void harness_queue_start(struct harness *harness, unsigned queue);
// Ping and Pong: the process is alive and hears us.
void harness_ping(struct harness *harness);
// Waits for a GuestFault on this queue.
void harness_await_fault(struct harness *harness, unsigned queue);

// -------------------------------------------------------------------------------------- memory

// Address of `size` bytes of guest memory, aligned to 4096, in region 0 or 1; never given back.
uint64_t harness_buffer(struct harness *harness, unsigned region, uint64_t size);
// Where this guest address lies in our own memory.
void *harness_at(struct harness *harness, uint64_t address);

// --------------------------------------------------------------------------------------- rings

// Empties the driver's side of a queue.
void harness_queue_clear(struct harness_queue *queue);
// Chains the pieces (at most the free descriptors); head, not yet available.
uint16_t harness_chain(struct harness_queue *queue, const struct harness_piece *pieces,
                       unsigned count);
// The same behind one indirect descriptor, whose table is at guest address `table`.
uint16_t harness_chain_indirect(struct harness *harness, struct harness_queue *queue,
                                uint64_t table, const struct harness_piece *pieces, unsigned count);
// Makes a head available.
void harness_offer(struct harness_queue *queue, uint16_t head);
// Kicks unless the device asked for none.
void harness_kick(struct harness_queue *queue);
void harness_kick_always(struct harness_queue *queue);
// Takes the next used entry without waiting. Its descriptors are free again.
bool harness_poll(struct harness_queue *queue, uint16_t *head, uint32_t *length);
// The same, sleeping on the call eventfd; fails after HARNESS_TIMEOUT_MS.
uint16_t harness_wait(struct harness_queue *queue, uint32_t *length);
// Offers, kicks, waits: length of the used entry.
uint32_t harness_request(struct harness_queue *queue, uint16_t head);
