// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Fuzz target: the registers as a state machine. The input is a list of steps, each an access to
// configuration space, a BAR or any address, or something that a device process does; after each
// step the invariants between registers and hypervisor are checked.
#include "tests/unit/machine_fixture.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct step {
    uint8_t action;
    uint8_t function;
    uint8_t length;
    uint8_t value[5];
    uint16_t offset;
} __attribute__((packed));

enum action {
    ACTION_CONFIG,
    ACTION_PORTS,
    ACTION_COMMON,
    ACTION_BAR,
    ACTION_IO_BAR,
    ACTION_ANYWHERE,
    ACTION_DEVICE,
    ACTION_DRIVE, // all that a driver does to start function 0
    ACTION_ARM,   // a vector of function 0, for a queue or the configuration
    ACTIONS,
};

enum device_action {
    DEVICE_DONE,
    DEVICE_HELLO,
    DEVICE_LOST,
    DEVICE_OFFLINE,
    DEVICE_FAULT,
    DEVICE_IMAGE,
    DEVICE_CALL,
    DEVICE_MACHINE_RESET,
    DEVICE_ACTIONS,
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t value_of(const struct step *step)
{
    uint64_t value = 0;

    memcpy(&value, step->value, sizeof(step->value));
    return value;
}

static void guest_access(struct fixture *fixture, const struct step *step, enum exit_space space,
                         uint64_t address)
{
    // Mostly widths that there are; sometimes one that is not.
    unsigned length = step->length & 0x40 ? step->length % 9 : 1u << (step->length & 3);

    if (step->length & 0x80)
        load(fixture, space, address, length);
    else
        store(fixture, space, address, length, value_of(step));
}

static void device_does(struct fixture *fixture, const struct step *step)
{
    struct virtio_function *function = &fixture->functions[step->function % FIXTURE_FUNCTIONS];
    const struct told *told = &fixture->told[step->function % FIXTURE_FUNCTIONS];

    switch (step->length % DEVICE_ACTIONS) {
    case DEVICE_DONE:
        virtio_pci_done(function, told->serial - step->value[0] % 4);
        break;
    case DEVICE_HELLO:
        virtio_pci_hello(function, step->value[1] & 1 ? FIXTURE_FEATURES : value_of(step),
                         step->value, step->value[0] % sizeof(step->value));
        break;
    case DEVICE_LOST:
        virtio_pci_lost(function);
        break;
    case DEVICE_OFFLINE:
        virtio_pci_offline(function);
        break;
    case DEVICE_FAULT:
        virtio_pci_needs_reset(function);
        break;
    case DEVICE_IMAGE:
        virtio_pci_config_image(function, step->value, step->value[0] % sizeof(step->value));
        break;
    case DEVICE_CALL:
        ring(
            fixture->call_fds[step->function % FIXTURE_FUNCTIONS][step->value[0] % FIXTURE_QUEUES]);
        break;
    default:
        virtio_pci_machine_reset(function);
    }
}

static void arm(struct fixture *fixture, const struct step *step)
{
    unsigned source = step->value[0] % FIXTURE_VECTORS;
    unsigned vector = step->value[1] % FIXTURE_VECTORS;

    arm_vector(fixture, vector);
    put(fixture, QUEUE_SELECT, source);
    put(fixture, source < FIXTURE_QUEUES ? QUEUE_VECTOR : CONFIG_VECTOR, vector);
}

static void take(struct fixture *fixture, const struct step *step)
{
    unsigned slot = 1 + step->function % FIXTURE_FUNCTIONS;
    const struct pci_bar *bars = fixture->functions[slot - 1].function.bars;

    switch (step->action % ACTIONS) {
    case ACTION_CONFIG:
        guest_access(fixture, step, EXIT_MMIO, ecam(step->function % 4, step->offset % 4096));
        break;
    case ACTION_PORTS:
        guest_access(fixture, step, EXIT_PIO, MACHINE_PORT_PCI_ADDRESS + step->offset % 8);
        break;
    case ACTION_COMMON:
        guest_access(fixture, step, EXIT_MMIO, bars[VIRTIO_BAR_MEMORY].address + step->offset % 64);
        break;
    case ACTION_BAR:
        guest_access(fixture, step, EXIT_MMIO,
                     bars[VIRTIO_BAR_MEMORY].address + step->offset % VIRTIO_BAR_MEMORY_SIZE);
        break;
    case ACTION_IO_BAR:
        guest_access(fixture, step, EXIT_PIO, bars[VIRTIO_BAR_IO].address + step->offset % 32);
        break;
    case ACTION_ANYWHERE:
        guest_access(fixture, step, step->function & 1 ? EXIT_PIO : EXIT_MMIO,
                     value_of(step) << 8 | (step->offset & 0xff));
        break;
    case ACTION_DRIVE:
        drive(fixture, step->value[0] % (FIXTURE_QUEUES + 1));
        break;
    case ACTION_ARM:
        arm(fixture, step);
        break;
    default:
        device_does(fixture, step);
    }
}

// Doorbells stand only inside BARs that answer, where PCI may put them.
static void check_doorbells(const struct fixture *fixture)
{
    for (unsigned i = 0; i < fixture->hypervisor->doorbell_count; i++) {
        const struct scripted_doorbell *doorbell = &fixture->hypervisor->doorbells[i];
        bool inside = false;

        for (unsigned n = 0; n < FIXTURE_FUNCTIONS; n++) {
            const struct pci_bar *bar =
                &fixture->functions[n]
                     .function
                     .bars[doorbell->space == EXIT_PIO ? VIRTIO_BAR_IO : VIRTIO_BAR_MEMORY];

            inside = inside || (bar->mapped && doorbell->address - bar->address < bar->size);
        }
        require(inside);
    }
}

static void check_windows(const struct fixture *fixture)
{
    for (unsigned space = EXIT_PIO; space <= EXIT_MMIO; space++) {
        const struct bus_window *windows = fixture->bus.spaces[space].windows;

        for (unsigned i = 1; i < fixture->bus.spaces[space].count; i++)
            require(windows[i].start - windows[i - 1].start >= windows[i - 1].size);
        for (unsigned i = 0; space == EXIT_MMIO && i < fixture->bus.spaces[space].count; i++)
            require(
                windows[i].start >= FIXTURE_MEMORY64 ||
                (windows[i].start >= MACHINE_HOLE_START && windows[i].start < MACHINE_IOAPIC_BASE));
    }
}

// An eventfd is connected to a gsi of its own function, exactly while its vector may be delivered.
static void check_interrupts(const struct fixture *fixture)
{
    unsigned connected = 0;

    for (unsigned n = 0; n < FIXTURE_FUNCTIONS; n++) {
        const struct msix *msix = &fixture->functions[n].msix;

        for (unsigned s = 0; s < FIXTURE_VECTORS; s++) {
            const struct msix_source *source = &msix->sources[s];
            int gsi = scripted_connected(fixture->hypervisor, source->event_fd);
            const struct msix_entry *entry =
                source->vector < FIXTURE_VECTORS ? &msix->table[source->vector] : NULL;
            bool wanted = entry && msix->control == MSIX_CONTROL_ENABLE && !entry->control &&
                          entry->address_high == 0 && entry->address_low >> 20 == 0xfee;

            require(wanted == (gsi >= 0));
            if (!wanted)
                continue;
            connected++;
            require((unsigned)gsi == fixture_gsi(n) + source->vector);
            require(fixture->hypervisor->routed[gsi].address == entry->address_low &&
                    fixture->hypervisor->routed[gsi].data == entry->data);
        }
    }
    require(connected == fixture->hypervisor->interrupt_count);
}

static void check_life(const struct fixture *fixture)
{
    for (unsigned n = 0; n < FIXTURE_FUNCTIONS; n++) {
        const struct virtio_function *function = &fixture->functions[n];

        require(!function->resetting || function->status != 0);
        require(function->presence == VIRTIO_PRESENT || !function->resetting);
        require(!function->started || function->posted);
        require(!(function->status & VIRTIO_STATUS_DRIVER_OK) ||
                function->status & VIRTIO_STATUS_FEATURES_OK);
        for (unsigned q = 0; q < FIXTURE_QUEUES; q++) {
            const struct virtio_queue *queue = &function->queues[q];

            require(queue->size > 0 && queue->size <= VIRTIO_QUEUE_SIZE_MAX &&
                    (queue->size & (queue->size - 1)) == 0);
            require(!queue->resetting || (queue->enabled && function->started));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct fixture fixture;
    struct step step;

    require(fixture_init(&fixture) == 0);
    for (unsigned slot = 1; slot <= FIXTURE_FUNCTIONS; slot++)
        enable(&fixture, slot);
    for (size_t at = 0; length - at >= sizeof(step); at += sizeof(step)) {
        memcpy(&step, bytes + at, sizeof(step));
        take(&fixture, &step);
        check_windows(&fixture);
        check_doorbells(&fixture);
        check_interrupts(&fixture);
        check_life(&fixture);
    }
    fixture_destroy(&fixture);
    return 0;
}
