// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Configuration space as the guest finds it, and BARs that the guest moves: they follow, and they
// never stand before memory, the interrupt controllers or each other.
#include "tests/unit/machine_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ADDRESS MACHINE_PORT_PCI_ADDRESS
#define DATA MACHINE_PORT_PCI_DATA

static int setup(void **state)
{
    static struct fixture fixture;

    *state = &fixture;
    return fixture_init(&fixture);
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void identities(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(config_load(f, 0, PCI_CLASS, 4) & 0xffffff, 0x060000);
    assert_int_equal(config_load(f, 1, PCI_VENDOR, 4), 0x10421af4);
    assert_int_equal(config_load(f, 1, PCI_REVISION, 4), 0x01800001);
    assert_int_equal(config_load(f, 1, PCI_HEADER_TYPE, 1), 0);
    assert_int_equal(config_load(f, 1, PCI_SUBSYSTEM_VENDOR, 4), 0x00401af4);
    assert_int_equal(config_load(f, 1, 0x3d, 1), 0); // no INTx
    assert_int_equal(config_load(f, 1, PCI_STATUS, 2), 0x10);
}

static void absent_functions_are_ones(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(config_load(f, 3, 0, 4), 0xffffffff);
    assert_int_equal(config_load(f, 31, 0, 2), 0xffff);
    assert_int_equal(load(f, EXIT_MMIO, ecam(1, 0) + 0x1000, 4), 0xffffffff); // 00:01.1
    store(f, EXIT_PIO, ADDRESS, 4, 0x80000000 | 1 << 16 | 1 << 11);           // bus 1
    assert_int_equal(load(f, EXIT_PIO, DATA, 4), 0xffffffff);
    store(f, EXIT_PIO, ADDRESS, 4, 0x80000000 | 1 << 11 | 1 << 8); // function 1
    assert_int_equal(load(f, EXIT_PIO, DATA, 4), 0xffffffff);
    store(f, EXIT_PIO, ADDRESS, 4, 1 << 11); // not enabled
    assert_int_equal(load(f, EXIT_PIO, DATA, 4), 0xffffffff);
    store(f, EXIT_PIO, DATA, 4, 7);
    assert_int_equal(config_load(f, 1, PCI_COMMAND, 2), 0);
}

static void both_mechanisms_agree(void **state)
{
    static const unsigned lengths[] = {1, 2, 4};
    struct fixture *f = *state;

    for (unsigned offset = 0; offset < 256; offset += 4)
        for (unsigned l = 0; l < array_size(lengths); l++)
            for (unsigned at = 0; at + lengths[l] <= 4; at++) {
                store(f, EXIT_PIO, ADDRESS, 4, 0x80000000 | 1 << 11 | offset);
                assert_int_equal(load(f, EXIT_PIO, DATA + at, lengths[l]),
                                 config_load(f, 1, offset + at, lengths[l]));
            }
}

static void config_address_is_a_dword(void **state)
{
    struct fixture *f = *state;

    store(f, EXIT_PIO, ADDRESS, 4, 0x80000800);
    store(f, EXIT_PIO, ADDRESS, 1, 0);
    store(f, EXIT_PIO, ADDRESS, 2, 0);
    store(f, EXIT_PIO, ADDRESS + 3, 1, 1); // as Linux probes
    assert_int_equal(load(f, EXIT_PIO, ADDRESS, 4), 0x80000800);
    assert_int_equal(load(f, EXIT_PIO, ADDRESS, 2), 0xffff);
    assert_int_equal(load(f, EXIT_PIO, ADDRESS + 2, 4), 0xffffffff);
    assert_int_equal(load(f, EXIT_PIO, ADDRESS, 8), UINT64_MAX);
    pci_bus_reset(&f->pci);
    assert_int_equal(load(f, EXIT_PIO, ADDRESS, 4), 0);
}

static void reset_control_resets(void **state)
{
    struct fixture *f = *state;

    store(f, EXIT_PIO, 0xcf9, 1, 0x02);
    assert_int_equal(f->events[MACHINE_EVENT_RESET], 0);
    assert_int_equal(load(f, EXIT_PIO, 0xcf9, 1), 0x02);
    store(f, EXIT_PIO, 0xcf9, 1, 0x06);
    assert_int_equal(f->events[MACHINE_EVENT_RESET], 1);
}

// Every offset and width, all ones and all zeros: only the guest's bits change.
static void read_only_bits_stay(void **state)
{
    static const unsigned lengths[] = {1, 2, 4, 8};
    struct fixture *f = *state;
    const struct pci_function *function = &f->functions[0].function;
    uint8_t before[PCI_CONFIG_SIZE];

    memcpy(before, function->config, sizeof(before));
    for (unsigned l = 0; l < array_size(lengths); l++)
        for (unsigned offset = 0; offset + lengths[l] <= 4096; offset++) {
            store(f, EXIT_MMIO, ecam(1, offset), lengths[l], UINT64_MAX);
            store(f, EXIT_MMIO, ecam(1, offset), lengths[l], 0);
            store(f, EXIT_MMIO, ecam(1, offset), lengths[l], UINT64_C(0xa5a5a5a5a5a5a5a5));
            load(f, EXIT_MMIO, ecam(1, offset), lengths[l]);
        }
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
        assert_int_equal((before[i] ^ function->config[i]) & ~function->writable[i], 0);
    assert_int_equal(function->writable[PCI_VENDOR], 0);
    assert_int_equal(function->writable[PCI_CAPABILITIES], 0);
    assert_int_equal(config_load(f, 1, 0x100, 4), 0); // no extended capabilities
    // From one function's last byte into the next one's space.
    assert_int_equal(load(f, EXIT_MMIO, ecam(1, 4095), 2), 0xffff);
    store(f, EXIT_MMIO, ecam(1, 4095), 2, 0);
}

static void bars_tell_their_size(void **state)
{
    struct fixture *f = *state;
    uint32_t bar0 = config_load(f, 1, PCI_BAR0, 4), bar2 = config_load(f, 1, PCI_BAR0 + 8, 4);

    for (unsigned i = 0; i < 3; i++)
        config_store(f, 1, PCI_BAR0 + 4 * i, 4, 0xffffffff);
    assert_int_equal(config_load(f, 1, PCI_BAR0, 4), ~(VIRTIO_BAR_MEMORY_SIZE - 1) | 4);
    assert_int_equal(config_load(f, 1, PCI_BAR0 + 4, 4), 0xffffffff);
    assert_int_equal(config_load(f, 1, PCI_BAR0 + 8, 4), (~(FIXTURE_QUEUES * 4 - 1) & 0xffff) | 1);
    for (unsigned i = 3; i < PCI_BARS; i++) {
        config_store(f, 1, PCI_BAR0 + 4 * i, 4, 0xffffffff);
        assert_int_equal(config_load(f, 1, PCI_BAR0 + 4 * i, 4), 0);
    }
    config_store(f, 1, 0x30, 4, 0xffffffff); // expansion ROM
    assert_int_equal(config_load(f, 1, 0x30, 4), 0);
    pci_function_reset(&f->functions[0].function);
    assert_int_equal(config_load(f, 1, PCI_BAR0, 4), bar0);
    assert_int_equal(config_load(f, 1, PCI_BAR0 + 8, 4), bar2);
}

static void power_on_places_are_disjoint_and_silent(void **state)
{
    struct fixture *f = *state;
    uint64_t first = config_load(f, 1, PCI_BAR0, 4) & ~0xfu;
    uint64_t second = config_load(f, 2, PCI_BAR0, 4) & ~0xfu;

    assert_true(first >= MACHINE_PCI_MMIO32_BASE && second >= first + VIRTIO_BAR_MEMORY_SIZE);
    assert_true(io_base(f, 2) >= io_base(f, 1) + FIXTURE_QUEUES * 4);
    assert_int_equal(config_load(f, 1, PCI_COMMAND, 2), 0);
    assert_int_equal(load(f, EXIT_MMIO, first, 4), 0xffffffff);
    assert_int_equal(f->hypervisor->calls, 0);
}

static bool answers(struct fixture *f, uint64_t base)
{
    return load(f, EXIT_MMIO, base + NUM_QUEUES, 2) == FIXTURE_QUEUES;
}

static void move(struct fixture *f, unsigned slot, uint64_t base)
{
    config_store(f, slot, PCI_BAR0, 4, (uint32_t)base);
    config_store(f, slot, PCI_BAR0 + 4, 4, (uint32_t)(base >> 32));
}

static void moved_bars_answer_where_they_are(void **state)
{
    static const uint64_t places[] = {
        MACHINE_PCI_MMIO32_BASE + MACHINE_PCI_MMIO32_SIZE - VIRTIO_BAR_MEMORY_SIZE,
        FIXTURE_MEMORY64,
        FIXTURE_MEMORY64 + MACHINE_PCI_MMIO64_SIZE - VIRTIO_BAR_MEMORY_SIZE,
        MACHINE_PCI_MMIO32_BASE + 0x1000000,
    };
    struct fixture *f = *state;
    uint64_t last = enable(f, 1);

    assert_true(answers(f, last));
    for (unsigned i = 0; i < array_size(places); i++) {
        move(f, 1, places[i]);
        assert_true(answers(f, places[i]));
        assert_false(answers(f, last));
        last = places[i];
    }
    config_store(f, 1, PCI_COMMAND, 2, PCI_COMMAND_IO);
    assert_false(answers(f, last));
    config_store(f, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_true(answers(f, last));
}

static void io_bars_move_too(void **state)
{
    struct fixture *f = *state;

    enable(f, 1);
    config_store(f, 1, PCI_BAR0 + 8, 4, 0xfff0);
    store(f, EXIT_PIO, 0xfff4, 2, 1);
    assert_int_equal(drain(f->kick_fds[0][1]), 1);
    config_store(f, 1, PCI_BAR0 + 8, 4, MACHINE_PORT_SERIAL);
    store(f, EXIT_PIO, MACHINE_PORT_SERIAL, 1, 0);
    store(f, EXIT_PIO, 0xfff4, 2, 1);
    assert_int_equal(drain(f->kick_fds[0][0]) + drain(f->kick_fds[0][1]), 0);
    assert_int_equal(f->hypervisor->doorbell_count, 0);
}

static void bars_never_leave_their_windows(void **state)
{
    static const uint64_t forbidden[] = {
        0,
        0x1000000,
        MACHINE_HOLE_START - VIRTIO_BAR_MEMORY_SIZE,
        MACHINE_ECAM_BASE,
        MACHINE_ECAM_BASE - VIRTIO_BAR_MEMORY_SIZE + 0x100000,
        MACHINE_IOAPIC_BASE,
        MACHINE_LAPIC_BASE,
        0xffff8000,
        0x100000000,
        FIXTURE_MEMORY64 - VIRTIO_BAR_MEMORY_SIZE,
        FIXTURE_MEMORY64 + MACHINE_PCI_MMIO64_SIZE,
        UINT64_MAX & ~(uint64_t)(VIRTIO_BAR_MEMORY_SIZE - 1),
    };
    struct fixture *f = *state;
    uint64_t home = enable(f, 1);

    for (unsigned i = 0; i < array_size(forbidden); i++) {
        unsigned windows;

        move(f, 1, forbidden[i]);
        windows = f->bus.spaces[EXIT_MMIO].count;
        assert_int_equal(windows, 1); // ECAM
        store(f, EXIT_MMIO, forbidden[i] + VIRTIO_NOTIFY_OFFSET, 2, 0);
        assert_int_equal(f->hypervisor->doorbell_count, 0);
    }
    move(f, 1, home);
    assert_true(answers(f, home));
}

static void the_first_of_two_keeps_the_place(void **state)
{
    struct fixture *f = *state;
    uint64_t first = enable(f, 1), second = enable(f, 2);

    put(f, QUEUE_SELECT, 3);
    move(f, 2, first);
    assert_int_equal(load(f, EXIT_MMIO, first + QUEUE_SELECT, 2), 3);
    assert_false(answers(f, second));
    move(f, 1, second); // the place is free: the other one gets it
    assert_int_equal(load(f, EXIT_MMIO, second + QUEUE_SELECT, 2), 3);
    assert_true(answers(f, first));
    assert_int_equal(load(f, EXIT_MMIO, first + QUEUE_SELECT, 2), 0);
}

static void doorbells_follow_their_bar(void **state)
{
    struct fixture *f = *state;
    uint64_t home = enable(f, 1), away = FIXTURE_MEMORY64 + 0x40000000;
    uint64_t bell = VIRTIO_NOTIFY_OFFSET + 8;

    store(f, EXIT_MMIO, home + bell, 2, 2);
    assert_non_null(scripted_doorbell_find(f->hypervisor, EXIT_MMIO, home + bell, 2));
    move(f, 1, away);
    assert_null(scripted_doorbell_find(f->hypervisor, EXIT_MMIO, home + bell, 2));
    store(f, EXIT_MMIO, away + bell, 4, 2);
    assert_non_null(scripted_doorbell_find(f->hypervisor, EXIT_MMIO, away + bell, 2));
    assert_int_equal(drain(f->kick_fds[0][2]), 2);
    config_store(f, 1, PCI_COMMAND, 2, 0);
    assert_int_equal(f->hypervisor->doorbell_count, 0);
    store(f, EXIT_MMIO, away + bell, 4, 2);
    assert_int_equal(drain(f->kick_fds[0][2]), 0);
}

static void slots_and_bars_are_checked(void **state)
{
    static struct pci_function function;
    static const struct pci_identity identity = {.vendor = 1};
    static const struct pci_function_ops ops = {.name = "test"};
    static struct pci_bus other;
    static struct bus bus;
    struct fixture *f = *state;
    uint8_t body[PCI_CONFIG_SIZE] = {0};

    assert_int_equal(pci_function_init(&function, &f->pci, 0, &identity, &ops, NULL), -EEXIST);
    assert_int_equal(pci_function_init(&function, &f->pci, 32, &identity, &ops, NULL), -EINVAL);
    assert_int_equal(pci_function_init(&function, &f->pci, 31, &identity, &ops, NULL), 0);
    assert_int_equal(pci_function_add_bar(&function, 5, PCI_BAR_MEMORY64, 0x1000), -EINVAL);
    assert_int_equal(pci_function_add_bar(&function, 6, PCI_BAR_IO, 0x10), -EINVAL);
    assert_int_equal(pci_function_add_bar(&function, 0, PCI_BAR_IO, 0x11), -EINVAL);
    assert_int_equal(pci_function_add_bar(&function, 0, PCI_BAR_IO, 0x200), -EINVAL);
    assert_int_equal(pci_function_add_bar(&function, 0, PCI_BAR_IO, 0), -EINVAL);
    assert_int_equal(pci_function_add_bar(&function, 0, PCI_BAR_MEMORY64, 0x800), -EINVAL);
    assert_int_equal(pci_function_add_bar(&function, 0, PCI_BAR_MEMORY64, 0x1000), 0);
    assert_int_equal(pci_function_add_bar(&function, 0, PCI_BAR_IO, 0x10), -EINVAL);
    assert_int_equal(pci_function_add_bar(&function, 1, PCI_BAR_IO, 0x10), -EINVAL);
    assert_int_equal(pci_function_add_bar(&function, 3, PCI_BAR_IO, 0x10), 0);
    assert_int_equal(pci_function_add_bar(&function, 2, PCI_BAR_MEMORY64, 0x1000), -EINVAL);
    assert_int_equal(
        pci_function_add_capability(&function, PCI_CAPABILITY_VENDOR, body, NULL, 0xbf), -ENOSPC);
    assert_int_equal(
        pci_function_add_capability(&function, PCI_CAPABILITY_VENDOR, body, NULL, 0xbe), 0x40);
    assert_int_equal(pci_function_add_capability(&function, PCI_CAPABILITY_VENDOR, body, NULL, 1),
                     -ENOSPC);
    assert_int_equal(pci_bus_init(&other, &bus, &f->host, 0xffffffff), -EINVAL);
    assert_int_equal(pci_bus_init(&other, &bus, &f->host, UINT64_MAX), -EINVAL);
    assert_int_equal(pci_bus_init(&other, &f->bus, &f->host, 0x100000000), -EEXIST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(identities),
        TEST(absent_functions_are_ones),
        TEST(both_mechanisms_agree),
        TEST(config_address_is_a_dword),
        TEST(reset_control_resets),
        TEST(read_only_bits_stay),
        TEST(bars_tell_their_size),
        TEST(power_on_places_are_disjoint_and_silent),
        TEST(moved_bars_answer_where_they_are),
        TEST(io_bars_move_too),
        TEST(bars_never_leave_their_windows),
        TEST(the_first_of_two_keeps_the_place),
        TEST(doorbells_follow_their_bar),
        TEST(slots_and_bars_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
