// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A hostile driver against the console's event loop: however many buffers without room it gives,
// however much it prints, the process comes back to its other events after a turn's share.
#include "tests/fuzz/device_rig.h"

// In no archive: they belong to the console's executable. Before cmocka.h, whose macros have common
// names.
#include "devices/console/console.c"
#include "devices/console/control.c"
#include "devices/console/port.c"
#include "devices/device_transport.c"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SIZE 256u
#define PIECES 126u
#define TABLE 0x1000u
#define AVAILABLE 0x3000u
#define USED 0x4000u

static int keyboard;
static int file;

static void descriptor(unsigned index, uint64_t address, uint32_t length, uint16_t flags)
{
    struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    } raw = {address, length, flags, (uint16_t)(index + 1)};

    rig_poke(&the_rig, TABLE + 16 * index, &raw, sizeof(raw));
}

static void available(uint16_t count)
{
    for (uint16_t i = 0; i < count; i++)
        rig_poke(&the_rig, AVAILABLE + 4 + 2 * i, &i, sizeof(i));
    rig_poke(&the_rig, AVAILABLE + 2, &count, sizeof(count));
}

static uint16_t used_index(void)
{
    uint16_t index;

    assert_int_equal(
        guest_read(the_rig.device.memory, guest_address(USED + 2), &index, sizeof(index)), 0);
    return index;
}

static void start(unsigned queue)
{
    device_ToDevice message = {.which_message = device_ToDevice_start_tag};
    device_Start *to = &message.message.start;

    to->features = UINT64_C(1) << VIRTIO_F_VERSION_1;
    to->queues_count = 1;
    to->queues[0] = (device_Queue){.index = queue,
                                   .size = SIZE,
                                   .descriptor_area = TABLE,
                                   .driver_area = AVAILABLE,
                                   .device_area = USED};
    available(0);
    rig_poke(&the_rig, USED + 2, &(uint16_t){0}, sizeof(uint16_t));
    the_rig.started = true;
    rig_say(&the_rig, &message);
}

static int attach(void **state)
{
    const device_Attach config = {
        .which_config = device_Attach_console_tag,
        .config.console = {.ports = 1, .inputs = 1, .outputs = 1},
    };
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    keyboard = fds[1];
    file = memfd_create("console", MFD_CLOEXEC);
    the_rig.back_ends[0].role = device_DescriptorRole_ROLE_INPUT;
    the_rig.back_ends[0].fd = fds[0];
    the_rig.back_ends[1].role = device_DescriptorRole_ROLE_OUTPUT;
    the_rig.back_ends[1].fd = dup(file);
    rig_attach(&the_rig, 4, &config);
    return 0;
}

static int reset(void **state)
{
    rig_reset(&the_rig);
    return the_rig.reset_serial == 0 ? 0 : -1;
}

static void buffers_without_room_are_taken_in_turns(void **state)
{
    const struct virtqueue *queue = &the_rig.device.queues[0];
    uint64_t before = queue->requests;

    for (unsigned i = 0; i < SIZE; i++)
        descriptor(i, 0x8000, 16, 0); // readable: no room for input
    start(0);
    assert_int_equal(write(keyboard, "x", 1), 1);
    rig_turn(&the_rig); // it is read, and waits for buffers
    available(SIZE);
    the_rig.device.ops->kicked(&the_rig.device, 0);
    assert_in_range(queue->requests - before, 1, 64);
    for (unsigned i = 0; i < SIZE; i++)
        rig_turn(&the_rig);
    assert_int_equal(queue->requests - before, SIZE);
    assert_int_equal(used_index(), SIZE);
}

static uint64_t length_of_file(void)
{
    struct stat status;

    assert_int_equal(fstat(file, &status), 0);
    return (uint64_t)status.st_size;
}

static void output_is_written_in_turns(void **state)
{
    for (unsigned i = 0; i < PIECES; i++)
        descriptor(i, RIG_HIGH, RIG_REGION, i + 1 < PIECES ? 1 : 0);
    start(1);
    available(1);
    the_rig.device.ops->kicked(&the_rig.device, 1);
    assert_in_range(length_of_file(), 1, 1u << 20);
    for (unsigned i = 0; i < 16; i++)
        rig_turn(&the_rig);
    assert_int_equal(length_of_file(), PIECES * RIG_REGION);
    assert_int_equal(used_index(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(buffers_without_room_are_taken_in_turns, reset),
        cmocka_unit_test_teardown(output_is_written_in_turns, reset),
    };

    return cmocka_run_group_tests(tests, attach, NULL);
}
