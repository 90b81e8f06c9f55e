// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A machine for tests of registers: a bus, PCI, two virtio functions on the scripted hypervisor,
// and a transport that notes what it is told. The helpers do what a guest does.
#pragma once

#include "ipc/cleanup.h"
#include "main/machine/layout.h"
#include "main/machine/virtio_pci.h"
#include "main/machine/virtio_registers.h"
#include "tests/unit/scripted_hypervisor.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FIXTURE_FUNCTIONS 2u
#define FIXTURE_QUEUES 4u
#define FIXTURE_VECTORS (FIXTURE_QUEUES + 1)
#define FIXTURE_MEMORY64 UINT64_C(0x180000000) // memory ends at 6 GiB
#define FIXTURE_FEATURES UINT64_C(0x7e66)

struct told {
    unsigned starts, resets, queue_starts, queue_resets, config_writes;
    struct virtio_start start;
    struct virtio_queue_place queue;
    uint32_t serial;
    unsigned index;
    uint32_t offset, length;
    uint64_t value;
    bool answers_at_once; // virtio_pci_done from inside the call
    struct virtio_function *function;
};

struct fixture {
    struct bus bus;
    struct pci_bus pci;
    struct machine_host host;
    struct hypervisor *hypervisor;
    unsigned events[3];
    struct virtio_function functions[FIXTURE_FUNCTIONS];
    struct told told[FIXTURE_FUNCTIONS];
    int kick_fds[FIXTURE_FUNCTIONS][FIXTURE_QUEUES];
    int call_fds[FIXTURE_FUNCTIONS][FIXTURE_QUEUES];
    int config_fds[FIXTURE_FUNCTIONS];
};

static inline void told_start(void *context, const struct virtio_start *start)
{
    struct told *told = context;

    told->starts++;
    told->start = *start;
}

static inline void told_reset(void *context, uint32_t serial)
{
    struct told *told = context;

    told->resets++;
    told->serial = serial;
    if (told->answers_at_once)
        virtio_pci_done(told->function, serial);
}

static inline void told_queue_start(void *context, const struct virtio_queue_place *queue)
{
    struct told *told = context;

    told->queue_starts++;
    told->queue = *queue;
}

static inline void told_queue_reset(void *context, uint32_t serial, unsigned index)
{
    struct told *told = context;

    told->queue_resets++;
    told->serial = serial;
    told->index = index;
    if (told->answers_at_once)
        virtio_pci_done(told->function, serial);
}

static inline void told_config_write(void *context, uint32_t offset, uint32_t length,
                                     uint64_t value)
{
    struct told *told = context;

    told->config_writes++;
    told->offset = offset;
    told->length = length;
    told->value = value;
}

static const struct virtio_transport_ops told_ops = {
    .start = told_start,
    .reset = told_reset,
    .queue_start = told_queue_start,
    .queue_reset = told_queue_reset,
    .config_write = told_config_write,
};

static inline void fixture_event(void *context, enum machine_event event)
{
    struct fixture *fixture = context;

    fixture->events[event]++;
}

static inline unsigned fixture_gsi(unsigned function)
{
    return HYPERVISOR_GSI_MSI_FIRST + function * FIXTURE_VECTORS;
}

static inline int fixture_eventfd(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static inline int fixture_add(struct fixture *fixture, unsigned n)
{
    const struct virtio_function_config config = {
        .kind = device_kind_find(DEVICE_block),
        .id = "block",
        .queue_count = FIXTURE_QUEUES,
        .kick_fds = fixture->kick_fds[n],
        .call_fds = fixture->call_fds[n],
        .config_fd = fixture->config_fds[n] = fixture_eventfd(),
        .gsi_first = fixture_gsi(n),
        .transport = &told_ops,
        .transport_context = &fixture->told[n],
    };

    for (unsigned q = 0; q < FIXTURE_QUEUES; q++) {
        fixture->kick_fds[n][q] = fixture_eventfd();
        fixture->call_fds[n][q] = fixture_eventfd();
    }
    fixture->told[n] = (struct told){.function = &fixture->functions[n]};
    return virtio_pci_init(&fixture->functions[n], &config, &fixture->pci, n + 1);
}

// Both functions are there, the first one has said Hello with 16 bytes of configuration (0, 1, 2
// ...).
static inline int fixture_init(struct fixture *fixture)
{
    uint8_t config[16];
    int error;

    *fixture = (struct fixture){.hypervisor = scripted_hypervisor()};
    fixture->host = (struct machine_host){
        .context = fixture, .event = fixture_event, .hypervisor = fixture->hypervisor};
    error = pci_bus_init(&fixture->pci, &fixture->bus, &fixture->host, FIXTURE_MEMORY64);
    for (unsigned n = 0; error == 0 && n < FIXTURE_FUNCTIONS; n++)
        error = fixture_add(fixture, n);
    for (unsigned i = 0; i < sizeof(config); i++)
        config[i] = (uint8_t)i;
    return error
               ? error
               : virtio_pci_hello(&fixture->functions[0], FIXTURE_FEATURES, config, sizeof(config));
}

static inline void fixture_destroy(struct fixture *fixture)
{
    for (unsigned n = 0; n < FIXTURE_FUNCTIONS; n++) {
        for (unsigned q = 0; q < FIXTURE_QUEUES; q++) {
            close(fixture->kick_fds[n][q]);
            close(fixture->call_fds[n][q]);
        }
        close(fixture->config_fds[n]);
    }
}

// Takes the signals of an eventfd: how many there were.
static inline uint64_t drain(int event_fd)
{
    uint64_t count;

    return read(event_fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? count : 0;
}

static inline void ring(int event_fd)
{
    const uint64_t one = 1;

    if (write(event_fd, &one, sizeof(one)) < 0)
        return;
}

static inline uint64_t load(struct fixture *fixture, enum exit_space space, uint64_t address,
                            unsigned length)
{
    uint64_t value = 0;

    bus_access(&fixture->bus, &(struct exit_access){.space = space,
                                                    .address = address,
                                                    .length = (uint8_t)length,
                                                    .data = (uint8_t *)&value});
    return value;
}

// A guest's write: the hypervisor takes it when a doorbell is there.
static inline void store(struct fixture *fixture, enum exit_space space, uint64_t address,
                         unsigned length, uint64_t value)
{
    if (scripted_store(fixture->hypervisor, space, address, length))
        return;
    bus_access(&fixture->bus, &(struct exit_access){.space = space,
                                                    .address = address,
                                                    .length = (uint8_t)length,
                                                    .write = true,
                                                    .data = (uint8_t *)&value});
}

static inline uint64_t ecam(unsigned slot, unsigned offset)
{
    return MACHINE_ECAM_BASE + slot * 0x8000 + offset;
}

static inline uint32_t config_load(struct fixture *fixture, unsigned slot, unsigned offset,
                                   unsigned length)
{
    return (uint32_t)load(fixture, EXIT_MMIO, ecam(slot, offset), length);
}

static inline void config_store(struct fixture *fixture, unsigned slot, unsigned offset,
                                unsigned length, uint32_t value)
{
    store(fixture, EXIT_MMIO, ecam(slot, offset), length, value);
}

// Switches decoding on; address of the memory BAR.
static inline uint64_t enable(struct fixture *fixture, unsigned slot)
{
    config_store(fixture, slot, PCI_COMMAND, 2,
                 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    return config_load(fixture, slot, PCI_BAR0, 4) & ~0xfu;
}

static inline uint16_t io_base(struct fixture *fixture, unsigned slot)
{
    return (uint16_t)(config_load(fixture, slot, PCI_BAR0 + 8, 4) & ~3u);
}

// Offset of the capability with this identifier (and, for vendor capabilities, type) after `from`,
// or 0. `from` 0: the first.
static inline unsigned capability_after(struct fixture *fixture, unsigned slot, unsigned from,
                                        unsigned id, unsigned type)
{
    unsigned at = config_load(fixture, slot, from ? from + 1 : PCI_CAPABILITIES, 1);

    for (unsigned steps = 0; at && steps < 64; steps++) {
        if (config_load(fixture, slot, at, 1) == id &&
            (id != PCI_CAPABILITY_VENDOR || config_load(fixture, slot, at + 3, 1) == type))
            return at;
        at = config_load(fixture, slot, at + 1, 1);
    }
    return 0;
}

// Registers of the common configuration of function 0.
enum common_offset {
    DEVICE_FEATURE_SELECT = 0x00,
    DEVICE_FEATURE = 0x04,
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    CONFIG_VECTOR = 0x10,
    NUM_QUEUES = 0x12,
    DEVICE_STATUS = 0x14,
    CONFIG_GENERATION = 0x15,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESCRIPTORS = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
    QUEUE_NOTIFY_DATA = 0x38,
    QUEUE_RESET = 0x3a,
};

static inline unsigned common_width(unsigned offset)
{
    if (offset < CONFIG_VECTOR)
        return 4;
    if (offset == DEVICE_STATUS || offset == CONFIG_GENERATION)
        return 1;
    return offset >= QUEUE_DESCRIPTORS && offset < QUEUE_NOTIFY_DATA ? 8 : 2;
}

static inline uint64_t get(struct fixture *fixture, unsigned offset)
{
    return load(fixture, EXIT_MMIO, enable(fixture, 1) + offset, common_width(offset));
}

static inline void put(struct fixture *fixture, unsigned offset, uint64_t value)
{
    store(fixture, EXIT_MMIO, enable(fixture, 1) + offset, common_width(offset), value);
}

// Up to FEATURES_OK, with these features of the device accepted. The status that is read back.
static inline uint8_t negotiate(struct fixture *fixture, uint64_t features)
{
    put(fixture, DEVICE_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    put(fixture, DEVICE_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    for (unsigned word = 0; word < 2; word++) {
        put(fixture, DRIVER_FEATURE_SELECT, word);
        put(fixture, DRIVER_FEATURE, (uint32_t)(features >> (32 * word)));
    }
    put(fixture, DEVICE_STATUS,
        VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    return (uint8_t)get(fixture, DEVICE_STATUS);
}

#define FEATURE(bit) (UINT64_C(1) << (bit))
#define USUAL_FEATURES (FEATURE(32) | FEATURE(40) | FEATURE(28) | FEATURE(29) | FEATURE(9))
#define STATUS_RUNNING                                                                             \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |                \
     VIRTIO_STATUS_DRIVER_OK)

static inline void place_queue(struct fixture *fixture, unsigned queue)
{
    put(fixture, QUEUE_SELECT, queue);
    put(fixture, QUEUE_SIZE, 64);
    put(fixture, QUEUE_DESCRIPTORS, 0x100000000 + queue * 0x10000);
    put(fixture, QUEUE_DRIVER, 0x100001000 + queue * 0x10000);
    put(fixture, QUEUE_DEVICE, 0x100002000 + queue * 0x10000);
    put(fixture, QUEUE_ENABLE, 1);
}

// All that a driver does, with `queues` queues.
static inline void drive(struct fixture *fixture, unsigned queues)
{
    negotiate(fixture, USUAL_FEATURES);
    for (unsigned queue = 0; queue < queues; queue++)
        place_queue(fixture, queue);
    put(fixture, DEVICE_STATUS, STATUS_RUNNING);
}

// Enables MSI-X of function 0 with `vector` unmasked and its message set.
static inline void arm_vector(struct fixture *fixture, unsigned vector)
{
    uint64_t entry = enable(fixture, 1) + VIRTIO_MSIX_TABLE_OFFSET + vector * MSIX_ENTRY_SIZE;
    unsigned at = capability_after(fixture, 1, 0, PCI_CAPABILITY_MSIX, 0);

    config_store(fixture, 1, at + 2, 2, MSIX_CONTROL_ENABLE);
    store(fixture, EXIT_MMIO, entry, 4, 0xfee01000);
    store(fixture, EXIT_MMIO, entry + 4, 4, 0);
    store(fixture, EXIT_MMIO, entry + 8, 4, 0x4020 + vector);
    store(fixture, EXIT_MMIO, entry + 12, 4, 0);
}
