// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The registers of a virtio function: capabilities, every field of the common configuration with
// every width and offset, ISR, device configuration, doorbells, and the window in configuration
// space.
#include "tests/unit/machine_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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

static void capabilities_name_the_regions(void **state)
{
    static const struct {
        uint8_t type, bar;
        uint32_t offset, length;
    } expected[] = {
        {1, 0, 0, 60},     {2, 2, 0, 4 * FIXTURE_QUEUES}, {2, 0, 0x3000, 4 * FIXTURE_QUEUES},
        {3, 0, 0x1000, 1}, {4, 0, 0x2000, 256},
    };
    struct fixture *f = *state;
    unsigned last = 0;

    for (unsigned i = 0; i < array_size(expected); i++) {
        unsigned at = capability_after(f, 1, last, PCI_CAPABILITY_VENDOR, expected[i].type);

        assert_true(at > last && at % 4 == 0);
        assert_int_equal(config_load(f, 1, at + 2, 1), expected[i].type == 2 ? 20 : 16);
        assert_int_equal(config_load(f, 1, at + 4, 1), expected[i].bar);
        assert_int_equal(config_load(f, 1, at + 8, 4), expected[i].offset);
        assert_int_equal(config_load(f, 1, at + 12, 4), expected[i].length);
        if (expected[i].type == 2)
            assert_int_equal(config_load(f, 1, at + 16, 4), 4);
        last = at;
    }
    assert_true(capability_after(f, 1, last, PCI_CAPABILITY_VENDOR, 5) > last);
    last = capability_after(f, 1, 0, PCI_CAPABILITY_MSIX, 0);
    assert_int_equal(config_load(f, 1, last + 2, 2), FIXTURE_VECTORS - 1);
    assert_int_equal(config_load(f, 1, last + 4, 4), 0x4000);
    assert_int_equal(config_load(f, 1, last + 8, 4), 0x5000);
    assert_int_equal(config_load(f, 1, last + 1, 1), 0); // the list ends
}

static void power_on_values(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(get(f, DEVICE_FEATURE_SELECT), 0);
    assert_int_equal(get(f, DRIVER_FEATURE), 0);
    assert_int_equal(get(f, CONFIG_VECTOR), MSIX_NO_VECTOR);
    assert_int_equal(get(f, NUM_QUEUES), FIXTURE_QUEUES);
    assert_int_equal(get(f, DEVICE_STATUS), 0);
    for (unsigned q = 0; q < FIXTURE_QUEUES; q++) {
        put(f, QUEUE_SELECT, q);
        assert_int_equal(get(f, QUEUE_SIZE), 256);
        assert_int_equal(get(f, QUEUE_VECTOR), MSIX_NO_VECTOR);
        assert_int_equal(get(f, QUEUE_ENABLE), 0);
        assert_int_equal(get(f, QUEUE_NOTIFY_OFF), q);
        assert_int_equal(get(f, QUEUE_DESCRIPTORS), 0);
        assert_int_equal(get(f, QUEUE_RESET), 0);
    }
}

static void features_are_read_in_words(void **state)
{
    static const uint32_t words[] = {0x30007e66, 0x00000101, 0, 0};
    struct fixture *f = *state;

    for (unsigned i = 0; i < array_size(words); i++) {
        put(f, DEVICE_FEATURE_SELECT, i);
        assert_int_equal(get(f, DEVICE_FEATURE), words[i]);
    }
    put(f, DEVICE_FEATURE_SELECT, 0xffffffff);
    assert_int_equal(get(f, DEVICE_FEATURE), 0);
    assert_int_equal(get(f, DEVICE_FEATURE_SELECT), 0xffffffff);
}

static void queue_registers_keep_what_is_written(void **state)
{
    struct fixture *f = *state;
    uint64_t base = enable(f, 1);

    for (unsigned q = 0; q < FIXTURE_QUEUES; q++) {
        put(f, QUEUE_SELECT, q);
        put(f, QUEUE_SIZE, 1u << q);
        put(f, QUEUE_VECTOR, q);
        put(f, QUEUE_DESCRIPTORS, 0x1122334455667700 + q);
        store(f, EXIT_MMIO, base + QUEUE_DRIVER, 4, 0x89abcdef);
        store(f, EXIT_MMIO, base + QUEUE_DRIVER + 4, 4, q);
        put(f, QUEUE_DEVICE, UINT64_MAX - q);
    }
    for (unsigned q = 0; q < FIXTURE_QUEUES; q++) {
        put(f, QUEUE_SELECT, q);
        assert_int_equal(get(f, QUEUE_SIZE), 1u << q);
        assert_int_equal(get(f, QUEUE_VECTOR), q);
        assert_int_equal(get(f, QUEUE_DESCRIPTORS), 0x1122334455667700 + q);
        assert_int_equal(get(f, QUEUE_DRIVER), (uint64_t)q << 32 | 0x89abcdef);
        assert_int_equal(get(f, QUEUE_DEVICE), UINT64_MAX - q);
    }
}

static void bad_queue_values_are_ignored(void **state)
{
    static const uint16_t sizes[] = {0, 3, 255, 257, 512, 0x8000, 0xffff};
    struct fixture *f = *state;

    for (unsigned i = 0; i < array_size(sizes); i++) {
        put(f, QUEUE_SIZE, sizes[i]);
        assert_int_equal(get(f, QUEUE_SIZE), 256);
    }
    put(f, QUEUE_ENABLE, 0);
    put(f, QUEUE_ENABLE, 2);
    put(f, QUEUE_ENABLE, 0xffff);
    assert_int_equal(get(f, QUEUE_ENABLE), 0);
    put(f, QUEUE_VECTOR, FIXTURE_VECTORS);
    assert_int_equal(get(f, QUEUE_VECTOR), MSIX_NO_VECTOR);
    put(f, QUEUE_VECTOR, FIXTURE_VECTORS - 1);
    assert_int_equal(get(f, QUEUE_VECTOR), FIXTURE_VECTORS - 1);
}

static void an_enabled_queue_is_fixed(void **state)
{
    struct fixture *f = *state;

    place_queue(f, 1);
    put(f, QUEUE_SIZE, 32);
    put(f, QUEUE_DESCRIPTORS, 0);
    put(f, QUEUE_DEVICE, 0);
    put(f, QUEUE_ENABLE, 0);
    assert_int_equal(get(f, QUEUE_SIZE), 64);
    assert_int_equal(get(f, QUEUE_DESCRIPTORS), 0x100010000);
    assert_int_equal(get(f, QUEUE_DEVICE), 0x100012000);
    assert_int_equal(get(f, QUEUE_ENABLE), 1);
}

static void absent_queues_are_empty(void **state)
{
    static const uint16_t absent[] = {FIXTURE_QUEUES, 32, 33, 0x7fff, 0xffff};
    struct fixture *f = *state;

    for (unsigned i = 0; i < array_size(absent); i++) {
        put(f, QUEUE_SELECT, absent[i]);
        assert_int_equal(get(f, QUEUE_SELECT), absent[i]);
        for (unsigned offset = QUEUE_SIZE; offset <= QUEUE_RESET; offset += common_width(offset)) {
            put(f, offset, 1);
            assert_int_equal(get(f, offset), offset == QUEUE_VECTOR ? MSIX_NO_VECTOR : 0);
        }
    }
}

// Reads of any shape give the bytes of the structure; so a sweep must agree with byte reads.
static void reads_of_any_shape_agree(void **state)
{
    struct fixture *f = *state;
    uint64_t base;

    drive(f, 2);
    base = enable(f, 1);
    for (unsigned length = 1; length <= 8; length *= 2)
        for (unsigned offset = 0; offset < 72; offset++) {
            uint64_t bytes = 0;

            for (unsigned i = 0; i < length; i++)
                bytes |= load(f, EXIT_MMIO, base + offset + i, 1) << (8 * i);
            assert_int_equal(load(f, EXIT_MMIO, base + offset, length), bytes);
        }
    assert_int_equal(load(f, EXIT_MMIO, base + VIRTIO_COMMON_SIZE, 8), 0);
    assert_int_equal(load(f, EXIT_MMIO, base + 0xffc, 8), 0);
}

// A write changes something only with the field's own width at its own offset.
static void writes_of_other_shapes_are_ignored(void **state)
{
    struct fixture *f = *state;
    struct virtio_function *function = &f->functions[0];
    uint64_t base = enable(f, 1);

    put(f, QUEUE_SELECT, 2);
    for (unsigned length = 1; length <= 8; length *= 2)
        for (unsigned offset = 0; offset < 72; offset++) {
            struct virtio_function before = *function;
            bool half = length == 4 && offset >= QUEUE_DESCRIPTORS && offset < QUEUE_NOTIFY_DATA &&
                        offset % 4 == 0;
            bool own = offset == DEVICE_STATUS || offset == CONFIG_GENERATION ||
                       (offset % common_width(offset) == 0 && offset < VIRTIO_COMMON_SIZE);

            own = own && common_width(offset) == length;
            store(f, EXIT_MMIO, base + offset, length, 0x0101010101010101);
            if (!own && !half)
                assert_memory_equal(&before, function, sizeof(before));
            *function = before;
        }
    assert_int_equal(f->hypervisor->calls, 0);
}

static void device_configuration_is_the_image(void **state)
{
    struct fixture *f = *state;
    uint64_t base = enable(f, 1) + VIRTIO_DEVICE_OFFSET;

    assert_int_equal(load(f, EXIT_MMIO, base, 8), 0x0706050403020100);
    assert_int_equal(load(f, EXIT_MMIO, base + 5, 4), 0x08070605);
    assert_int_equal(load(f, EXIT_MMIO, base + 14, 4), 0x0f0e); // the rest is zero
    for (unsigned length = 1; length <= 8; length *= 2)
        for (unsigned offset = 16; offset + length <= 4096; offset++)
            assert_int_equal(load(f, EXIT_MMIO, base + offset, length), 0);
}

static void configuration_writes_are_posted(void **state)
{
    struct fixture *f = *state;
    uint64_t base = enable(f, 1) + VIRTIO_DEVICE_OFFSET;

    store(f, EXIT_MMIO, base, 1, 1); // no driver yet
    assert_int_equal(f->told[0].config_writes, 0);
    drive(f, 1);
    store(f, EXIT_MMIO, base + 6, 2, 0xabcd);
    assert_int_equal(f->told[0].config_writes, 1);
    assert_int_equal(f->told[0].offset, 6);
    assert_int_equal(f->told[0].length, 2);
    assert_int_equal(f->told[0].value, 0xabcd);
    assert_int_equal(load(f, EXIT_MMIO, base + 6, 2), 0x0706); // until the device agrees
    for (unsigned offset = 9; offset < 4096; offset += 1)
        store(f, EXIT_MMIO, base + offset, 8, 0);
    assert_int_equal(f->told[0].config_writes, 1); // all of them pass the image's end
}

static void a_new_image_tells_the_driver(void **state)
{
    static const uint8_t image[3] = {9, 8, 7};
    struct fixture *f = *state;
    uint64_t generation;

    drive(f, 1);
    arm_vector(f, 2);
    put(f, CONFIG_VECTOR, 2);
    generation = get(f, CONFIG_GENERATION);
    assert_int_equal(virtio_pci_config_image(&f->functions[0], image, sizeof(image)), 0);
    assert_int_not_equal(get(f, CONFIG_GENERATION), generation);
    assert_int_equal(load(f, EXIT_MMIO, enable(f, 1) + VIRTIO_DEVICE_OFFSET, 4), 0x070809);
    assert_int_equal(scripted_raised(f->hypervisor, fixture_gsi(0) + 2), 1);
    generation = get(f, CONFIG_GENERATION);
    assert_int_equal(virtio_pci_config_image(&f->functions[0], image, sizeof(image)), 0);
    assert_int_equal(get(f, CONFIG_GENERATION), generation); // nothing new
    assert_int_equal(scripted_raised(f->hypervisor, fixture_gsi(0) + 2), 1);
    assert_int_equal(virtio_pci_config_image(&f->functions[0], image, VIRTIO_CONFIG_MAX + 1),
                     -EPROTO);
}

static void isr_clears_when_read(void **state)
{
    static const uint8_t image[1] = {1};
    struct fixture *f = *state;
    uint64_t isr = enable(f, 1) + VIRTIO_ISR_OFFSET;

    drive(f, 2);
    assert_int_equal(load(f, EXIT_MMIO, isr, 1), 0);
    ring(f->call_fds[0][1]);
    assert_int_equal(load(f, EXIT_MMIO, isr + 1, 1), 0); // not the register
    assert_int_equal(load(f, EXIT_MMIO, isr, 1), 1);
    assert_int_equal(load(f, EXIT_MMIO, isr, 1), 0);
    virtio_pci_config_image(&f->functions[0], image, 1);
    ring(f->call_fds[0][0]);
    store(f, EXIT_MMIO, isr, 1, 0xff);
    assert_int_equal(load(f, EXIT_MMIO, isr, 4), 3);
    assert_int_equal(load(f, EXIT_MMIO, isr, 4), 0);
    arm_vector(f, 0);
    ring(f->call_fds[0][0]);
    assert_int_equal(load(f, EXIT_MMIO, isr, 1), 0); // the vector tells
    put(f, QUEUE_SELECT, 0);
    put(f, QUEUE_VECTOR, 0);
    assert_int_equal(scripted_raised(f->hypervisor, fixture_gsi(0)), 1);
}

// The first notification passes through the coordinator and connects the doorbell; the next do not.
static void notifications_connect_their_doorbell(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = enable(f, 1) + VIRTIO_NOTIFY_OFFSET;
    uint16_t port = io_base(f, 1);

    for (unsigned q = 0; q < FIXTURE_QUEUES; q++) {
        for (unsigned i = 0; i < 3; i++)
            store(f, EXIT_PIO, (uint16_t)(port + 4 * q), 2, q);
        assert_int_equal(drain(f->kick_fds[0][q]), 3);
        assert_int_equal(f->hypervisor->calls, 2 * q + 1);
        store(f, EXIT_MMIO, memory + 4 * q, 4, q);
        store(f, EXIT_MMIO, memory + 4 * q, 1, 0xff);
        assert_int_equal(drain(f->kick_fds[0][q]), 2);
    }
    assert_int_equal(f->hypervisor->doorbell_count, 2 * FIXTURE_QUEUES);
    assert_int_equal(load(f, EXIT_MMIO, memory, 4), 0);
    assert_int_equal(load(f, EXIT_PIO, port, 2), 0);
}

static void other_places_ring_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = enable(f, 1) + VIRTIO_NOTIFY_OFFSET;

    for (unsigned offset = 0; offset < 0x1000; offset++)
        if (offset % 4 != 0 || offset >= 4 * FIXTURE_QUEUES)
            store(f, EXIT_MMIO, memory + offset, 1, 0);
    for (unsigned offset = 0; offset < 4 * FIXTURE_QUEUES; offset++)
        if (offset % 4 != 0)
            store(f, EXIT_PIO, io_base(f, 1) + offset, 1, 0);
    for (unsigned q = 0; q < FIXTURE_QUEUES; q++)
        assert_int_equal(drain(f->kick_fds[0][q]), 0);
    assert_int_equal(f->hypervisor->calls, 0);
}

static void a_refused_doorbell_still_rings(void **state)
{
    struct fixture *f = *state;
    uint16_t port;

    enable(f, 1);
    port = io_base(f, 1);
    f->hypervisor->fail_doorbell = -ENOSPC;
    for (unsigned i = 0; i < 5; i++)
        store(f, EXIT_PIO, port, 2, 0);
    assert_int_equal(drain(f->kick_fds[0][0]), 5);
    assert_int_equal(f->hypervisor->calls, 1); // and is not asked for again
}

static void a_full_kick_does_not_block(void **state)
{
    struct fixture *f = *state;
    const uint64_t most = UINT64_MAX - 1;

    enable(f, 1);
    assert_int_equal(write(f->kick_fds[0][0], &most, sizeof(most)), sizeof(most));
    f->hypervisor->fail_doorbell = -ENOSPC;
    store(f, EXIT_PIO, io_base(f, 1), 2, 0);
    assert_int_equal(drain(f->kick_fds[0][0]), most);
}

static void set_window(struct fixture *f, unsigned at, unsigned bar, uint32_t offset,
                       uint32_t length)
{
    config_store(f, 1, at + 4, 1, bar);
    config_store(f, 1, at + 8, 4, offset);
    config_store(f, 1, at + 12, 4, length);
}

// virtio 1.2, 4.1.4.9: with decoding off, as firmware uses it.
static void the_window_reaches_the_bars(void **state)
{
    struct fixture *f = *state;
    unsigned at = capability_after(f, 1, 0, PCI_CAPABILITY_VENDOR, 5);

    set_window(f, at, 0, NUM_QUEUES, 2);
    assert_int_equal(config_load(f, 1, at + 16, 4), FIXTURE_QUEUES);
    set_window(f, at, 0, QUEUE_SELECT, 2);
    config_store(f, 1, at + 16, 2, 3);
    assert_int_equal(f->functions[0].queue_select, 3);
    set_window(f, at, 0, VIRTIO_DEVICE_OFFSET + 4, 4);
    assert_int_equal(config_load(f, 1, at + 16, 4), 0x07060504);
    set_window(f, at, VIRTIO_BAR_IO, 8, 2);
    config_store(f, 1, at + 16, 4, 2);
    assert_int_equal(drain(f->kick_fds[0][2]), 1);
    assert_int_equal(f->hypervisor->doorbell_count, 0); // nothing answers there
}

static void a_bad_window_reaches_nothing(void **state)
{
    static const struct {
        uint8_t bar;
        uint32_t offset, length;
    } bad[] = {
        {1, 0, 4},
        {3, 0, 4},
        {5, 0, 4},
        {6, 0, 4},
        {255, 0, 4},
        {0, QUEUE_SELECT, 0},
        {0, QUEUE_SELECT, 3},
        {0, QUEUE_SELECT, 8},
        {0, QUEUE_SELECT, UINT32_MAX},
        {0, VIRTIO_BAR_MEMORY_SIZE, 2},
        {0, UINT32_MAX - 1, 2},
        {0, NUM_QUEUES + 1, 2},
        {2, 4 * FIXTURE_QUEUES, 4},
        {2, 2, 4},
    };
    struct fixture *f = *state;
    unsigned at = capability_after(f, 1, 0, PCI_CAPABILITY_VENDOR, 5);

    for (unsigned i = 0; i < array_size(bad); i++) {
        set_window(f, at, bad[i].bar, bad[i].offset, bad[i].length);
        config_store(f, 1, at + 16, 4, 0x00050505);
        assert_int_equal(config_load(f, 1, at + 16, 4), 0x00050505);
    }
    assert_int_equal(f->functions[0].queue_select, 0);
    for (unsigned q = 0; q < FIXTURE_QUEUES; q++)
        assert_int_equal(drain(f->kick_fds[0][q]), 0);
}

static void functions_are_apart(void **state)
{
    struct fixture *f = *state;
    struct virtio_function before = f->functions[1];

    drive(f, 4);
    arm_vector(f, 0);
    virtio_pci_needs_reset(&f->functions[0]);
    virtio_pci_machine_reset(&f->functions[0]);
    assert_memory_equal(&before, &f->functions[1], sizeof(before));
}

static void sizes_are_checked(void **state)
{
    struct fixture *f = *state;
    static struct virtio_function function;
    struct virtio_function_config config = {
        .kind = device_kind_find(DEVICE_rng),
        .id = "rng0",
        .queue_count = 1,
        .kick_fds = f->kick_fds[1],
        .call_fds = f->call_fds[1],
        .config_fd = f->config_fds[1],
        .gsi_first = 500,
        .transport = &told_ops,
    };

    assert_int_equal(virtio_pci_init(&function, &config, &f->pci, 2), -EEXIST);
    assert_int_equal(virtio_pci_init(&function, &config, &f->pci, 32), -EINVAL);
    config.queue_count = 0;
    assert_int_equal(virtio_pci_init(&function, &config, &f->pci, 5), -EINVAL);
    config.queue_count = VIRTIO_QUEUES_MAX + 1;
    assert_int_equal(virtio_pci_init(&function, &config, &f->pci, 5), -EINVAL);
    config.queue_count = 1;
    config.gsi_first = HYPERVISOR_GSI_MAX - 1;
    assert_int_equal(virtio_pci_init(&function, &config, &f->pci, 5), -EINVAL);
    config.gsi_first = 500;
    config.kind = device_kind_find(DEVICE_serial);
    assert_int_equal(virtio_pci_init(&function, &config, &f->pci, 5), -EINVAL);
    config.kind = device_kind_find(DEVICE_rng);
    assert_int_equal(virtio_pci_init(&function, &config, &f->pci, 5), 0);
    assert_int_equal(config_load(f, 5, PCI_VENDOR, 4), 0x10441af4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(capabilities_name_the_regions),
        TEST(power_on_values),
        TEST(features_are_read_in_words),
        TEST(queue_registers_keep_what_is_written),
        TEST(bad_queue_values_are_ignored),
        TEST(an_enabled_queue_is_fixed),
        TEST(absent_queues_are_empty),
        TEST(reads_of_any_shape_agree),
        TEST(writes_of_other_shapes_are_ignored),
        TEST(device_configuration_is_the_image),
        TEST(configuration_writes_are_posted),
        TEST(a_new_image_tells_the_driver),
        TEST(isr_clears_when_read),
        TEST(notifications_connect_their_doorbell),
        TEST(other_places_ring_nothing),
        TEST(a_refused_doorbell_still_rings),
        TEST(a_full_kick_does_not_block),
        TEST(the_window_reaches_the_bars),
        TEST(a_bad_window_reaches_nothing),
        TEST(functions_are_apart),
        TEST(sizes_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
