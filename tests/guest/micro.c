// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The smallest machine around a micro guest; see micro.h.
#include "tests/guest/micro.h"

#include "main/machine/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000 // an emulated host is slow, and the machine may be busy

static uint64_t read_bytes(void *context, uint64_t offset, unsigned length)
{
    struct micro *micro = context;
    uint64_t value = 0;

    for (unsigned i = 0; i < length; i++)
        value |= (uint64_t)micro->next_byte++ << (8 * i);
    return value;
}

static void write_report(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    struct micro *micro = context;

    if (micro->report_count < MICRO_REPORTS_MAX)
        micro->reports[micro->report_count++] = (uint32_t)value;
}

static uint64_t read_mmio(void *context, uint64_t offset, unsigned length)
{
    const struct micro *micro = context;
    uint64_t value = 0;

    memcpy(&value, micro->mmio + offset, length);
    return value;
}

static void write_mmio(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    struct micro *micro = context;

    micro->mmio_writes++;
    memcpy(micro->mmio + offset, &value, length);
}

static const struct bus_ops report_ops = {"report", read_bytes, write_report};
static const struct bus_ops mmio_ops = {"mmio", read_mmio, write_mmio};

static void on_event(void *context, enum machine_event event)
{
    struct micro *micro = context;

    micro->events |= 1u << event;
}

static void on_failed(void *context, unsigned index, const char *detail)
{
    struct micro *micro = context;

    pthread_mutex_lock(&micro->lock);
    micro->failures++;
    pthread_mutex_unlock(&micro->lock);
    print_message("vCPU %u: %s\n", index, detail);
}

static void add_windows(struct micro *micro)
{
    const struct bus_window windows[] = {
        {MICRO_REPORT, 8, &report_ops, micro},
        {MICRO_READ_BYTES, 8, &report_ops, micro},
    };
    const struct bus_window mmio = {MICRO_MMIO, sizeof(micro->mmio), &mmio_ops, micro};

    assert_int_equal(bus_add(&micro->bus, EXIT_PIO, &windows[0]), 0);
    assert_int_equal(bus_add(&micro->bus, EXIT_PIO, &windows[1]), 0);
    assert_int_equal(bus_add(&micro->bus, EXIT_MMIO, &mmio), 0);
}

static void put(struct micro *micro, uint64_t at, uint64_t value)
{
    assert_int_equal(guest_write(micro->memory, guest_address(at), &value, sizeof(value)), 0);
}

// Identity map of 4 GiB in pages of 2 MiB, and the boot protocol's descriptors.
static void write_tables(struct micro *micro)
{
    const uint64_t present = 0x3, large = 0x80, page = 0x1000;

    put(micro, MICRO_TABLES, (MICRO_TABLES + page) | present);
    for (unsigned i = 0; i < 4; i++)
        put(micro, MICRO_TABLES + page + 8 * i, (MICRO_TABLES + (2 + i) * page) | present);
    for (uint64_t i = 0; i < 4 * 512; i++)
        put(micro, MICRO_TABLES + 2 * page + 8 * i, i << 21 | large | present);
    put(micro, MICRO_GDT + 0x10, 0x00af9b000000ffffull);
    put(micro, MICRO_GDT + 0x18, 0x00cf93000000ffffull);
}

static void map_memory(struct micro *micro)
{
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned count = guest_memory_layout(MICRO_MEMORY, MACHINE_HOLE_START, regions);
    int fd = guest_memory_create(MICRO_MEMORY);

    assert_true(fd >= 0);
    assert_int_equal(guest_memory_map(fd, regions, count, &micro->memory), 0);
    close(fd);
    assert_int_equal(hypervisor_map(micro->hypervisor, micro->memory), 0);
}

void micro_create(struct micro *micro, unsigned cpus)
{
    struct vcpus_setup setup = {.count = cpus};

    memset(micro, 0, sizeof(*micro));
    pthread_mutex_init(&micro->lock, NULL);
    micro->parked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(hypervisor_create(open("/dev/kvm", O_RDWR | O_CLOEXEC), &micro->hypervisor),
                     0);
    micro->host =
        (struct machine_host){.context = micro, .event = on_event, .hypervisor = micro->hypervisor};
    map_memory(micro);
    write_tables(micro);
    add_windows(micro);
    setup.hypervisor = micro->hypervisor;
    setup.bus = &micro->bus;
    setup.lock = &micro->lock;
    setup.host = &micro->host;
    setup.parked_fd = micro->parked_fd;
    setup.failed = on_failed;
    setup.failed_context = micro;
    assert_int_equal(vcpus_create(&setup, &micro->vcpus), 0);
    micro_wait_parked(micro);
}

void micro_load(struct micro *micro, uint64_t at, const uint8_t *start, const uint8_t *end)
{
    assert_int_equal(guest_write(micro->memory, guest_address(at), start, (size_t)(end - start)),
                     0);
}

void micro_start(struct micro *micro, enum boot_protocol protocol)
{
    micro->boot = (struct boot_state){
        .protocol = protocol,
        .entry = MICRO_CODE,
        .argument = MICRO_ARGUMENT,
        .page_tables = MICRO_TABLES,
        .gdt = MICRO_GDT,
    };
    assert_int_equal(vcpus_start(micro->vcpus, &micro->boot), 0);
}

typedef bool condition(struct micro *micro, unsigned argument);

static void wait_until(struct micro *micro, condition *holds, unsigned argument, const char *what)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (unsigned i = 0; i < PATIENCE_MS; i++) {
        bool done;

        pthread_mutex_lock(&micro->lock);
        done = holds(micro, argument);
        pthread_mutex_unlock(&micro->lock);
        if (done)
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("%s: %u reports, events 0x%x", what, micro->report_count, micro->events);
}

static bool reported(struct micro *micro, unsigned count)
{
    return micro->report_count >= count;
}

static bool happened(struct micro *micro, unsigned event)
{
    bool there = micro->events & (1u << event);

    micro->events &= ~(1u << event);
    return there;
}

void micro_wait_reports(struct micro *micro, unsigned count)
{
    wait_until(micro, reported, count, "the guest did not report");
}

static bool failed(struct micro *micro, unsigned count)
{
    return micro->failures >= count;
}

void micro_wait_failures(struct micro *micro, unsigned count)
{
    wait_until(micro, failed, count, "no vCPU failed");
}

void micro_wait_event(struct micro *micro, enum machine_event event)
{
    wait_until(micro, happened, event, "the event did not come");
}

void micro_wait_parked(struct micro *micro)
{
    struct pollfd wait = {.fd = micro->parked_fd, .events = POLLIN};
    uint64_t count;

    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    assert_int_equal(read(micro->parked_fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    assert_true(vcpus_parked(micro->vcpus));
}

void micro_destroy(struct micro *micro)
{
    if (!vcpus_parked(micro->vcpus)) {
        vcpus_park(micro->vcpus);
        micro_wait_parked(micro);
    }
    vcpus_destroy(micro->vcpus);
    guest_memory_unmap(micro->memory);
    hypervisor_destroy(micro->hypervisor);
    close(micro->parked_fd);
    pthread_mutex_destroy(&micro->lock);
}
