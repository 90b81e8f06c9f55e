// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Opens what the configuration names: kernel, images, terminals, policies, /dev/kvm. After this
// nothing in the VM opens a path (rule 3); what was opened here travels as descriptors. Each
// failure is one line with cause and remedy.
#include "main/warden_state.h"

#include "devices/registry.h"
#include "ipc/cleanup.h"
#include "main/machine/layout.h"
#include "main/message.h"
#include "main/warden_disk.h"
#include "proto/device.pb.h"

#include <errno.h>
#include <fcntl.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_named(const char *path, const char *what, int *fd)
{
    struct stat status;

    // O_NONBLOCK: what turns out to be a pipe must not keep us waiting for its writer.
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0) {
        int error = -errno;

        user_message("%s %s cannot be opened: %s; name a file that you may read with --%s", what,
                     path, strerror(-error), what);
        return error;
    }
    if (fstat(*fd, &status) == 0 && S_ISREG(status.st_mode))
        return 0;
    user_message("%s %s is not a regular file; name the file itself", what, path);
    return -EINVAL;
}

static int open_kvm(struct warden *warden)
{
    warden->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (warden->kvm_fd >= 0)
        return 0;
    if (errno == EACCES || errno == EPERM)
        user_message("no permission for /dev/kvm; join the group that owns it (usually kvm)");
    else
        user_message("/dev/kvm cannot be opened: %s; load kvm-intel or kvm-amd, and switch on "
                     "virtualization in the firmware",
                     strerror(errno));
    return -errno;
}

// libexec beside the executable in a build tree, PREFIX/libexec/bulkhead when it is installed.
static int open_libexec(struct warden *warden)
{
    static const char *const places[] = {"libexec", "../libexec/bulkhead"};
    char self[VM_PATH_SIZE];
    char path[VM_PATH_SIZE + 32];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length < 0) {
        user_message("/proc cannot be read: %s; mount it", strerror(errno));
        return -errno;
    }
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < array_size(places); i++) {
        snprintf(path, sizeof(path), "%s/%s", self, places[i]);
        warden->libexec_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (warden->libexec_fd >= 0)
            return 0;
    }
    user_message("the executables of the devices are not in %s/%s; install Bulkhead again", self,
                 places[1]);
    return -ENOENT;
}

static int check_stages(struct warden *warden)
{
    const struct vm_config *config = warden->config;

    for (uint32_t i = 0; i < config->allow_missing_count; i++) {
        int stage = jail_stage_from_name(config->allow_missing[i].name);

        if (stage < 0) {
            user_message("--allow-missing %s: %s", config->allow_missing[i].name,
                         stage == -EPERM ? "this stage cannot be left out"
                                         : "there is no such stage; bulkhead-run(1) lists them");
            return stage;
        }
        warden->allow_missing |= JAIL_BIT(stage);
    }
    return 0;
}

static struct warden_device *add_device(struct warden *warden, enum device_kind kind,
                                        const char *id, unsigned queue_count)
{
    struct warden_device *device;

    if (warden->device_count == WARDEN_DEVICES_MAX)
        return NULL;
    device = &warden->devices[warden->device_count++];
    *device = (struct warden_device){
        .kind = (uint16_t)kind,
        .queue_count = queue_count,
        .kind_name = device_kind_find(kind)->name,
        .filter_fd = -1,
        .tasks = 1,
    };
    snprintf(device->id, sizeof(device->id), "%s", id);
    return device;
}

static void add_backend(struct warden_device *device, uint32_t role, int steal_backend_fd)
{
    // What the guest prints has no length that is known before.
    if (role == device_DescriptorRole_ROLE_OUTPUT)
        device->file_size = RLIM_INFINITY;
    if (steal_backend_fd >= 0)
        device->backends[device->backend_count++] =
            (struct warden_backend){.fd = steal_backend_fd, .role = role};
}

static int set_config(struct warden_device *device, const device_Attach *attach)
{
    pb_ostream_t stream =
        pb_ostream_from_buffer(device->config.bytes, sizeof(device->config.bytes));

    if (!pb_encode(&stream, device_Attach_fields, attach))
        return -EMSGSIZE;
    device->config.size = (pb_size_t)stream.bytes_written;
    return 0;
}

static int open_disk(struct warden *warden, const struct vm_disk *disk)
{
    struct warden_device *device = add_device(warden, DEVICE_block, disk->id, disk->queues);
    device_Attach attach = {.which_config = device_Attach_block_tag};
    int fd;

    if (device == NULL) {
        user_message("too many devices: at most %d fit on the bus", WARDEN_DEVICES_MAX);
        return -E2BIG;
    }
    fd = warden_disk_open(disk, &attach.config.block);
    if (fd < 0)
        return fd;
    add_backend(device, device_DescriptorRole_ROLE_IMAGE, fd);
    // A process that was taken over fills no more of the host's disk than the guest's disk has.
    device->file_size = attach.config.block.capacity * 512;
    device->io_uring = !attach.config.block.workers;
    device->tasks = attach.config.block.workers ? 5 : 1;
    return set_config(device, &attach);
}

static int open_serial(struct warden *warden)
{
    device_Attach attach = {.which_config = device_Attach_serial_tag};
    struct warden_device *device;
    struct warden_stream stream;
    int error;

    if (warden->config->serial.mode == VM_STREAM_NULL)
        return 0;
    device = add_device(warden, DEVICE_serial, "serial0", 0);
    error = warden_stream_open(warden, &warden->config->serial, "serial", &stream);
    if (error < 0)
        return error;
    attach.config.serial.escape = stream.escape;
    add_backend(device, device_DescriptorRole_ROLE_INPUT, stream.input_fd);
    add_backend(device, device_DescriptorRole_ROLE_OUTPUT, stream.output_fd);
    return set_config(device, &attach);
}

static int open_console(struct warden *warden)
{
    const struct vm_config *config = warden->config;
    device_Attach attach = {.which_config = device_Attach_console_tag};
    device_ConsoleConfig *console = &attach.config.console;
    struct warden_device *device;

    if (config->console_count == 0)
        return 0;
    device = add_device(warden, DEVICE_console, "console0", 2 * (config->console_count + 1));
    if (device == NULL)
        return -E2BIG;
    console->ports = config->console_count;
    for (uint32_t i = 0; i < config->console_count; i++) {
        struct warden_stream stream;
        int error = warden_stream_open(warden, &config->consoles[i], "console", &stream);

        if (error < 0)
            return error;
        console->inputs |= (uint32_t)(stream.input_fd >= 0) << i;
        console->outputs |= (uint32_t)(stream.output_fd >= 0) << i;
        console->escapes |= (uint32_t)stream.escape << i;
        if (stream.escape)
            warden_terminal_size(console);
        add_backend(device, device_DescriptorRole_ROLE_INPUT, stream.input_fd);
        add_backend(device, device_DescriptorRole_ROLE_OUTPUT, stream.output_fd);
    }
    return set_config(device, &attach);
}

static int open_devices(struct warden *warden)
{
    const device_Attach rng = {.which_config = device_Attach_rng_tag};
    int error = 0;

    for (uint32_t i = 0; i < warden->config->disk_count && error == 0; i++)
        error = open_disk(warden, &warden->config->disks[i]);
    if (error == 0 && warden->config->rng) {
        struct warden_device *device = add_device(warden, DEVICE_rng, "rng0", 1);

        error = device != NULL ? set_config(device, &rng) : -E2BIG;
    }
    error = error ? error : open_console(warden);
    return error ? error : open_serial(warden);
}

static int compile(const struct vm_config *config, const char *id, const char *name, int *fd)
{
    *fd = warden_policy_compile(config, id, name);
    return *fd < 0 ? *fd : 0;
}

static int compile_policies(struct warden *warden)
{
    const struct vm_config *config = warden->config;
    int error = compile(config, "coordinator", "coordinator", &warden->coordinator_filter_fd);

    error = error ? error : compile(config, "vcpu", "vcpu", &warden->vcpu_filter_fd);
    error = error ? error : compile(config, "loader", "loader", &warden->loader_filter_fd);
    for (unsigned i = 0; i < warden->device_count && error == 0; i++)
        error = compile(config, warden->devices[i].id, warden->devices[i].kind_name,
                        &warden->devices[i].filter_fd);
    return error;
}

static bool is_process(const struct warden *warden, const char *id)
{
    static const char *const fixed[] = {"coordinator", "vcpu", "loader"};

    for (size_t i = 0; i < array_size(fixed); i++)
        if (strcmp(fixed[i], id) == 0)
            return true;
    for (unsigned i = 0; i < warden->device_count; i++)
        if (strcmp(warden->devices[i].id, id) == 0)
            return true;
    return false;
}

// A policy for a process that does not exist would be silently without effect: a misspelt name must
// not be.
static int check_policy_ids(const struct warden *warden)
{
    for (uint32_t i = 0; i < warden->config->policy_count; i++) {
        if (is_process(warden, warden->config->policies[i].id))
            continue;
        user_message(
            "--policy %s=...: this VM has no such process; the names are coordinator, vcpu, "
            "loader and those of its devices",
            warden->config->policies[i].id);
        return -EINVAL;
    }
    return 0;
}

static int make_memory(struct warden *warden)
{
    uint64_t size = warden->config->memory_bytes;

    warden->region_count = guest_memory_layout(size, MACHINE_HOLE_START, warden->regions);
    warden->memory_fd = guest_memory_create(size);
    if (warden->memory_fd < 0)
        user_message("guest memory cannot be made: %s", strerror(-warden->memory_fd));
    return warden->memory_fd < 0 ? warden->memory_fd : 0;
}

int warden_open(struct warden *warden)
{
    const struct vm_config *config = warden->config;
    int error = check_stages(warden);

    warden->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    error = error ? error : open_libexec(warden);
    error = error ? error : open_named(config->kernel, "kernel", &warden->kernel_fd);
    if (config->initrd != NULL)
        error = error ? error : open_named(config->initrd, "initrd", &warden->initrd_fd);
    error = error ? error : open_devices(warden);
    error = error ? error : check_policy_ids(warden);
    error = error ? error : compile_policies(warden);
    error = error ? error : open_kvm(warden);
    return error ? error : make_memory(warden);
}

void warden_close(struct warden *warden)
{
    const int fds[] = {
        warden->libexec_fd,     warden->null_fd,        warden->kvm_fd,
        warden->kernel_fd,      warden->initrd_fd,      warden->memory_fd,
        warden->signal_fd,      warden->vcpu_filter_fd, warden->coordinator_filter_fd,
        warden->coordinator.fd, warden->loader.fd,      warden->loader_filter_fd,
    };

    warden_terminal_restore(warden);
    for (size_t i = 0; i < array_size(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    for (unsigned i = 0; i < warden->device_count; i++) {
        for (unsigned j = 0; j < warden->devices[i].backend_count; j++)
            close(warden->devices[i].backends[j].fd);
        cleanup_fd(&warden->devices[i].filter_fd);
    }
}
