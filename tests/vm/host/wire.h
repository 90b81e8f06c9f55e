// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What the keeper (outside) and the agent (inside) of the emulated host say to each other over one
 * virtio serial port: frames of a fixed header and a payload. Both ends are built from the same
 * tree by tests/vm/host/run, and neither is exposed to a guest that Bulkhead runs.
 */
#ifndef TESTS_VM_HOST_WIRE_H
#define TESTS_VM_HOST_WIRE_H

#include <assert.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_PAYLOAD_MAX (64u * 1024u) /* of every frame but FRAME_START */
#define WIRE_START_MAX                                                                             \
    (2u * 1024u * 1024u) /* the kernel's own bound on arguments and environment */
#define WIRE_GROUPS_MAX 64

enum frame_type {
    FRAME_HELLO = 1, /* agent: the emulated host is up; empty */
    FRAME_START,     /* keeper: struct wire_start, then NUL-terminated strings */
    FRAME_INPUT,     /* keeper: bytes for standard input, as far as credit goes; empty = end */
    FRAME_CREDIT,    /* agent: uint32_t, so many more bytes of input may be sent */
    FRAME_WINDOW,    /* keeper: struct wire_window, the terminal's new size */
    FRAME_TICK,      /* keeper: empty, several times a second; see keeper.c */
    FRAME_OUTPUT,    /* agent: bytes of standard output */
    FRAME_ERROR,     /* agent: bytes of standard error */
    FRAME_EXIT,      /* agent: int32_t, the command's exit status as a shell reports it */
};

struct wire_header {
    uint32_t type;
    uint32_t length;
};
static_assert(sizeof(struct wire_header) == 8, "frame header");

struct wire_window {
    uint16_t rows;
    uint16_t columns;
};
static_assert(sizeof(struct wire_window) == 4, "window size");

#define WIRE_TERMINAL 1u /* the command gets a terminal for its three standard descriptors */
#define WIRE_MERGED 2u   /* output and error are one file: keep the order of what is written */

/* Followed by the working directory, `arguments` strings and `variables` strings. */
struct wire_start {
    uint32_t flags;
    uint32_t uid;
    uint32_t gid;
    uint32_t group_count;
    uint32_t groups[WIRE_GROUPS_MAX];
    uint32_t arguments;
    uint32_t variables;
    struct wire_window window;
};

/* Writes all of it, waiting where the descriptor is not ready. 0 or a negative errno. */
int wire_write(int fd, const void *bytes, size_t length);

/* Sends one frame. 0 or a negative errno. */
int wire_send(int fd, enum frame_type type, const void *payload, size_t length);

/* A frame that is being received; zero-initialised before the first call. */
struct wire_reader {
    struct wire_header header;
    size_t have; /* bytes received of header and payload together */
    char *payload;
};

/*
 * Reads what is there, at most to the end of one frame. Returns 1 when reader holds a whole frame
 * (wire_next() before the next call), 0 when more must come, -EPIPE at the end of the stream, or
 * another negative errno. The payload is followed by a NUL that is not part of it.
 */
int wire_receive(struct wire_reader *reader, int fd);

/* Forgets the frame that was received. */
void wire_next(struct wire_reader *reader);

#endif
