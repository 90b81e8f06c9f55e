// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A channel: one end of a SOCK_SEQPACKET socketpair. One packet is one protobuf message (nanopb)
// with up to CHANNEL_DESCRIPTORS_MAX descriptors. The other end may be hostile: a packet that is
// too long, does not decode, or has too many descriptors is -EPROTO, and its descriptors are
// closed. Nothing here allocates.
#pragma once

#include <pb.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_DESCRIPTORS_MAX 96
#define CHANNEL_PACKET_MAX                                                                         \
    4096 // more than the largest encoded message; static_asserts in channel.c

struct channel {
    int fd; // owned; -1 when closed
};

// Descriptors that came with a message. Whoever takes one sets its slot to -1 (channel_take); the
// rest is closed by channel_descriptors_destroy.
struct channel_descriptors {
    unsigned count;
    int fds[CHANNEL_DESCRIPTORS_MAX];
};

// A connected pair, close-on-exec, non-blocking on neither end. 0 or a negative errno.
int channel_pair(struct channel *first, struct channel *second);

void channel_destroy(struct channel *channel);

// Encodes `message` as `fields` says and sends it with `count` descriptors, which stay the
// caller's. Never blocks: -EAGAIN when the peer does not read. -EPIPE when it is gone. Thread-safe
// (one sendmsg(2), nothing shared).
int channel_send(const struct channel *channel, const pb_msgdesc_t *fields, const void *message,
                 const int *fds, unsigned count);

// Receives one message into `message` (zeroed first). Blocks unless `nowait`. 1: there is one; 0:
// the peer has closed; -EAGAIN: none now (`nowait`); -EPROTO: the peer sent what it must not; other
// negative errno. The descriptors are the caller's. `descriptors` NULL: from a peer that has none
// to send; the kernel then puts none into this process, not even for the moment until it closes
// them (which can block: on network file systems close(2) writes back).
int channel_receive(const struct channel *channel, const pb_msgdesc_t *fields, void *message,
                    struct channel_descriptors *descriptors, int nowait);

// Takes descriptor `index` out of the set: the caller owns it. -1 if there is none (any more).
int channel_take(struct channel_descriptors *descriptors, unsigned index);

void channel_descriptors_destroy(struct channel_descriptors *descriptors);
