// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The frames of wire.h on a descriptor, the same code at both ends.
 */
#include "tests/vm/host/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_ready(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};

    (void)poll(&one, 1, -1);
}

int wire_write(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;

    while (length > 0) {
        ssize_t done = write(fd, at, length);

        if (done >= 0) {
            at += done;
            length -= (size_t)done;
        } else if (errno == EAGAIN) {
            wait_ready(fd, POLLOUT);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int wire_send(int fd, enum frame_type type, const void *payload, size_t length)
{
    const struct wire_header header = {.type = type, .length = (uint32_t)length};
    int error = wire_write(fd, &header, sizeof(header));

    return error ? error : wire_write(fd, payload, length);
}

static int read_some(struct wire_reader *reader, int fd, void *to, size_t length)
{
    ssize_t got = read(fd, to, length);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (got == 0)
        return -EPIPE;
    reader->have += (size_t)got;
    return (int)got;
}

static int begin_payload(struct wire_reader *reader)
{
    const size_t limit = reader->header.type == FRAME_START ? WIRE_START_MAX : WIRE_PAYLOAD_MAX;

    if (reader->header.length > limit)
        return -EPROTO;
    reader->payload = calloc(1, (size_t)reader->header.length + 1);
    return reader->payload ? 0 : -ENOMEM;
}

int wire_receive(struct wire_reader *reader, int fd)
{
    const size_t head = sizeof(reader->header);
    int result;

    if (reader->have < head) {
        result = read_some(reader, fd, (char *)&reader->header + reader->have, head - reader->have);
        if (result < 0 || reader->have < head)
            return result < 0 ? result : 0;
        result = begin_payload(reader);
        return result ? result : reader->header.length == 0;
    }
    const size_t at = reader->have - head;

    result = read_some(reader, fd, reader->payload + at, reader->header.length - at);
    if (result < 0)
        return result;
    return reader->have == head + reader->header.length;
}

void wire_next(struct wire_reader *reader)
{
    free(reader->payload);
    *reader = (struct wire_reader){0};
}
