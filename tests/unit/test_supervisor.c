// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A compromised device process against the coordinator: whatever it says that is not its to say
// ends it, and it alone; it cannot keep the coordinator busy, put descriptors into it, end the VM,
// or leave traps for its successor.
// In no archive: they belong to the coordinator's executable. Before cmocka.h, whose macros have
// their names.
#include "main/supervisor.c"
#include "main/supervisor_posts.c"

#include "tests/unit/machine_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <pb_encode.h>

#define QUEUE_COUNT 2u

static struct {
    struct fixture machine;
    pthread_mutex_t lock;
    struct event_loop loop;
    struct supervisor supervisor;
    struct channel theirs; // the device process's end
    unsigned hellos, failures, changes, quits;
    char reason[160];
} test;

static void host_hello(void *context, unsigned index)
{
    test.hellos++;
}

static void host_failed(void *context, unsigned index, const char *reason)
{
    test.failures++;
    snprintf(test.reason, sizeof(test.reason), "%s", reason);
}

static void host_changed(void *context)
{
    test.changes++;
}

static void host_quit(void *context)
{
    test.quits++;
}

static const struct supervisor_host host = {
    .hello = host_hello, .failed = host_failed, .changed = host_changed, .quit = host_quit};

static struct supervised *the_device(void)
{
    return &test.supervisor.devices[0];
}

static void say(const device_FromDevice *message, const int *fds, unsigned count)
{
    assert_int_equal(channel_send(&test.theirs, device_FromDevice_fields, message, fds, count), 0);
    assert_int_equal(event_loop_turn(&test.loop, 0), 0);
}

static unsigned take_messages(void)
{
    struct channel_descriptors descriptors;
    device_ToDevice message;
    unsigned count = 0;

    while (channel_receive(&test.theirs, device_ToDevice_fields, &message, &descriptors, 1) == 1) {
        channel_descriptors_destroy(&descriptors);
        count++;
    }
    return count;
}

// A process is there, attached, and said Hello; its jail was verified.
static void bring_up(const device_Attach *config)
{
    const device_FromDevice hello = {
        .which_message = device_FromDevice_hello_tag,
        .message.hello = {.queue_count = the_device()->queue_count, .config.size = 8},
    };
    warden_DeviceSpawned spawned = {.index = 0, .pid = 1};
    pb_ostream_t stream =
        pb_ostream_from_buffer(spawned.config.bytes, sizeof(spawned.config.bytes));
    struct channel_descriptors descriptors = {.count = 2};
    struct channel ours;

    assert_true(pb_encode(&stream, device_Attach_fields, config));
    spawned.config.size = (pb_size_t)stream.bytes_written;
    assert_int_equal(channel_pair(&ours, &test.theirs), 0);
    descriptors.fds[0] = ours.fd;
    descriptors.fds[1] = open("/dev/null", O_RDONLY | O_CLOEXEC); // stands in for its filter
    assert_int_equal(supervisor_spawned(&test.supervisor, &spawned, &descriptors), 0);
    channel_descriptors_destroy(&descriptors);
    assert_int_equal(take_messages(), 1);
    say(&hello, NULL, 0);
    assert_int_equal(supervisor_verified(&test.supervisor, 0), 0);
    assert_int_equal(the_device()->state, DEVICE_READY);
}

static int set_up(enum device_kind kind, unsigned queue_count)
{
    const warden_Device row = {.id = "device0", .kind = kind, .queue_count = queue_count};
    struct byte_ring_pair *rings;

    memset(&test, 0, sizeof(test));
    assert_int_equal(fixture_init(&test.machine), 0);
    pthread_mutex_init(&test.lock, NULL);
    assert_int_equal(event_loop_init(&test.loop), 0);
    test.supervisor = (struct supervisor){
        .host = &host,
        .loop = &test.loop,
        .lock = &test.lock,
        .wake_fd = fixture_eventfd(),
        .memory_fd = guest_memory_create(GUEST_PAGE_SIZE),
    };
    assert_int_equal(supervisor_add(&test.supervisor, &row, &rings), 0);
    if (the_device()->kind->virtio_id != 0)
        assert_int_equal(supervisor_plug(the_device(), &test.machine.pci, 5, 100), 0);
    return 0;
}

static int set_up_block(void **state)
{
    const device_Attach config = {.which_config = device_Attach_block_tag};

    set_up(DEVICE_block, QUEUE_COUNT);
    bring_up(&config);
    return 0;
}

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

static int tear_down(void **state)
{
    struct supervised *device = the_device();
    unsigned doorbells = device->queue_count > 0 ? device->queue_count : 1;

    channel_destroy(&device->channel);
    channel_destroy(&test.theirs);
    close_all(device->kick_fds, doorbells);
    close_all(device->call_fds, doorbells);
    close(device->config_fd);
    close(device->shared_fd);
    close(test.supervisor.memory_fd);
    close(test.supervisor.wake_fd);
    event_loop_destroy(&test.loop);
    fixture_destroy(&test.machine);
    return 0;
}

// What the driver's registers would post.
static void post_a_start(unsigned queues)
{
    struct virtio_start start = {.count = queues};

    for (unsigned i = 0; i < queues; i++)
        start.queues[i] = (struct virtio_queue_place){.index = (uint16_t)i, .size = 8};
    pthread_mutex_lock(&test.lock);
    supervisor_transport.start(the_device(), &start);
    pthread_mutex_unlock(&test.lock);
}

static void post_a_reset(uint32_t serial)
{
    pthread_mutex_lock(&test.lock);
    supervisor_transport.reset(the_device(), serial);
    pthread_mutex_unlock(&test.lock);
}

static void say_done(uint32_t serial)
{
    const device_FromDevice done = {.which_message = device_FromDevice_done_tag,
                                    .message.done.serial = serial};

    say(&done, NULL, 0);
}

static void say_fault(void)
{
    const device_FromDevice fault = {
        .which_message = device_FromDevice_guest_fault_tag,
        .message.guest_fault = {.queue = 7, .reason = "so it says"},
    };

    say(&fault, NULL, 0);
}

static void say_image(uint8_t byte)
{
    device_FromDevice image = {.which_message = device_FromDevice_config_image_tag};

    image.message.config_image.config.size = 8;
    image.message.config_image.config.bytes[0] = byte;
    say(&image, NULL, 0);
}

static void each_reset_is_answered_once(void **state)
{
    post_a_reset(5);
    post_a_reset(6);
    say_done(5);
    say_done(999); // stale numbers are ignored
    assert_int_equal(test.failures, 0);
    say_done(6);
    assert_int_equal(test.failures, 1);
    assert_int_equal(the_device()->state, DEVICE_OFFLINE);
}

static void each_start_of_a_queue_fails_once(void **state)
{
    post_a_start(QUEUE_COUNT);
    say_fault();
    say_fault();
    assert_int_equal(test.failures, 0);
    say_fault();
    assert_int_equal(test.failures, 1);
}

static void a_device_that_never_started_has_no_faults(void **state)
{
    say_fault();
    assert_int_equal(test.failures, 1);
}

static void images_without_end_are_a_flood(void **state)
{
    unsigned said = 0;

    while (test.failures == 0 && said < 10000)
        say_image((uint8_t)said++);
    assert_in_range(said, 50, 500);
}

static void images_that_answer_writes_are_none(void **state)
{
    for (unsigned i = 0; i < 1000; i++) {
        pthread_mutex_lock(&test.lock);
        supervisor_transport.config_write(the_device(), 0, 4, i);
        pthread_mutex_unlock(&test.lock);
        assert_int_equal(take_messages(), 1);
        say_image((uint8_t)i);
    }
    assert_int_equal(test.failures, 0);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void descriptors_end_it_and_do_not_come_in(void **state)
{
    const device_FromDevice pong = {.which_message = device_FromDevice_pong_tag};
    const int fds[] = {0, 1, 2};
    unsigned before = open_descriptors();

    say(&pong, fds, 3);
    assert_int_equal(test.failures, 1);
    assert_int_equal(open_descriptors(), before - 1); // its channel
}

static void quit_is_for_those_with_a_terminal(void **state)
{
    const device_FromDevice quit = {.which_message = device_FromDevice_quit_tag};
    device_Attach config = {.which_config = device_Attach_serial_tag};

    set_up(DEVICE_serial, 0);
    bring_up(&config);
    say(&quit, NULL, 0);
    assert_int_equal(test.quits, 0);
    assert_int_equal(test.failures, 1);
    tear_down(state);

    set_up(DEVICE_serial, 0);
    config.config.serial.escape = true;
    bring_up(&config);
    say(&quit, NULL, 0);
    assert_int_equal(test.quits, 1);
    assert_int_equal(test.failures, 0);
    tear_down(state);
}

static void a_counter_that_is_full_is_no_trap_for_the_successor(void **state)
{
    const device_Attach config = {.which_config = device_Attach_block_tag};
    const uint64_t full = UINT64_MAX - 1, one = 1;
    int kick = the_device()->kick_fds[1];

    assert_int_equal(write(kick, &full, sizeof(full)), sizeof(full));
    channel_destroy(&test.theirs);
    assert_int_equal(event_loop_turn(&test.loop, 0), 0);
    assert_int_equal(test.failures, 1);
    bring_up(&config);
    assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
}

static void silence_after_a_machine_reset_ends_it_and_frees_the_guest(void **state)
{
    supervisor_give_up_on_resets(&test.supervisor);
    assert_int_equal(test.failures, 0);   // it was not asked anything
    the_device()->function.posted = true; // as after DRIVER_OK
    supervisor_machine_reset(&test.supervisor);
    assert_false(supervisor_all_quiet(&test.supervisor));
    supervisor_give_up_on_resets(&test.supervisor);
    assert_int_equal(test.failures, 1);
    assert_int_equal(the_device()->state, DEVICE_OFFLINE);
    assert_true(supervisor_all_quiet(&test.supervisor));
    assert_true(test.changes > 0); // the coordinator looks again, and reloads
}

int main(void)
{
#define BLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_block, tear_down)
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(each_reset_is_answered_once),
        BLOCK_TEST(each_start_of_a_queue_fails_once),
        BLOCK_TEST(a_device_that_never_started_has_no_faults),
        BLOCK_TEST(images_without_end_are_a_flood),
        BLOCK_TEST(images_that_answer_writes_are_none),
        BLOCK_TEST(descriptors_end_it_and_do_not_come_in),
        cmocka_unit_test(quit_is_for_those_with_a_terminal),
        BLOCK_TEST(silence_after_a_machine_reset_ends_it_and_frees_the_guest),
        BLOCK_TEST(a_counter_that_is_full_is_no_trap_for_the_successor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
