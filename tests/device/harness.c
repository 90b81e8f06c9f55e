// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The coordinator's and the warden's side of a device process, for tests.
#include "tests/device/harness.h"

#include "ipc/cleanup.h"
#include "jail/policy/policy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RING_AREA UINT64_C(0x100000) // guest address of the first queue's rings
#define RING_STRIDE UINT64_C(0x8000)
#define BUFFER_AREA UINT64_C(0x400000)

static_assert(RING_AREA + HARNESS_QUEUES_MAX * RING_STRIDE <= BUFFER_AREA, "rings and buffers");

// --------------------------------------------------------------------------------------- memory

void *harness_at(struct harness *harness, uint64_t address)
{
    if (address < HARNESS_REGION_SIZE)
        return harness->memory + address;
    assert_true(address >= HARNESS_HIGH && address - HARNESS_HIGH < HARNESS_REGION_SIZE);
    return harness->memory + HARNESS_REGION_SIZE + (address - HARNESS_HIGH);
}

uint64_t harness_buffer(struct harness *harness, unsigned region, uint64_t size)
{
    uint64_t at = harness->next_buffer[region];

    harness->next_buffer[region] += (size + GUEST_PAGE_SIZE - 1) & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    assert_true(harness->next_buffer[region] <=
                (region == 0 ? 0 : HARNESS_HIGH) + HARNESS_REGION_SIZE);
    return at;
}

// build/test/device/test_X and build/bench/X find build/libexec.
static int open_executable(const char *kind)
{
    char path[512] = "";
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 64);
    char *slash;

    assert_true(length > 0);
    while ((slash = strrchr(path, '/')) != NULL) {
        int fd;

        sprintf(slash, "/libexec/%.20s", kind);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
        *slash = '\0';
    }
    fail_msg("there is no libexec/%s above the test: run make", kind);
    return -1;
}

static void *map_shared(int fd, size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    assert_ptr_not_equal(at, MAP_FAILED);
    return at;
}

static void make_queue(struct harness *harness, unsigned index, uint16_t size)
{
    struct harness_queue *queue = &harness->queues[index];
    uint64_t at = RING_AREA + index * RING_STRIDE;

    queue->size = size;
    queue->where = (device_Queue){
        .index = index,
        .size = size,
        .descriptor_area = at,
        .driver_area = at + 0x2000,
        .device_area = at + 0x4000,
    };
    queue->descriptors = harness_at(harness, queue->where.descriptor_area);
    queue->available = harness_at(harness, queue->where.driver_area);
    queue->used = harness_at(harness, queue->where.device_area);
    queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    queue->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(queue->kick_fd >= 0 && queue->call_fd >= 0);
    harness_queue_clear(queue);
}

void harness_init(struct harness *harness, const char *kind, unsigned queues, uint16_t queue_size)
{
    size_t inflight_size = (size_t)queues * virtqueue_inflight_stride();

    memset(harness, 0, sizeof(*harness));
    harness->kind = kind;
    harness->channel.fd = -1;
    harness->executable_fd = open_executable(kind);
    harness->memory_fd = guest_memory_create(2 * HARNESS_REGION_SIZE);
    assert_true(harness->memory_fd >= 0);
    harness->memory = map_shared(harness->memory_fd, 2 * HARNESS_REGION_SIZE);
    harness->inflight_fd = memfd_create("inflight", MFD_CLOEXEC);
    assert_true(harness->inflight_fd >= 0);
    assert_int_equal(ftruncate(harness->inflight_fd, (off_t)inflight_size), 0);
    if (queues > 0)
        harness->inflight = map_shared(harness->inflight_fd, inflight_size);
    harness->next_buffer[0] = BUFFER_AREA;
    harness->next_buffer[1] = HARNESS_HIGH;
    harness->queue_count = queues;
    for (unsigned i = 0; i < queues; i++)
        make_queue(harness, i, queue_size);
    harness->features = UINT64_C(1) << VIRTIO_F_VERSION_1;
}

void harness_back_end(struct harness *harness, device_DescriptorRole role, int fd)
{
    assert_true(harness->role_count < HARNESS_ROLES_MAX);
    harness->roles[harness->role_count] = role;
    harness->role_fds[harness->role_count++] = fd;
}

// -------------------------------------------------------------------------------------- process

// The policy as the user would have it, compiled now.
static int make_filter(const char *kind)
{
    struct policy_diagnostics diagnostics = {0};
    const struct policy_options options = {.violation = POLICY_VIOLATION_OF_THIS_BUILD};
    struct policy_program program = {0};
    struct policy *policy;
    int fd = memfd_create("filter", MFD_CLOEXEC);
    size_t size;

    if (policy_load_builtin(kind, &policy, &diagnostics) < 0 ||
        policy_compile(policy, &options, &program, &diagnostics) < 0) {
        policy_diagnostics_print(&diagnostics, stderr);
        fail_msg("the policy of %s does not compile", kind);
    }
    size = program.count * sizeof(program.insns[0]);
    assert_int_equal(write(fd, program.insns, size), size);
    policy_program_destroy(&program);
    policy_destroy(policy);
    policy_diagnostics_clear(&diagnostics);
    return fd;
}

static void send_attach(struct harness *harness)
{
    device_ToDevice message = {
        .which_message = device_ToDevice_attach_tag,
        .message.attach = harness->attach,
    };
    device_Attach *attach = &message.message.attach;
    int fds[CHANNEL_DESCRIPTORS_MAX];
    _cleanup_fd_
    int filter = make_filter(harness->kind);
    unsigned count = 0;

#define ADD(role, fd) (attach->roles[count] = (role), fds[count++] = (fd))
    snprintf(attach->id, sizeof(attach->id), "%s0", harness->kind);
    attach->regions_count = 2;
    attach->regions[0] = (device_MemoryRegion){.size = HARNESS_REGION_SIZE};
    attach->regions[1] = (device_MemoryRegion){
        .guest_address = HARNESS_HIGH,
        .size = HARNESS_REGION_SIZE,
        .offset = HARNESS_REGION_SIZE,
    };
    attach->queue_count = harness->queue_count;
    attach->inflight_stride = virtqueue_inflight_stride();
    ADD(device_DescriptorRole_ROLE_FILTER, filter);
    if (harness->queue_count > 0) {
        ADD(device_DescriptorRole_ROLE_MEMORY, harness->memory_fd);
        ADD(device_DescriptorRole_ROLE_INFLIGHT, harness->inflight_fd);
    }
    for (unsigned i = 0; i < harness->queue_count; i++)
        ADD(device_DescriptorRole_ROLE_KICK, harness->queues[i].kick_fd);
    for (unsigned i = 0; i < harness->queue_count; i++)
        ADD(device_DescriptorRole_ROLE_CALL, harness->queues[i].call_fd);
    for (unsigned i = 0; i < harness->role_count; i++)
        ADD(harness->roles[i], harness->role_fds[i]);
#undef ADD
    attach->roles_count = (pb_size_t)count;
    assert_int_equal(channel_send(&harness->channel, device_ToDevice_fields, &message, fds, count),
                     0);
}

void harness_spawn(struct harness *harness)
{
    static const char *const argv[] = {"device", NULL};
    struct channel theirs;
    char reason[512] = "";
    device_FromDevice message;
    int error;

    assert_int_equal(channel_pair(&harness->channel, &theirs), 0);
    struct jail_descriptor descriptors[] = {{STDERR_FILENO, 2}, {theirs.fd, 3}};
    harness->spec = (struct jail_spec){
        .role = harness->kind,
        .executable_fd = harness->executable_fd,
        .argv = argv,
        .descriptors = descriptors,
        .descriptor_count = array_size(descriptors),
        .limits =
            {
                .descriptors = 128,
                .tasks = 16,
                .address_space = UINT64_C(512) << 20,
                .locked_memory = UINT64_C(8) << 20,
                .file_size = UINT64_C(1) << 30,
            },
        .uid = jail_uid(getpid(), 0),
    };
    error = jail_spawn(&harness->spec, &harness->jailed, reason, sizeof(reason));
    if (error < 0)
        fail_msg("cannot start %s: %s", harness->kind, reason);
    channel_destroy(&theirs);
    harness->alive = true;
    send_attach(harness);
    harness_receive(harness, &message);
    assert_int_equal(message.which_message, device_FromDevice_hello_tag);
    harness->hello = message.message.hello;
}

void harness_verify(struct harness *harness)
{
    struct jail_spec spec = harness->spec;
    struct jail_descriptor descriptors[] = {{STDERR_FILENO, 2}, {STDERR_FILENO, 3}};
    char reason[512] = "";

    // What it was sent and what it made before lock-down.
    spec.descriptors = descriptors;
    spec.later[JAIL_FD_EVENTFD] = (uint16_t)(2 * harness->queue_count + 2);
    spec.later[JAIL_FD_EPOLL] = 1;
    spec.later[JAIL_FD_IO_URING] = 1;
    spec.later[JAIL_FD_PATH] = (uint16_t)harness->role_count;
    spec.later[JAIL_FD_PIPE] = (uint16_t)harness->role_count;
    spec.later[JAIL_FD_MEMFD] = (uint16_t)harness->role_count;
    if (jail_verify(&harness->jailed, &spec, NULL, reason, sizeof(reason)) != 0)
        fail_msg("%s", reason);
}

static int reap(struct harness *harness)
{
    int status = 0;

    assert_int_equal(waitpid(harness->jailed.pid, &status, __WALL), harness->jailed.pid);
    close(harness->jailed.pidfd);
    channel_destroy(&harness->channel);
    harness->alive = false;
    return status;
}

void harness_kill(struct harness *harness)
{
    int status;

    assert_int_equal(syscall(SYS_pidfd_send_signal, harness->jailed.pidfd, SIGKILL, NULL, 0), 0);
    status = reap(harness);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void harness_destroy(struct harness *harness)
{
    if (harness->alive) {
        struct pollfd ended = {.fd = harness->jailed.pidfd, .events = POLLIN};
        int status;

        channel_destroy(&harness->channel);
        if (poll(&ended, 1, HARNESS_TIMEOUT_MS) != 1)
            fail_msg("%s does not end when its channel closes", harness->kind);
        status = reap(harness);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s ended with wait status %#x", harness->kind, status);
    }
    munmap(harness->memory, 2 * HARNESS_REGION_SIZE);
    if (harness->queue_count > 0)
        munmap(harness->inflight, (size_t)harness->queue_count * virtqueue_inflight_stride());
    close(harness->executable_fd);
    close(harness->memory_fd);
    close(harness->inflight_fd);
    for (unsigned i = 0; i < harness->queue_count; i++) {
        close(harness->queues[i].kick_fd);
        close(harness->queues[i].call_fd);
    }
}

// ------------------------------------------------------------------------------------- messages

void harness_send(struct harness *harness, const device_ToDevice *message)
{
    assert_int_equal(channel_send(&harness->channel, device_ToDevice_fields, message, NULL, 0), 0);
}

void harness_receive(struct harness *harness, device_FromDevice *message)
{
    struct pollfd wait = {.fd = harness->channel.fd, .events = POLLIN};
    struct channel_descriptors descriptors;
    int got;

    if (poll(&wait, 1, HARNESS_TIMEOUT_MS) != 1)
        fail_msg("%s says nothing for %d ms", harness->kind, HARNESS_TIMEOUT_MS);
    got = channel_receive(&harness->channel, device_FromDevice_fields, message, &descriptors, 0);
    if (got != 1)
        fail_msg("%s has ended, wait status %#x", harness->kind, got == 0 ? reap(harness) : 0);
    assert_int_equal(descriptors.count, 0);
}

void harness_start(struct harness *harness, bool resume)
{
    device_ToDevice message = {
        .which_message = device_ToDevice_start_tag,
        .message.start = {.features = harness->features, .resume = resume},
    };
    device_Start *start = &message.message.start;

    start->queues_count = (pb_size_t)harness->queue_count;
    for (unsigned i = 0; i < harness->queue_count; i++) {
        start->queues[i] = harness->queues[i].where;
        harness->queues[i].event_index = (harness->features >> VIRTIO_F_EVENT_IDX & 1) != 0;
    }
    harness_send(harness, &message);
}

void harness_await_done(struct harness *harness, uint32_t serial)
{
    device_FromDevice message;

    do {
        harness_receive(harness, &message);
        // A fault may have been on its way.
    } while (message.which_message == device_FromDevice_guest_fault_tag);
    assert_int_equal(message.which_message, device_FromDevice_done_tag);
    assert_int_equal(message.message.done.serial, serial);
}

uint32_t harness_post_reset(struct harness *harness)
{
    const device_ToDevice message = {
        .which_message = device_ToDevice_reset_tag,
        .message.reset.serial = ++harness->serial,
    };

    harness_send(harness, &message);
    return harness->serial;
}

void harness_reset(struct harness *harness)
{
    harness_await_done(harness, harness_post_reset(harness));
    for (unsigned i = 0; i < harness->queue_count; i++)
        harness_queue_clear(&harness->queues[i]);
}

void harness_queue_reset(struct harness *harness, unsigned queue)
{
    const device_ToDevice message = {
        .which_message = device_ToDevice_queue_reset_tag,
        .message.queue_reset = {.serial = ++harness->serial, .index = queue},
    };

    harness_send(harness, &message);
    harness_await_done(harness, harness->serial);
    harness_queue_clear(&harness->queues[queue]);
}

void harness_queue_start(struct harness *harness, unsigned queue)
{
    const device_ToDevice message = {
        .which_message = device_ToDevice_queue_start_tag,
        .message.queue_start = {.has_queue = true, .queue = harness->queues[queue].where},
    };

    harness_send(harness, &message);
}

void harness_ping(struct harness *harness)
{
    const device_ToDevice message = {
        .which_message = device_ToDevice_ping_tag,
        .message.ping.serial = ++harness->serial,
    };
    device_FromDevice answer;

    harness_send(harness, &message);
    harness_receive(harness, &answer);
    assert_int_equal(answer.which_message, device_FromDevice_pong_tag);
    assert_int_equal(answer.message.pong.serial, harness->serial);
}

void harness_await_fault(struct harness *harness, unsigned queue)
{
    device_FromDevice message;

    harness_receive(harness, &message);
    assert_int_equal(message.which_message, device_FromDevice_guest_fault_tag);
    assert_int_equal(message.message.guest_fault.queue, queue);
    assert_true(message.message.guest_fault.reason[0] != '\0');
}
