// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A virtio device's life as the driver sees it: negotiation, start, reset, queue reset, faults, and
// a process that is late, lost or gone for good. No register read ever waits for it.
#include "tests/unit/machine_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

static uint64_t status(struct fixture *f)
{
    return get(f, DEVICE_STATUS);
}

static void the_driver_starts_the_device(void **state)
{
    struct fixture *f = *state;
    const struct virtio_start *start = &f->told[0].start;

    assert_int_equal(negotiate(f, USUAL_FEATURES), 11);
    place_queue(f, 0);
    place_queue(f, 3);
    assert_int_equal(f->told[0].starts, 0);
    put(f, DEVICE_STATUS, STATUS_RUNNING);
    assert_int_equal(status(f), STATUS_RUNNING);
    assert_int_equal(f->told[0].starts, 1);
    assert_int_equal(start->features, USUAL_FEATURES);
    assert_false(start->resume);
    assert_int_equal(start->count, 2);
    assert_int_equal(start->queues[1].index, 3);
    assert_int_equal(start->queues[1].size, 64);
    assert_int_equal(start->queues[1].descriptor_area, 0x100030000);
    assert_int_equal(start->queues[1].driver_area, 0x100031000);
    assert_int_equal(start->queues[1].device_area, 0x100032000);
    put(f, DEVICE_STATUS, STATUS_RUNNING);
    assert_int_equal(f->told[0].starts, 1); // once
}

static void features_that_were_not_offered_are_refused(void **state)
{
    static const uint64_t bad[] = {
        0,
        FEATURE(9),                // no VERSION_1
        FEATURE(32) | FEATURE(0),  // not the device's
        FEATURE(32) | FEATURE(34), // ring_packed
        FEATURE(32) | FEATURE(33), // access_platform
        UINT64_MAX,
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < array_size(bad); i++) {
        assert_int_equal(negotiate(f, bad[i]), 3);
        put(f, DEVICE_STATUS, STATUS_RUNNING);
        assert_int_equal(status(f), 3); // and no DRIVER_OK without FEATURES_OK
        put(f, DEVICE_STATUS, 0);
    }
    put(f, DRIVER_FEATURE_SELECT, 2);
    put(f, DRIVER_FEATURE, 1);
    assert_int_equal(negotiate(f, FEATURE(32)), 3);
    put(f, DRIVER_FEATURE_SELECT, 2);
    put(f, DRIVER_FEATURE, 0);
    assert_int_equal(negotiate(f, FEATURE(32)), 11);
    assert_int_equal(f->told[0].starts, 0);
}

static void accepted_features_are_fixed(void **state)
{
    struct fixture *f = *state;

    negotiate(f, USUAL_FEATURES);
    put(f, DRIVER_FEATURE_SELECT, 0);
    put(f, DRIVER_FEATURE, 0);
    assert_int_equal(get(f, DRIVER_FEATURE), (uint32_t)USUAL_FEATURES);
}

static void status_bits_are_only_added(void **state)
{
    struct fixture *f = *state;

    put(f, DEVICE_STATUS, 1);
    put(f, DEVICE_STATUS, 2);
    assert_int_equal(status(f), 3);
    put(f, DEVICE_STATUS, 0x70); // NEEDS_RESET is the device's, the others are nobody's
    assert_int_equal(status(f), 3);
    put(f, DEVICE_STATUS, 128);
    assert_int_equal(status(f), 131);
    put(f, DEVICE_STATUS, 0);
    assert_int_equal(status(f), 0);
}

// A device that was not started has nothing to forget: no message, no waiting.
static void an_unused_device_resets_at_once(void **state)
{
    struct fixture *f = *state;

    negotiate(f, USUAL_FEATURES);
    place_queue(f, 1);
    put(f, DEVICE_STATUS, 0);
    assert_int_equal(status(f), 0);
    assert_int_equal(f->told[0].resets, 0);
    put(f, QUEUE_SELECT, 1);
    assert_int_equal(get(f, QUEUE_ENABLE), 0);
    assert_int_equal(get(f, QUEUE_SIZE), 256);
    assert_true(virtio_pci_quiet(&f->functions[0]));
}

static void reset_is_busy_until_the_answer(void **state)
{
    struct fixture *f = *state;

    drive(f, 2);
    assert_false(virtio_pci_quiet(&f->functions[0]));
    put(f, DEVICE_STATUS, 0);
    assert_int_equal(f->told[0].resets, 1);
    for (unsigned i = 0; i < 100; i++)
        assert_int_not_equal(status(f), 0);
    assert_false(virtio_pci_quiet(&f->functions[0]));
    put(f, DEVICE_STATUS, 0); // again
    put(f, DEVICE_STATUS, STATUS_RUNNING);
    put(f, QUEUE_ENABLE, 1);
    put(f, QUEUE_SIZE, 2);
    put(f, CONFIG_VECTOR, 1);
    assert_int_equal(f->told[0].resets, 1);
    assert_int_equal(f->told[0].starts, 1);
    virtio_pci_done(&f->functions[0], f->told[0].serial + 1); // stale or invented
    virtio_pci_done(&f->functions[0], f->told[0].serial - 1);
    assert_int_not_equal(status(f), 0);
    virtio_pci_done(&f->functions[0], f->told[0].serial);
    assert_int_equal(status(f), 0);
    assert_true(virtio_pci_quiet(&f->functions[0]));
    assert_int_equal(get(f, QUEUE_ENABLE), 0);
    assert_int_equal(get(f, QUEUE_SIZE), 256);
    assert_int_equal(get(f, CONFIG_VECTOR), MSIX_NO_VECTOR);
    virtio_pci_done(&f->functions[0], f->told[0].serial); // a second time
    drive(f, 1);
    assert_int_equal(f->told[0].starts, 2);
    assert_false(f->told[0].start.resume);
}

static void a_reset_may_be_answered_from_inside(void **state)
{
    struct fixture *f = *state;

    f->told[0].answers_at_once = true;
    drive(f, 2);
    put(f, QUEUE_SELECT, 0);
    put(f, QUEUE_RESET, 1);
    assert_int_equal(get(f, QUEUE_RESET), 0);
    assert_int_equal(get(f, QUEUE_ENABLE), 0);
    put(f, DEVICE_STATUS, 0);
    assert_int_equal(status(f), 0);
}

// Signals from before a reset do not reach the next driver.
static void reset_forgets_signals(void **state)
{
    struct fixture *f = *state;

    drive(f, 1);
    ring(f->call_fds[0][0]);
    put(f, DEVICE_STATUS, 0);
    ring(f->call_fds[0][0]); // the device was still at it
    virtio_pci_done(&f->functions[0], f->told[0].serial);
    assert_int_equal(load(f, EXIT_MMIO, enable(f, 1) + VIRTIO_ISR_OFFSET, 1), 0);
    drive(f, 1);
    arm_vector(f, 0);
    put(f, QUEUE_VECTOR, 0);
    assert_int_equal(scripted_raised(f->hypervisor, fixture_gsi(0)), 0);
    ring(f->call_fds[0][0]);
    assert_int_equal(scripted_raised(f->hypervisor, fixture_gsi(0)), 1);
}

static void reset_disconnects_interrupts(void **state)
{
    struct fixture *f = *state;

    drive(f, 2);
    arm_vector(f, 0);
    put(f, QUEUE_VECTOR, 0);
    put(f, CONFIG_VECTOR, 0);
    assert_int_equal(f->hypervisor->interrupt_count, 2);
    put(f, DEVICE_STATUS, 0);
    assert_int_equal(f->hypervisor->interrupt_count, 0);
    assert_true(msix_enabled(&f->functions[0].msix)); // that is PCI's
}

static void a_queue_resets_alone(void **state)
{
    struct fixture *f = *state;

    drive(f, 3);
    put(f, QUEUE_SELECT, 1);
    put(f, QUEUE_VECTOR, 1);
    put(f, QUEUE_RESET, 2);
    assert_int_equal(f->told[0].queue_resets, 0);
    put(f, QUEUE_RESET, 1);
    put(f, QUEUE_RESET, 1);
    assert_int_equal(f->told[0].queue_resets, 1);
    assert_int_equal(f->told[0].index, 1);
    assert_int_equal(get(f, QUEUE_RESET), 1);
    put(f, QUEUE_VECTOR, 1);
    put(f, QUEUE_ENABLE, 1);
    put(f, QUEUE_SIZE, 4);
    assert_int_equal(get(f, QUEUE_SIZE), 64);
    virtio_pci_done(&f->functions[0], f->told[0].serial + 7);
    assert_int_equal(get(f, QUEUE_RESET), 1);
    ring(f->call_fds[0][1]); // of before
    virtio_pci_done(&f->functions[0], f->told[0].serial);
    assert_int_equal(load(f, EXIT_MMIO, enable(f, 1) + VIRTIO_ISR_OFFSET, 1), 0);
    assert_int_equal(get(f, QUEUE_RESET), 0);
    assert_int_equal(get(f, QUEUE_ENABLE), 0);
    assert_int_equal(get(f, QUEUE_SIZE), 256);
    assert_int_equal(get(f, QUEUE_VECTOR), MSIX_NO_VECTOR);
    assert_int_equal(status(f), STATUS_RUNNING);
    put(f, QUEUE_SIZE, 8);
    put(f, QUEUE_DESCRIPTORS, 0x5000);
    put(f, QUEUE_ENABLE, 1);
    assert_int_equal(f->told[0].queue_starts, 1);
    assert_int_equal(f->told[0].queue.index, 1);
    assert_int_equal(f->told[0].queue.size, 8);
    assert_int_equal(f->told[0].queue.descriptor_area, 0x5000);
    assert_int_equal(f->told[0].starts, 1);
}

static void queue_reset_needs_its_feature(void **state)
{
    struct fixture *f = *state;

    negotiate(f, USUAL_FEATURES & ~FEATURE(40));
    place_queue(f, 0);
    put(f, DEVICE_STATUS, STATUS_RUNNING);
    put(f, QUEUE_RESET, 1);
    assert_int_equal(get(f, QUEUE_RESET), 0);
    assert_int_equal(get(f, QUEUE_ENABLE), 1);
    assert_int_equal(f->told[0].queue_resets, 0);
}

static void a_queue_of_an_idle_device_resets_at_once(void **state)
{
    struct fixture *f = *state;

    negotiate(f, USUAL_FEATURES);
    place_queue(f, 2);
    put(f, QUEUE_RESET, 1);
    assert_int_equal(get(f, QUEUE_ENABLE), 0);
    assert_int_equal(f->told[0].queue_resets, 0);
    put(f, QUEUE_RESET, 1); // not enabled: nothing
    assert_int_equal(get(f, QUEUE_RESET), 0);
}

static void a_device_reset_overtakes_queue_resets(void **state)
{
    struct fixture *f = *state;
    uint32_t queue_serial;

    drive(f, 2);
    put(f, QUEUE_SELECT, 0);
    put(f, QUEUE_RESET, 1);
    queue_serial = f->told[0].serial;
    put(f, DEVICE_STATUS, 0);
    virtio_pci_done(&f->functions[0], queue_serial);
    assert_int_not_equal(status(f), 0);
    assert_int_equal(get(f, QUEUE_RESET), 0);
    virtio_pci_done(&f->functions[0], f->told[0].serial);
    assert_int_equal(status(f), 0);
}

static void a_fault_of_the_guest_needs_a_reset(void **state)
{
    struct fixture *f = *state;

    virtio_pci_needs_reset(&f->functions[0]);
    assert_int_equal(status(f), 0); // nobody drives it
    drive(f, 1);
    arm_vector(f, 3);
    put(f, CONFIG_VECTOR, 3);
    virtio_pci_needs_reset(&f->functions[0]);
    virtio_pci_needs_reset(&f->functions[0]);
    assert_int_equal(status(f), STATUS_RUNNING | VIRTIO_STATUS_NEEDS_RESET);
    assert_int_equal(scripted_raised(f->hypervisor, fixture_gsi(0) + 3), 1);
    put(f, DEVICE_STATUS, STATUS_RUNNING);
    assert_int_equal(status(f), STATUS_RUNNING | VIRTIO_STATUS_NEEDS_RESET);
    put(f, DEVICE_STATUS, 0);
    virtio_pci_needs_reset(&f->functions[0]); // late
    virtio_pci_done(&f->functions[0], f->told[0].serial);
    assert_int_equal(status(f), 0);
}

// The process dies and another one takes over: the driver notices nothing.
static void a_successor_resumes(void **state)
{
    static const uint8_t image[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct fixture *f = *state;

    drive(f, 2);
    virtio_pci_lost(&f->functions[0]);
    assert_int_equal(status(f), STATUS_RUNNING);
    store(f, EXIT_MMIO, enable(f, 1) + VIRTIO_DEVICE_OFFSET, 1, 1);
    assert_int_equal(f->told[0].config_writes, 0);
    assert_int_equal(virtio_pci_hello(&f->functions[0], FIXTURE_FEATURES, image, 16), 0);
    assert_int_equal(f->told[0].starts, 2);
    assert_true(f->told[0].start.resume);
    assert_int_equal(f->told[0].start.count, 2);
    assert_int_equal(f->told[0].start.features, USUAL_FEATURES);
    assert_false(f->functions[0].isr_config);
}

static void a_successor_must_offer_what_was_accepted(void **state)
{
    struct fixture *f = *state;
    struct virtio_function *function = &f->functions[0];
    uint8_t image[VIRTIO_CONFIG_MAX + 1] = {0};

    drive(f, 1); // accepted bit 9
    virtio_pci_lost(function);
    assert_int_equal(virtio_pci_hello(function, 0, image, 1), -EPROTO);
    assert_int_equal(virtio_pci_hello(function, FEATURE(9) | FEATURE(0), image, 1), -EPROTO);
    assert_int_equal(virtio_pci_hello(function, FEATURE(9) | FEATURE(32), image, 1), -EPROTO);
    assert_int_equal(virtio_pci_hello(function, FEATURE(9), image, sizeof(image)), -EPROTO);
    assert_int_equal(f->told[0].starts, 1);
    assert_int_equal(virtio_pci_hello(function, FEATURE(9), image, VIRTIO_CONFIG_MAX), 0);
    assert_int_equal(f->told[0].starts, 2);
}

static void a_start_waits_for_the_successor(void **state)
{
    struct fixture *f = *state;

    virtio_pci_lost(&f->functions[0]);
    drive(f, 1);
    assert_int_equal(status(f), STATUS_RUNNING);
    assert_int_equal(f->told[0].starts, 0);
    place_queue(f, 1); // belongs to the start
    assert_int_equal(virtio_pci_hello(&f->functions[0], FIXTURE_FEATURES, NULL, 0), 0);
    assert_int_equal(f->told[0].starts, 1);
    assert_false(f->told[0].start.resume);
    assert_int_equal(f->told[0].start.count, 2);
    assert_int_equal(f->told[0].queue_starts, 0);
}

static void a_lost_process_is_answered_for(void **state)
{
    struct fixture *f = *state;

    drive(f, 2);
    put(f, QUEUE_SELECT, 1);
    put(f, QUEUE_RESET, 1);
    virtio_pci_lost(&f->functions[0]);
    assert_int_equal(get(f, QUEUE_RESET), 0);
    assert_int_equal(get(f, QUEUE_ENABLE), 0);
    put(f, DEVICE_STATUS, 0);
    assert_int_equal(status(f), 0);
    assert_int_equal(f->told[0].resets, 0);
    virtio_pci_hello(&f->functions[0], FIXTURE_FEATURES, NULL, 0);
    drive(f, 1);
    put(f, DEVICE_STATUS, 0);
    virtio_pci_lost(&f->functions[0]);
    assert_int_equal(status(f), 0);
    assert_true(virtio_pci_quiet(&f->functions[0]));
}

static void a_device_that_is_gone_is_refused(void **state)
{
    struct fixture *f = *state;

    drive(f, 1);
    virtio_pci_offline(&f->functions[0]);
    assert_int_equal(status(f), STATUS_RUNNING | VIRTIO_STATUS_NEEDS_RESET);
    put(f, DEVICE_STATUS, 0);
    assert_int_equal(status(f), 0);
    assert_int_equal(negotiate(f, USUAL_FEATURES), 3);
    put(f, DEVICE_STATUS, STATUS_RUNNING);
    assert_int_equal(f->told[0].starts, 1);
    put(f, DEVICE_STATUS, 0);
    assert_int_equal(virtio_pci_hello(&f->functions[0], FIXTURE_FEATURES, NULL, 0), 0);
    drive(f, 1); // it came back
    assert_int_equal(f->told[0].starts, 2);
}

// A driver that saw DEVICE_NEEDS_RESET must reset; a successor is not started with what broke.
static void a_successor_waits_for_a_needed_reset(void **state)
{
    struct fixture *f = *state;

    drive(f, 1);
    virtio_pci_offline(&f->functions[0]);
    assert_int_equal(virtio_pci_hello(&f->functions[0], FIXTURE_FEATURES, NULL, 0), 0);
    place_queue(f, 1);
    put(f, QUEUE_RESET, 1);
    assert_int_equal(f->told[0].starts, 1);
    assert_int_equal(f->told[0].queue_starts, 0);
    assert_int_equal(f->told[0].queue_resets, 0);
    put(f, DEVICE_STATUS, 0);
    assert_int_equal(status(f), 0);
}

static void machine_reset_is_power_on(void **state)
{
    struct fixture *f = *state;
    struct virtio_function *function = &f->functions[0];
    uint32_t bar = config_load(f, 1, PCI_BAR0, 4);
    struct virtio_start start;

    drive(f, 2);
    arm_vector(f, 0);
    put(f, QUEUE_VECTOR, 0);
    store(f, EXIT_PIO, io_base(f, 1), 2, 0);
    config_store(f, 1, PCI_BAR0, 4, MACHINE_PCI_MMIO32_BASE + 0x8000000);
    assert_true(virtio_pci_running_state(function, &start));
    virtio_pci_machine_reset(function);
    assert_int_equal(f->told[0].resets, 1);
    assert_false(virtio_pci_quiet(function));
    assert_false(virtio_pci_running_state(function, &start));
    assert_int_equal(f->hypervisor->doorbell_count, 0);
    assert_int_equal(f->hypervisor->interrupt_count, 0);
    assert_int_equal(config_load(f, 1, PCI_COMMAND, 2), 0);
    assert_int_equal(config_load(f, 1, PCI_BAR0, 4), bar);
    assert_false(msix_enabled(&function->msix));
    virtio_pci_machine_reset(function); // once more while it is busy
    assert_int_equal(f->told[0].resets, 1);
    virtio_pci_done(function, f->told[0].serial);
    assert_true(virtio_pci_quiet(function));
    assert_int_equal(status(f), 0);
    drive(f, 1);
    assert_int_equal(f->told[0].starts, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_driver_starts_the_device),
        TEST(features_that_were_not_offered_are_refused),
        TEST(accepted_features_are_fixed),
        TEST(status_bits_are_only_added),
        TEST(an_unused_device_resets_at_once),
        TEST(reset_is_busy_until_the_answer),
        TEST(a_reset_may_be_answered_from_inside),
        TEST(reset_forgets_signals),
        TEST(reset_disconnects_interrupts),
        TEST(a_queue_resets_alone),
        TEST(queue_reset_needs_its_feature),
        TEST(a_queue_of_an_idle_device_resets_at_once),
        TEST(a_device_reset_overtakes_queue_resets),
        TEST(a_fault_of_the_guest_needs_a_reset),
        TEST(a_successor_resumes),
        TEST(a_successor_must_offer_what_was_accepted),
        TEST(a_start_waits_for_the_successor),
        TEST(a_lost_process_is_answered_for),
        TEST(a_device_that_is_gone_is_refused),
        TEST(a_successor_waits_for_a_needed_reset),
        TEST(machine_reset_is_power_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
