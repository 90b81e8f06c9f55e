// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// How much of the host's disk a device process can use when it was taken over: no more than its
// device needs.
#include "main/message.h"
// In no archive: they belong to the warden. Before cmocka.h, whose macros have common names.
#include "main/warden_open.c"
#include "main/warden_process.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define IMAGE_BYTES 1048576

void user_message(const char *format, ...)
{
}

int process_log_open(struct process_log *log, struct event_loop *loop, const char *name,
                     int *write_fd)
{
    return -ENOSYS;
}

void process_log_close(struct process_log *log)
{
}

void warden_process_ended(struct warden_process *process, int wait_status)
{
}

int warden_stream_open(struct warden *warden, const struct vm_stream *stream, const char *what,
                       struct warden_stream *out)
{
    *out = (struct warden_stream){.input_fd = -1,
                                  .output_fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    return 0;
}

void warden_terminal_size(device_ConsoleConfig *console)
{
}

void warden_terminal_restore(struct warden *warden)
{
}

int warden_policy_compile(const struct vm_config *config, const char *id, const char *name)
{
    return -ENOSYS;
}

int warden_disk_open(const struct vm_disk *disk, device_BlockConfig *config)
{
    config->capacity = IMAGE_BYTES / 512;
    config->block_size = 512;
    return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static struct jail_limits limits_of_device(const struct warden *warden, unsigned index)
{
    const struct warden_process process = {.device = (int)index, .executable = "device"};

    return limits_of(warden, &process);
}

static void a_device_writes_no_file_longer_than_its_own(void **state)
{
    static struct vm_config config = {
        .disks = {{.id = "block0", .queues = 1}}, .disk_count = 1, .rng = true};
    static struct warden warden = {.config = &config};

    config.serial.mode = VM_STREAM_FILE;
    assert_int_equal(open_devices(&warden), 0);
    assert_int_equal(warden.device_count, 3);
    assert_true(limits_of_device(&warden, 0).file_size == IMAGE_BYTES);
    assert_true(limits_of_device(&warden, 1).file_size == 0);
    assert_true(limits_of_device(&warden, 2).file_size == RLIM_INFINITY);
    warden.libexec_fd = warden.null_fd = warden.kvm_fd = warden.kernel_fd = -1;
    warden.initrd_fd = warden.memory_fd = warden.signal_fd = -1;
    warden.coordinator_filter_fd = warden.vcpu_filter_fd = warden.loader_filter_fd = -1;
    warden.coordinator.fd = warden.loader.fd = -1;
    warden_close(&warden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_writes_no_file_longer_than_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
