// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The back end of the serial port: moves bytes between the byte rings that it shares with the
// coordinator (which has the registers) and the user's terminal or file. Sees no guest memory.
#include "devices/device.h"
#include "devices/terminal.h"
#include "ipc/byte_ring.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct serial {
    struct device *device;
    struct byte_ring_pair *rings;
    int kick_fd;  // from the coordinator: bytes or room
    int call_fd;  // to the coordinator: bytes or room
    int input_fd; // -1: none
    int output_fd;
    int input_source; // -1: not watched
    int output_source;
    struct terminal_escape escape;
    size_t out_used; // bytes taken from the ring and not yet written
    size_t out_done;
    uint8_t out[BYTE_RING_SIZE];
};

static void tell_coordinator(const struct serial *serial)
{
    static const uint64_t one = 1;

    if (write(serial->call_fd, &one, sizeof(one)) < 0)
        return; // the counter is full: it is told already
}

// Writes what was taken. Whether all of it went out.
static bool flush_output(struct serial *serial)
{
    while (serial->out_done < serial->out_used) {
        ssize_t put = write(serial->output_fd, serial->out + serial->out_done,
                            serial->out_used - serial->out_done);

        if (put < 0 && errno == EAGAIN && serial->output_source >= 0) {
            event_loop_modify(&serial->device->loop, serial->output_source,
                              EPOLLOUT | EPOLLONESHOT);
            return false;
        }
        // A reader that went away, a full disk: like a cable that was pulled, the bytes are lost.
        if (put <= 0)
            break;
        serial->out_done += (size_t)put;
    }
    serial->out_done = 0;
    serial->out_used = 0;
    return true;
}

static void drain(struct serial *serial)
{
    struct byte_ring *ring = &serial->rings->from_guest;
    bool wake;

    if (!flush_output(serial))
        return;
    do {
        while ((serial->out_used = byte_ring_get(ring, serial->out, sizeof(serial->out), &wake)) >
               0) {
            if (wake)
                tell_coordinator(serial);
            if (!flush_output(serial))
                return;
        }
    } while (!byte_ring_sleep(ring));
}

// Watches the input while there is room for it. Watches are for one event: a hang-up, which cannot
// be masked, would else wake us for ever.
static void watch_input(struct serial *serial)
{
    if (serial->input_source >= 0 && byte_ring_has_room(&serial->rings->to_guest))
        event_loop_modify(&serial->device->loop, serial->input_source, EPOLLIN | EPOLLONESHOT);
}

// A guest writes byte by byte, each an exit. Who woke for each would cost it more than the exits:
// what follows within a moment is taken together.
static void gather(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

static void on_kick(void *context, uint32_t events)
{
    struct serial *serial = context;

    gather();
    drain(serial);
    watch_input(serial);
}

static void on_output(void *context, uint32_t events)
{
    struct serial *serial = context;

    drain(serial);
}

static void on_input(void *context, uint32_t events)
{
    struct serial *serial = context;
    struct byte_ring *ring = &serial->rings->to_guest;
    size_t room = BYTE_RING_SIZE - byte_ring_used(ring);
    uint8_t bytes[256];
    bool wake = false;
    bool quit = false;
    ssize_t got;

    if (!byte_ring_has_room(ring))
        return; // a kick says when there is room again
    got = read(serial->input_fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) {
            watch_input(serial);
            return;
        }
        event_loop_remove(&serial->device->loop, serial->input_source);
        serial->input_source = -1;
        return;
    }
    got = (ssize_t)terminal_filter(&serial->escape, bytes, (size_t)got, &quit);
    byte_ring_put(ring, bytes, (size_t)got, &wake);
    if (wake)
        tell_coordinator(serial);
    if (quit)
        device_quit(serial->device);
    watch_input(serial);
}

static int map_rings(struct serial *serial)
{
    _cleanup_fd_
    int fd = device_take(serial->device, device_DescriptorRole_ROLE_RING);
    void *at;

    if (fd < 0)
        return -EPROTO;
    at = mmap(NULL, sizeof(*serial->rings), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    serial->rings = at;
    return 0;
}

static int watch(struct serial *serial)
{
    struct event_loop *loop = &serial->device->loop;
    int error = event_loop_add(loop, serial->kick_fd, EPOLLIN | EPOLLET, on_kick, serial);

    if (error < 0)
        return error;
    // A regular file cannot be watched, and need not be: it never makes its writer wait for a
    // reader.
    serial->input_source =
        serial->input_fd < 0
            ? -1
            : event_loop_add(loop, serial->input_fd, EPOLLIN | EPOLLONESHOT, on_input, serial);
    serial->output_source =
        event_loop_add(loop, serial->output_fd, EPOLLONESHOT, on_output, serial);
    return 0;
}

static int serial_attach(struct device *device, const device_Attach *attach)
{
    static struct serial serial;
    int error;

    if (attach->which_config != device_Attach_serial_tag || device->queue_count != 0)
        return -EINVAL;
    serial.device = device;
    serial.escape.enabled = attach->config.serial.escape;
    serial.kick_fd = device_take(device, device_DescriptorRole_ROLE_KICK);
    serial.call_fd = device_take(device, device_DescriptorRole_ROLE_CALL);
    serial.input_fd = device_take(device, device_DescriptorRole_ROLE_INPUT);
    serial.output_fd = device_take(device, device_DescriptorRole_ROLE_OUTPUT);
    if (serial.kick_fd < 0 || serial.call_fd < 0 || serial.output_fd < 0)
        return -EPROTO;
    error = map_rings(&serial);
    if (error < 0)
        return error;
    error = watch(&serial);
    if (error == 0)
        drain(&serial); // what a predecessor left, and the word that this side sleeps
    return error;
}

static void serial_kicked(struct device *device, unsigned queue)
{
    (void)device; // there are no queues
    (void)queue;
}

const struct device_ops device_ops = {
    .kind = DEVICE_serial,
    .attach = serial_attach,
    .kicked = serial_kicked,
};
