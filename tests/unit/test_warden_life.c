// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A compromised coordinator or loader against the warden: what it says reaches the user in one line
// and in the warden's name only, names no process that is not a device's, brings no descriptors in,
// and a loader that has said its word is gone.
#include "main/message.h"
// In no archive: it belongs to the warden. Before cmocka.h, whose macros have common names.
#include "main/warden_life.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    struct warden warden;
    struct vm_config config;
    struct channel coordinator; // the peers' ends
    struct channel loader;
    unsigned lines;
    char line[1024];
    unsigned verified;
} test;

void user_message(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(test.line, sizeof(test.line), format, arguments);
    va_end(arguments);
    test.lines++;
}

struct warden_process *warden_process_start(struct warden *warden, const char *id,
                                            const char *executable, int device, int channel)
{
    return NULL;
}

int warden_process_verify(struct warden_process *process)
{
    test.verified++;
    return 0;
}

struct warden_process *warden_process_of_device(struct warden *warden, unsigned index)
{
    for (unsigned i = 0; i < WARDEN_PROCESSES_MAX; i++)
        if (warden->processes[i].jailed.pid != 0 && warden->processes[i].device == (int)index)
            return &warden->processes[i];
    return NULL;
}

static void add_process(unsigned at, const char *id, int device, pid_t pid)
{
    struct warden_process *process = &test.warden.processes[at];

    process->warden = &test.warden;
    process->device = device;
    process->jailed.pid = pid;
    snprintf(process->id, sizeof(process->id), "%s", id);
}

static pid_t sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static int set_up(void **state)
{
    memset(&test, 0, sizeof(test));
    test.warden.config = &test.config;
    test.warden.failures.burst = 10;
    test.warden.running = true;
    assert_int_equal(event_loop_init(&test.warden.loop), 0);
    assert_int_equal(channel_pair(&test.warden.coordinator, &test.coordinator), 0);
    assert_int_equal(channel_pair(&test.warden.loader, &test.loader), 0);
    assert_int_equal(warden_watch_coordinator(&test.warden), 0);
    test.warden.loader_source =
        event_loop_add(&test.warden.loop, test.warden.loader.fd, EPOLLIN, on_loader, &test.warden);
    assert_true(test.warden.loader_source >= 0);
    test.warden.device_count = 1;
    snprintf(test.warden.devices[0].id, sizeof(test.warden.devices[0].id), "block0");
    add_process(0, "coordinator", -1, sleeper());
    add_process(1, "loader", -1, sleeper());
    return 0;
}

static int tear_down(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        kill(test.warden.processes[i].jailed.pid, SIGKILL);
        waitpid(test.warden.processes[i].jailed.pid, NULL, 0);
    }
    channel_destroy(&test.warden.coordinator);
    channel_destroy(&test.warden.loader);
    channel_destroy(&test.coordinator);
    channel_destroy(&test.loader);
    event_loop_destroy(&test.warden.loop);
    return 0;
}

static void coordinator_says(const warden_FromCoordinator *message, const int *fds, unsigned count)
{
    assert_int_equal(
        channel_send(&test.coordinator, warden_FromCoordinator_fields, message, fds, count), 0);
    assert_int_equal(event_loop_turn(&test.warden.loop, 0), 0);
}

static void expect_one_plain_line(void)
{
    assert_true(test.lines > 0);
    for (const char *at = test.line; *at != '\0'; at++)
        assert_in_range(*at, ' ', '~');
}

#define FORGERY "\r\n\x1b[2Jbulkhead: all is well\x9b"

static void a_failure_is_one_plain_line(void **state)
{
    const warden_FromCoordinator message = {
        .which_message = warden_FromCoordinator_device_failed_tag,
        .message.device_failed = {.index = 0, .reason = FORGERY},
    };

    coordinator_says(&message, NULL, 0);
    expect_one_plain_line();
    assert_non_null(strstr(test.line, "block0"));
}

static void says_failed(void)
{
    const warden_FromCoordinator message = {
        .which_message = warden_FromCoordinator_device_failed_tag,
        .message.device_failed = {.index = 0, .reason = "it closed its channel" FORGERY},
    };

    coordinator_says(&message, NULL, 0);
}

// The coordinator hears that the channel closed, the warden that the process ended: in any order.
static void a_dead_device_is_told_once(void **state)
{
    struct warden_process *device = &test.warden.processes[2];

    for (int reaped_first = 0; reaped_first < 2; reaped_first++) {
        int wait_status;

        test.lines = 0;
        add_process(2, "block0", 0, sleeper());
        device->failure[0] = '\0';
        kill(device->jailed.pid, SIGKILL);
        if (!reaped_first)
            says_failed();
        assert_int_equal(waitpid(device->jailed.pid, &wait_status, 0), device->jailed.pid);
        warden_process_ended(device, wait_status);
        device->jailed.pid = 0;
        if (reaped_first)
            says_failed();
        assert_int_equal(test.lines, 1);
        expect_one_plain_line();
        assert_non_null(strstr(test.line, "block0 was ended by signal 9"));
        assert_int_equal(strstr(test.line, "closed its channel") != NULL, !reaped_first);
        assert_false(test.warden.ended);
    }
}

// When the coordinator dies, the devices end before it is reaped: they are no news.
static void a_device_that_ends_without_a_fault_is_told_by_the_coordinator(void **state)
{
    struct warden_process *device = &test.warden.processes[2];

    test.warden.running = false;
    add_process(2, "block0", 0, 1);
    warden_process_ended(device, 0);
    device->jailed.pid = 0;
    assert_int_equal(test.lines, 0);
    assert_false(test.warden.ended);
    says_failed();
    assert_int_equal(test.lines, 1);
    assert_true(test.warden.ended);
}

static void a_device_that_fails_is_ended(void **state)
{
    struct warden_process *device = &test.warden.processes[2];
    int wait_status;

    add_process(2, "block0", 0, sleeper());
    says_failed();
    assert_int_equal(waitpid(device->jailed.pid, &wait_status, 0), device->jailed.pid);
    assert_true(WIFSIGNALED(wait_status));
    device->jailed.pid = 0;
}

static void a_device_that_ends_before_the_guest_begins_ends_the_vm(void **state)
{
    struct warden_process *device = &test.warden.processes[2];

    test.warden.running = false;
    add_process(2, "block0", 0, 1);
    warden_process_ended(device, SIGSYS);
    device->jailed.pid = 0;
    assert_non_null(strstr(test.line, "policy"));
    assert_int_equal(test.lines, 1);
    assert_true(test.warden.ended);
    assert_int_equal(test.warden.status, 1);
}

static void a_last_word_is_one_plain_line(void **state)
{
    const warden_FromCoordinator message = {
        .which_message = warden_FromCoordinator_ended_tag,
        .message.ended = {.reason = warden_Ended_Reason_FAILURE, .detail = FORGERY},
    };

    coordinator_says(&message, NULL, 0);
    expect_one_plain_line();
    assert_true(test.warden.ended);
}

static void failures_without_end_are_not_told_without_end(void **state)
{
    const warden_FromCoordinator message = {
        .which_message = warden_FromCoordinator_device_failed_tag,
        .message.device_failed = {.index = 0, .reason = "again"},
    };

    for (unsigned i = 0; i < 1000; i++)
        coordinator_says(&message, NULL, 0);
    assert_in_range(test.lines, 1, 30);
}

static void only_devices_are_verified_on_its_word(void **state)
{
    const warden_FromCoordinator message = {
        .which_message = warden_FromCoordinator_device_hello_tag,
        .message.device_hello.index =
            UINT32_MAX, // as an int: the mark of the coordinator's process
    };

    coordinator_says(&message, NULL, 0);
    assert_int_equal(test.verified, 0);
    assert_true(test.warden.ended);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void descriptors_do_not_come_in(void **state)
{
    const warden_FromCoordinator message = {.which_message = warden_FromCoordinator_running_tag};
    const int fds[] = {0, 1, 2};
    unsigned before = open_descriptors();

    coordinator_says(&message, fds, 3);
    assert_int_equal(open_descriptors(), before);
    assert_true(test.warden.ended);
}

static void a_loader_that_has_spoken_is_gone(void **state)
{
    const warden_FromLoader boot = {.which_message = warden_FromLoader_boot_tag};
    struct warden_process *loader = &test.warden.processes[1];
    int wait_status;

    assert_int_equal(channel_send(&test.loader, warden_FromLoader_fields, &boot, NULL, 0), 0);
    assert_int_equal(event_loop_turn(&test.warden.loop, 0), 0);
    assert_int_equal(waitpid(loader->jailed.pid, &wait_status, 0), loader->jailed.pid);
    warden_process_ended(loader, wait_status);
    assert_false(test.warden.ended);
    assert_int_equal(test.lines, 0);
    loader->jailed.pid = sleeper(); // for tear_down
}

// It may have ended before its channel is looked at, and its status may claim success.
static void a_loader_without_a_word_ends_the_vm(void **state)
{
    struct warden_process *loader = &test.warden.processes[1];
    int wait_status;

    shutdown(test.loader.fd, SHUT_RDWR); // a close would not be seen: the sleepers have it, too
    assert_int_equal(event_loop_turn(&test.warden.loop, 0), 0);
    assert_int_equal(waitpid(loader->jailed.pid, &wait_status, 0), loader->jailed.pid);
    assert_int_equal(test.lines, 0);
    warden_process_ended(loader, 0);
    assert_int_equal(test.lines, 1);
    assert_non_null(strstr(test.line, "loader"));
    assert_true(test.warden.ended);
    assert_int_equal(test.warden.status, 1);
    loader->jailed.pid = sleeper(); // for tear_down
}

static void a_coordinator_that_is_gone_is_told_by_its_end(void **state)
{
    struct warden_process *coordinator = &test.warden.processes[0];
    int wait_status;

    shutdown(test.coordinator.fd, SHUT_RDWR);
    test.warden.signals = 0;
    warden_signal(&test.warden, SIGTERM); // something to tell it
    assert_int_equal(test.lines, 0);
    assert_int_equal(waitpid(coordinator->jailed.pid, &wait_status, 0), coordinator->jailed.pid);
    warden_process_ended(coordinator, SIGSYS);
    assert_int_equal(test.lines, 1);
    assert_non_null(strstr(test.line, "coordinator was stopped"));
    assert_int_equal(test.warden.status, 1);
    coordinator->jailed.pid = sleeper(); // for tear_down
}

int main(void)
{
#define WARDEN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WARDEN_TEST(a_failure_is_one_plain_line),
        WARDEN_TEST(a_dead_device_is_told_once),
        WARDEN_TEST(a_device_that_ends_without_a_fault_is_told_by_the_coordinator),
        WARDEN_TEST(a_device_that_fails_is_ended),
        WARDEN_TEST(a_device_that_ends_before_the_guest_begins_ends_the_vm),
        WARDEN_TEST(a_last_word_is_one_plain_line),
        WARDEN_TEST(failures_without_end_are_not_told_without_end),
        WARDEN_TEST(only_devices_are_verified_on_its_word),
        WARDEN_TEST(descriptors_do_not_come_in),
        WARDEN_TEST(a_loader_that_has_spoken_is_gone),
        WARDEN_TEST(a_loader_without_a_word_ends_the_vm),
        WARDEN_TEST(a_coordinator_that_is_gone_is_told_by_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
