// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Fuzz target: packets of a compromised peer at every permit table there is. The first byte says
// who listens: a device process, the coordinator (to the warden, or to a device), the warden (to
// the coordinator, or to the loader). Whatever comes, with or without descriptors, the listener
// stays within its arrays, keeps no descriptor that is not its to keep, and comes back.
#include "tests/fuzz/device_rig.h"

// The coordinator's own main function, with a set-up of ours.
int coordinator_main(void);
#define main coordinator_main
#include "main/coordinator.c"
#undef main

#include "main/message.h"
#include "main/supervisor_posts.h"
#include "main/warden_state.h"
#include "tests/unit/scripted_hypervisor.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define DESCRIPTORS_MAX 40u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

// Log lines go nowhere, and their limits know no time.
void log_line(enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    va_list arguments;

    va_start(arguments, format);
    require(vsnprintf(line, sizeof(line), format, arguments) >= 0);
    va_end(arguments);
}

int log_limit_allows(struct log_limit *limit)
{
    return limit->used < limit->burst && limit->used++ < limit->burst;
}

void fatal(const char *format, ...)
{
    abort();
}

// The input as a list of packets.
struct script {
    const uint8_t *bytes;
    size_t left;
};

struct packet {
    uint8_t head; // descriptors (0..31), or with bit 7 something else to do
    const uint8_t *bytes;
    size_t length;
};

static bool next_packet(struct script *script, struct packet *packet)
{
    if (script->left < 2)
        return false;
    packet->head = script->bytes[0];
    packet->length = script->bytes[1];
    packet->bytes = script->bytes + 2;
    script->bytes += 2;
    script->left -= 2;
    if (packet->length > script->left)
        packet->length = script->left;
    script->bytes += packet->length;
    script->left -= packet->length;
    return true;
}

// The first descriptor may be a socket, as a device's channel is; the others mean nothing.
static void send_packet(int to, const struct packet *packet, int socket_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
    } control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec vector = {.iov_base = (void *)(uintptr_t)packet->bytes, .iov_len = packet->length};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    unsigned count = packet->head & 31;
    int fds[DESCRIPTORS_MAX];

    for (unsigned i = 0; i < count; i++)
        fds[i] = i == 0 && socket_fd >= 0 ? socket_fd : the_rig.device.queues[0].call_fd;
    if (count > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
    }
    if (sendmsg(to, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return; // the listener has had enough
}

static void drain_channel(int fd)
{
    char bytes[CHANNEL_PACKET_MAX];

    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

// --- a device process hears the coordinator ----------------------------------------------------

static void device_hears(struct script *script)
{
    const device_Attach attach = {.which_config = device_Attach_rng_tag};
    struct packet packet;

    if (the_rig.device.ops == NULL)
        rig_attach(&the_rig, 1, &attach);
    while (next_packet(script, &packet)) {
        send_packet(the_rig.coordinator.fd, &packet, -1);
        require(event_loop_turn(&the_rig.device.loop, 0) == 0);
        drain_channel(the_rig.coordinator.fd);
        // Here the process would end: the next packet is for its successor.
        the_rig.device.loop.stop = 0;
    }
    the_rig.started = true;
    rig_reset(&the_rig);
    require(the_rig.reset_serial == 0);
}

// --- the coordinator hears a device and the warden ----------------------------------------------

static struct {
    struct coordinator *coordinator;
    struct channel warden; // the other end
    struct channel device; // the other end of a device's channel
    int device_fd;         // that end, for DeviceSpawned
    struct script *script; // what the warden says
} host;

static bool parked = true;

void vcpus_park(struct vcpus *vcpus)
{
    parked = true;
}

bool vcpus_parked(const struct vcpus *vcpus)
{
    return parked;
}

int vcpus_start(struct vcpus *vcpus, const struct boot_state *boot)
{
    parked = false;
    return 0;
}

static void add_row(struct supervisor *supervisor, const char *id, enum device_kind kind,
                    unsigned queues, struct byte_ring_pair **rings)
{
    warden_Device row = {.kind = kind, .queue_count = queues};

    snprintf(row.id, sizeof(row.id), "%s", id);
    require(supervisor_add(supervisor, &row, rings) == 0);
}

int coordinator_setup(struct coordinator *coordinator)
{
    struct machine_host machine = {.context = coordinator, .hypervisor = scripted_hypervisor()};
    struct supervisor *supervisor = &coordinator->supervisor;
    struct byte_ring_pair *rings, *none;

    *coordinator = (struct coordinator){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .serial_fd = -1,
        .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .parked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .filter_fd = -1,
    };
    host.coordinator = coordinator;
    require(channel_pair(&coordinator->warden, &host.warden) == 0);
    require(event_loop_init(&coordinator->loop) == 0);
    supervisor->host = &coordinator_supervisor_host;
    supervisor->host_context = coordinator;
    supervisor->loop = &coordinator->loop;
    supervisor->lock = &coordinator->lock;
    supervisor->wake_fd = coordinator->wake_fd;
    supervisor->memory_fd = guest_memory_create(GUEST_PAGE_SIZE);
    add_row(supervisor, "console0", DEVICE_console, 4, &none);
    add_row(supervisor, "serial0", DEVICE_serial, 0, &rings);
    require(board_init(&coordinator->board, &machine, rings, supervisor->devices[1].kick_fds[0],
                       UINT64_C(1) << 32) == 0);
    require(supervisor_plug(&supervisor->devices[0], &coordinator->board.pci, 1,
                            HYPERVISOR_GSI_MSI_FIRST) == 0);
    parked = true;
    return 0;
}

int coordinator_lock_down(int filter_fd)
{
    struct packet packet;

    // All that the warden says is in the channel before the loop begins, its end behind it.
    while (next_packet(host.script, &packet))
        send_packet(host.warden.fd, &packet, host.device_fd);
    return shutdown(host.warden.fd, SHUT_WR);
}

static void close_supervised(struct supervised *device)
{
    unsigned doorbells = device->kind->virtio_id != 0 ? device->queue_count : 1;

    channel_destroy(&device->channel);
    for (unsigned i = 0; i < doorbells; i++) {
        close(device->kick_fds[i]);
        close(device->call_fds[i]);
    }
    close(device->config_fd);
    close(device->shared_fd);
}

static void close_coordinator(void)
{
    struct coordinator *coordinator = host.coordinator;

    munmap(coordinator->board.serial.rings, sizeof(struct byte_ring_pair));
    for (unsigned i = 0; i < coordinator->supervisor.count; i++)
        close_supervised(&coordinator->supervisor.devices[i]);
    channel_destroy(&coordinator->warden);
    channel_destroy(&host.warden);
    close(coordinator->wake_fd);
    close(coordinator->parked_fd);
    close(coordinator->supervisor.memory_fd);
    event_loop_destroy(&coordinator->loop);
}

static void coordinator_hears_warden(struct script *script)
{
    struct channel theirs;

    host.script = script;
    require(channel_pair(&theirs, &host.device) == 0);
    host.device_fd = theirs.fd;
    require(coordinator_main() == 0);
    channel_destroy(&theirs);
    channel_destroy(&host.device);
    close_coordinator();
}

// What the machine may ask of a device between two of its words.
static void machine_acts(struct supervised *device, uint8_t what)
{
    static uint32_t serial;
    struct virtio_start start = {.count = 1};

    start.queues[0].size = 8;
    pthread_mutex_lock(device->supervisor->lock);
    switch (what % 5) {
    case 0:
        supervisor_transport.start(device, &start);
        break;
    case 1:
        supervisor_transport.reset(device, ++serial);
        break;
    case 2:
        supervisor_transport.queue_reset(device, ++serial, 0);
        break;
    case 3:
        supervisor_transport.config_write(device, 0, 4, 1);
        break;
    default:
        virtio_pci_machine_reset(&device->function);
    }
    pthread_mutex_unlock(device->supervisor->lock);
}

static void spawn_device(struct supervised *device)
{
    const warden_DeviceSpawned spawned = {.index = device->index, .pid = 1};
    struct channel_descriptors descriptors = {.count = 2};
    struct channel theirs;

    require(channel_pair(&theirs, &host.device) == 0);
    descriptors.fds[0] = theirs.fd;
    descriptors.fds[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    require(supervisor_spawned(device->supervisor, &spawned, &descriptors) == 0);
    channel_descriptors_destroy(&descriptors);
}

static void coordinator_hears_device(struct script *script, unsigned index)
{
    static struct coordinator coordinator;
    struct supervised *device = &coordinator.supervisor.devices[index];
    struct packet packet;

    require(coordinator_setup(&coordinator) == 0);
    require(watch(&coordinator) == 0);
    spawn_device(device);
    while (next_packet(script, &packet)) {
        if (packet.head == 0xff)
            supervisor_verified(device->supervisor, index);
        else if ((packet.head & 0x80) != 0 && device->kind->virtio_id != 0)
            machine_acts(device, packet.head & 0x7f);
        else
            send_packet(host.device.fd, &packet, -1);
        require(event_loop_turn(&coordinator.loop, 0) == 0);
        drain_channel(host.device.fd);
        drain_channel(host.warden.fd);
        require(device->function.config_length <= VIRTIO_CONFIG_MAX);
    }
    // It is the only one that suffers.
    require(coordinator.supervisor.devices[1 - index].state == DEVICE_AWAITED);
    channel_destroy(&host.device);
    close_coordinator();
}

// --- the warden hears the coordinator and the loader --------------------------------------------

static struct {
    struct channel coordinator; // the other ends
    int loader_fd;
} peers = {.loader_fd = -1};

void user_message(const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    require(vsnprintf(line, sizeof(line), format, arguments) >= 0);
    va_end(arguments);
    for (const char *at = line; *at != '\0'; at++)
        require(*at >= ' ' && *at <= '~');
}

struct warden_process *warden_process_start(struct warden *warden, const char *id,
                                            const char *executable, int device, int channel)
{
    if (peers.loader_fd >= 0)
        close(peers.loader_fd);
    peers.loader_fd = dup(channel);
    return &warden->processes[0];
}

int warden_process_verify(struct warden_process *process)
{
    return 0;
}

struct warden_process *warden_process_of_device(struct warden *warden, unsigned index)
{
    return index < warden->device_count ? &warden->processes[1 + index] : NULL;
}

static void warden_hears(struct script *script, bool loader)
{
    static struct warden warden;
    static const struct vm_config config = {.cpus = 1, .memory_bytes = GUEST_PAGE_SIZE};
    struct packet packet;

    memset(&warden, 0, sizeof(warden));
    warden.config = &config;
    warden.failures.burst = 10;
    warden.device_count = 1;
    // No process has this number: to end it ends nobody.
    warden.processes[1].jailed.pid = INT_MAX;
    warden.memory_fd = guest_memory_create(GUEST_PAGE_SIZE);
    warden.kernel_fd = warden.memory_fd;
    warden.loader_filter_fd = warden.memory_fd;
    warden.initrd_fd = -1;
    require(event_loop_init(&warden.loop) == 0);
    require(channel_pair(&warden.coordinator, &peers.coordinator) == 0);
    require(warden_watch_coordinator(&warden) == 0 && warden_load(&warden) == 0);
    while (!warden.ended && next_packet(script, &packet)) {
        send_packet(loader ? peers.loader_fd : peers.coordinator.fd, &packet, -1);
        require(event_loop_turn(&warden.loop, 0) == 0);
        drain_channel(peers.coordinator.fd);
    }
    channel_destroy(&warden.coordinator);
    channel_destroy(&warden.loader);
    channel_destroy(&peers.coordinator);
    close(peers.loader_fd);
    peers.loader_fd = -1;
    close(warden.memory_fd);
    event_loop_destroy(&warden.loop);
}

// Every descriptor that was left open would move it.
static int lowest_free(void)
{
    int fd = dup(the_rig.coordinator.fd);

    require(fd >= 0);
    close(fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static bool attached;
    struct script script = {.bytes = bytes + 1, .left = length - 1};
    int before;

    if (length == 0)
        return 0;
    if (!attached)
        device_hears(&(struct script){.left = 0});
    attached = true;
    before = lowest_free();
    switch (bytes[0] % 6) {
    case 0:
        device_hears(&script);
        break;
    case 1:
        coordinator_hears_warden(&script);
        break;
    case 2:
    case 3:
        coordinator_hears_device(&script, bytes[0] % 6 - 2);
        break;
    default:
        warden_hears(&script, bytes[0] % 6 == 5);
    }
    require(lowest_free() == before);
    return 0;
}
