// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Packets between two processes that do not trust each other. Reads bytes that a hostile peer
// wrote: bounded buffer, bounded descriptors, decoded by nanopb into a fixed struct, nothing kept.
#include "ipc/channel.h"

#include "ipc/cleanup.h"
#include "proto/device.pb.h"
#include "proto/warden.pb.h"

#include <assert.h>
#include <errno.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>
#include <sys/socket.h>

static_assert(CHANNEL_PACKET_MAX >= device_ToDevice_size, "packets hold every message");
static_assert(CHANNEL_PACKET_MAX >= warden_ToCoordinator_size, "packets hold every message");
static_assert(CHANNEL_PACKET_MAX >= warden_ToLoader_size, "packets hold every message");

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_DESCRIPTORS_MAX)];
};

int channel_pair(struct channel *first, struct channel *second)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    first->fd = fds[0];
    second->fd = fds[1];
    return 0;
}

void channel_destroy(struct channel *channel)
{
    if (channel->fd >= 0)
        close(steal_fd(&channel->fd));
}

int channel_send(const struct channel *channel, const pb_msgdesc_t *fields, const void *message,
                 const int *fds, unsigned count)
{
    uint8_t bytes[CHANNEL_PACKET_MAX];
    union control control;
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof(bytes));
    struct iovec vector = {.iov_base = bytes};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};

    if (count > CHANNEL_DESCRIPTORS_MAX || !pb_encode(&stream, fields, message))
        return -EMSGSIZE;
    vector.iov_len = stream.bytes_written;
    if (count > 0) {
        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
    }
    // An empty packet would read as end-of-file; every message of ours has a tag, so there is none.
    if (sendmsg(channel->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    return 0;
}

static void collect_descriptors(struct msghdr *header, struct channel_descriptors *descriptors)
{
    struct cmsghdr *cmsg;

    for (cmsg = CMSG_FIRSTHDR(header); cmsg != NULL; cmsg = CMSG_NXTHDR(header, cmsg)) {
        size_t bytes;

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        bytes = cmsg->cmsg_len - CMSG_LEN(0);
        // The control buffer has room for CHANNEL_DESCRIPTORS_MAX, so this never cuts.
        descriptors->count = (unsigned)(bytes / sizeof(int));
        memcpy(descriptors->fds, CMSG_DATA(cmsg), descriptors->count * sizeof(int));
    }
}

int channel_receive(const struct channel *channel, const pb_msgdesc_t *fields, void *message,
                    struct channel_descriptors *descriptors, int nowait)
{
    uint8_t bytes[CHANNEL_PACKET_MAX];
    union control control;
    struct iovec vector = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr header = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = descriptors != NULL ? control.bytes : NULL,
        .msg_controllen = descriptors != NULL ? sizeof(control) : 0,
    };
    pb_istream_t stream;
    ssize_t length;
    bool cut;

    if (descriptors != NULL)
        descriptors->count = 0;
    do {
        length = recvmsg(channel->fd, &header, MSG_CMSG_CLOEXEC | (nowait ? MSG_DONTWAIT : 0));
    } while (length < 0 && errno == EINTR);
    if (length < 0)
        return errno == ECONNRESET ? 0 : -errno;
    if (descriptors != NULL)
        collect_descriptors(&header, descriptors);
    // With no room for descriptors, the kernel says of any that they were cut off.
    cut = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    if (length == 0 && !cut && (descriptors == NULL || descriptors->count == 0))
        return 0;
    stream = pb_istream_from_buffer(bytes, (size_t)length);
    if (!cut && length > 0 && pb_decode(&stream, fields, message))
        return 1;
    if (descriptors != NULL)
        channel_descriptors_destroy(descriptors);
    return -EPROTO;
}

int channel_take(struct channel_descriptors *descriptors, unsigned index)
{
    return index < descriptors->count ? steal_fd(&descriptors->fds[index]) : -1;
}

void channel_descriptors_destroy(struct channel_descriptors *descriptors)
{
    for (unsigned i = 0; i < descriptors->count; i++)
        if (descriptors->fds[i] >= 0)
            close(descriptors->fds[i]);
    descriptors->count = 0;
}
