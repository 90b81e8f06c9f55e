// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The real loader in its real jail under its shipped policy, driven as the warden drives it: a good
// kernel becomes Boot, a bad one LoadFailed, and nothing else comes out of it.
#include "ipc/channel.h"
#include "ipc/cleanup.h"
#include "jail/jail.h"
#include "jail/policy/policy.h"
#include "main/machine/layout.h"
#include "memory/guest_access.h"
#include "proto/warden.pb.h"

// cmocka.h wants these before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_SIZE (UINT64_C(64) << 20)
#define SEEDS "tests/fuzz/corpus/loader/"

struct run {
    struct channel channel;
    struct jailed jailed;
    struct guest_memory *memory;
    int memory_fd;
};

// build/test/device/test_loader finds build/libexec/loader.
static int open_loader(void)
{
    char path[512] = "";
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 64);
    char *end = path;
    int fd;

    assert_true(length > 0);
    for (unsigned i = 0; i < 3; i++) {
        end = strrchr(path, '/');
        assert_non_null(end);
        *end = '\0';
    }
    snprintf(end, 64, "/libexec/loader");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("there is no %s: run make", path);
    return fd;
}

// The shipped policy, or `text` instead.
static int make_filter(const char *text)
{
    const struct policy_source source = {
        .path = "test.policy", .bytes = text, .length = text != NULL ? strlen(text) : 0};
    struct policy_diagnostics diagnostics = {0};
    const struct policy_options options = {.violation = POLICY_VIOLATION_OF_THIS_BUILD};
    struct policy_program program = {0};
    struct policy *policy = NULL;
    int fd = memfd_create("filter", MFD_CLOEXEC);
    int error = text != NULL ? policy_load(&source, &policy, &diagnostics)
                             : policy_load_builtin("loader", &policy, &diagnostics);
    size_t size;

    if (error < 0 || policy_compile(policy, &options, &program, &diagnostics) < 0) {
        policy_diagnostics_print(&diagnostics, stderr);
        fail_msg("the policy does not compile");
    }
    size = program.count * sizeof(program.insns[0]);
    assert_int_equal(write(fd, program.insns, size), size);
    policy_program_destroy(&program);
    policy_destroy(policy);
    policy_diagnostics_clear(&diagnostics);
    return fd;
}

static void spawn(struct run *run)
{
    static const char *const argv[] = {"loader", NULL};
    const struct guest_region region = {.size = MEMORY_SIZE};
    struct channel theirs;
    char reason[512] = "";
    _cleanup_fd_
    int executable = open_loader();

    assert_int_equal(channel_pair(&run->channel, &theirs), 0);
    const struct jail_descriptor descriptors[] = {{STDERR_FILENO, 2}, {theirs.fd, 3}};
    const struct jail_spec spec = {
        .role = "loader",
        .executable_fd = executable,
        .argv = argv,
        .descriptors = descriptors,
        .descriptor_count = array_size(descriptors),
        .limits = {.descriptors = 16,
                   .tasks = 1,
                   .address_space = UINT64_C(256) << 20,
                   .file_size = MEMORY_SIZE},
        .uid = jail_uid(getpid(), 0),
    };

    if (jail_spawn(&spec, &run->jailed, reason, sizeof(reason)) < 0)
        fail_msg("cannot start the loader: %s", reason);
    channel_destroy(&theirs);
    run->memory_fd = guest_memory_create(MEMORY_SIZE);
    assert_true(run->memory_fd >= 0);
    assert_int_equal(guest_memory_map(run->memory_fd, &region, 1, &run->memory), 0);
}

// Sends Load with these descriptors behind the memory (-1: leave it out).
static void send_load(struct run *run, int kernel, int initrd, int filter)
{
    warden_ToLoader message = {
        .which_message = warden_ToLoader_load_tag,
        .message.load =
            {
                .regions_count = 1,
                .regions = {{.size = MEMORY_SIZE}},
                .cpus = 2,
                .has_initrd = initrd >= 0,
                .cmdline = "quiet",
                .has_serial = true,
            },
    };
    int fds[4] = {run->memory_fd};
    unsigned count = 1;

    if (kernel >= 0)
        fds[count++] = kernel;
    if (initrd >= 0)
        fds[count++] = initrd;
    if (filter >= 0)
        fds[count++] = filter;
    assert_int_equal(channel_send(&run->channel, warden_ToLoader_fields, &message, fds, count), 0);
}

// The loader's one message (false: it ended without), then its end.
static bool finish(struct run *run, warden_FromLoader *message, int *status)
{
    struct channel_descriptors descriptors;
    warden_FromLoader second;
    int result = channel_receive(&run->channel, warden_FromLoader_fields, message, &descriptors, 0);

    assert_true(result >= 0);
    assert_int_equal(descriptors.count, 0);
    if (result == 1)
        assert_int_equal(
            channel_receive(&run->channel, warden_FromLoader_fields, &second, &descriptors, 0), 0);
    assert_int_equal(waitpid(run->jailed.pid, status, __WALL), run->jailed.pid);
    close(run->jailed.pidfd);
    channel_destroy(&run->channel);
    guest_memory_unmap(run->memory);
    close(run->memory_fd);
    return result == 1;
}

static int open_seed(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        fail_msg("no %s: run from the tree's root", path);
    return fd;
}

static void good_kernels_become_boot(void **unused)
{
    static const struct {
        const char *path;
        warden_Boot_Protocol protocol;
        uint64_t entry;
    } kernels[] = {
        {SEEDS "bzimage", warden_Boot_Protocol_LINUX64, 0x1000200},
        {SEEDS "elf", warden_Boot_Protocol_PVH, 0x1000010},
    };

    (void)unused;
    for (size_t i = 0; i < array_size(kernels); i++) {
        _cleanup_fd_
        int kernel = open_seed(kernels[i].path);
        _cleanup_fd_
        int initrd = open_seed(SEEDS "notes");
        _cleanup_fd_
        int filter = make_filter(NULL);
        char cmdline[6];
        struct run run;
        warden_FromLoader message;
        int status;

        spawn(&run);
        send_load(&run, kernel, i == 0 ? initrd : -1, filter);
        // The answer comes when memory is filled: wait for it without unmapping.
        struct channel_descriptors descriptors;
        assert_int_equal(
            channel_receive(&run.channel, warden_FromLoader_fields, &message, &descriptors, 0), 1);
        assert_int_equal(message.which_message, warden_FromLoader_boot_tag);
        assert_int_equal(message.message.boot.protocol, kernels[i].protocol);
        assert_int_equal(message.message.boot.entry, kernels[i].entry);
        assert_int_equal(guest_read(run.memory, guest_address(0x10000), cmdline, sizeof(cmdline)),
                         0);
        assert_string_equal(cmdline, "quiet");
        assert_false(finish(&run, &message, &status));
        assert_int_equal(status, 0);
    }
}

static void bad_kernels_become_one_line(void **unused)
{
    int pipe_fds[2];
    _cleanup_fd_
    int not_a_kernel = open_seed(SEEDS "notes");
    _cleanup_fd_
    int filter = make_filter(NULL);

    (void)unused;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    const struct {
        int kernel;
        const char *text;
    } cases[] = {{not_a_kernel, "not a kernel"}, {pipe_fds[0], "not a regular file"}};

    for (size_t i = 0; i < array_size(cases); i++) {
        struct run run;
        warden_FromLoader message;
        int status;

        spawn(&run);
        send_load(&run, cases[i].kernel, -1, filter);
        assert_true(finish(&run, &message, &status));
        assert_int_equal(message.which_message, warden_FromLoader_failed_tag);
        assert_non_null(strstr(message.message.failed.reason, cases[i].text));
        assert_int_equal(status, 0);
    }
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

// Without its filter the loader parses nothing.
static void no_filter_means_no_boot(void **unused)
{
    _cleanup_fd_
    int kernel = open_seed(SEEDS "bzimage");
    _cleanup_fd_
    int filter = make_filter(NULL);
    const int filters[] = {-1, kernel}; // none; a file that is no program

    (void)unused;
    for (size_t i = 0; i < array_size(filters); i++) {
        struct run run;
        warden_FromLoader message;
        int status;

        spawn(&run);
        send_load(&run, kernel, -1, filters[i]);
        assert_false(finish(&run, &message, &status));
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 70);
    }
}

// The filter is in force when files are read: without preadv the loader dies there.
static void parsing_happens_under_the_filter(void **unused)
{
    _cleanup_fd_
    int kernel = open_seed(SEEDS "bzimage");
    _cleanup_fd_
    int filter = make_filter("sendmsg: 1\nwrite: 1\nexit_group: 1\n");
    struct run run;
    warden_FromLoader message;
    int status;

#ifdef BULKHEAD_SANITIZE
    print_message("skip: in sanitizer builds filters log and do not stop\n");
    skip();
#endif
    spawn(&run);
    send_load(&run, kernel, -1, filter);
    assert_false(finish(&run, &message, &status));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_kernels_become_boot),
        cmocka_unit_test(bad_kernels_become_one_line),
        cmocka_unit_test(no_filter_means_no_boot),
        cmocka_unit_test(parsing_happens_under_the_filter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
