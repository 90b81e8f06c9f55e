// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Fuzz target: both ends of the serial port at once: the registers in the coordinator, which a
// guest accesses with any width, and the process that holds the terminal. Between them lies shared
// memory into which either of them, compromised, may write anything at any time. Neither end leaves
// its arrays or fails to come back.
#include "tests/fuzz/device_rig.h"

#include "main/machine/layout.h"
#include "main/machine/serial.h"
#include "tests/unit/scripted_hypervisor.h"

#include <fcntl.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct step {
    uint8_t action;
    uint8_t offset;
    uint16_t place;
    uint8_t bytes[4];
} __attribute__((packed));

enum action {
    ACTION_READ,
    ACTION_WRITE,
    ACTION_TYPE,
    ACTION_LOOK,
    ACTION_TURN,
    ACTION_PUMP,
    ACTION_SCRIBBLE, // one of the words that the two ends share
    ACTION_DATA,
    ACTION_RESET,
    ACTIONS,
};

static struct {
    struct byte_ring_pair *rings;
    struct bus bus;
    struct serial serial;
    int to_device; // eventfds
    int to_registers;
    int keyboard;
    int screen;
} wires;

static int pipe_end(int *other, bool other_reads)
{
    int fds[2];

    require(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0 && fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 4096);
    *other = fds[other_reads ? 0 : 1];
    return fds[other_reads ? 1 : 0];
}

static void give(unsigned at, device_DescriptorRole role, int fd)
{
    require(fd >= 0);
    the_rig.back_ends[at].role = role;
    the_rig.back_ends[at].fd = fd;
}

static void attach_device(void)
{
    const device_Attach attach = {.which_config = device_Attach_serial_tag,
                                  .config.serial.escape = true};
    struct device *device = &the_rig.device;
    int ring_fd = guest_memory_create(sizeof(struct byte_ring_pair));

    require(ring_fd >= 0);
    wires.rings = mmap(NULL, sizeof(*wires.rings), PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
    wires.to_device = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wires.to_registers = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    require(wires.rings != MAP_FAILED && wires.to_device >= 0 && wires.to_registers >= 0);
    give(0, device_DescriptorRole_ROLE_RING, ring_fd);
    give(1, device_DescriptorRole_ROLE_KICK, dup(wires.to_device));
    give(2, device_DescriptorRole_ROLE_CALL, dup(wires.to_registers));
    give(3, device_DescriptorRole_ROLE_INPUT, pipe_end(&wires.keyboard, false));
    give(4, device_DescriptorRole_ROLE_OUTPUT, pipe_end(&wires.screen, true));
    require(event_loop_init(&device->loop) == 0);
    require(channel_pair(&the_rig.coordinator, &device->channel) == 0);
    device->ops = &device_ops;
    require(device->ops->attach(device, &attach) == 0 && device_transport_watch(device) == 0);
}

static void guest_access(const struct step *step, bool is_write)
{
    uint8_t data[8] = {0};

    memcpy(data, step->bytes, sizeof(step->bytes));
    bus_access(&wires.bus, &(struct exit_access){
                               .space = EXIT_PIO,
                               .address = MACHINE_PORT_SERIAL + step->offset % 8u,
                               .length = (uint8_t)(1u << (step->place & 3)),
                               .write = is_write,
                               .data = data,
                           });
}

static void scribble(const struct step *step)
{
    struct byte_ring *ring =
        (step->offset & 1) != 0 ? &wires.rings->to_guest : &wires.rings->from_guest;
    _Atomic uint32_t *words[] = {&ring->head, &ring->blocked, &ring->tail, &ring->sleeping};
    uint32_t value;

    memcpy(&value, step->bytes, sizeof(value));
    // Near what is there, or anything.
    if ((step->offset & 2) != 0)
        value = *words[step->place % 4] + (value & 0x1fff) - 0x1000;
    *words[step->place % 4] = value;
}

static void pump(void)
{
    uint64_t count;

    if (read(wires.to_registers, &count, sizeof(count)) == sizeof(count))
        serial_pump(&wires.serial);
}

static void look(void)
{
    char bytes[4096];

    if (read(wires.screen, bytes, sizeof(bytes)) < 0)
        return; // nothing new
}

static void type(const struct step *step)
{
    if (write(wires.keyboard, step->bytes, sizeof(step->bytes)) < 0)
        return; // the device does not read
}

static void take(const struct step *step)
{
    switch ((enum action)(step->action % ACTIONS)) {
    case ACTION_READ:
    case ACTION_WRITE:
        guest_access(step, step->action % ACTIONS == ACTION_WRITE);
        break;
    case ACTION_TYPE:
        type(step);
        break;
    case ACTION_LOOK:
        look();
        break;
    case ACTION_TURN:
        rig_turn(&the_rig);
        break;
    case ACTION_PUMP:
        pump();
        break;
    case ACTION_SCRIBBLE:
        scribble(step);
        break;
    case ACTION_DATA:
        wires.rings->from_guest.data[step->place % BYTE_RING_SIZE] = step->bytes[0];
        break;
    case ACTION_RESET:
    case ACTIONS:
        serial_reset(&wires.serial);
    }
    require(wires.serial.receive.count <= SERIAL_FIFO_SIZE &&
            wires.serial.transmit.count <= SERIAL_FIFO_SIZE);
    require(wires.serial.receive.first < SERIAL_FIFO_SIZE &&
            wires.serial.transmit.first < SERIAL_FIFO_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct step step;

    if (the_rig.device.ops == NULL)
        attach_device();
    memset(wires.rings, 0, sizeof(*wires.rings));
    wires.bus = (struct bus){0};
    serial_init(&wires.serial, scripted_hypervisor(), wires.rings, wires.to_device);
    require(serial_attach(&wires.serial, &wires.bus) == 0);
    for (size_t at = 0; length - at >= sizeof(step); at += sizeof(step)) {
        memcpy(&step, bytes + at, sizeof(step));
        take(&step);
    }
    for (unsigned turns = 0; turns < 4; turns++) {
        look();
        rig_turn(&the_rig);
        pump();
    }
    return 0;
}
