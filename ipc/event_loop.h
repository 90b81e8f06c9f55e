// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The event loop of every process: epoll, a fixed number of sources, no heap. Handlers are short
// and never block.
#pragma once

#include <stdint.h>

#define EVENT_SOURCES_MAX 80

struct event_loop;

// Called with the source's `context` when `fd` is ready. `events` as of epoll(7).
typedef void event_handler(void *context, uint32_t events);

struct event_source {
    int fd; // -1: free slot
    event_handler *handle;
    void *context;
};

struct event_loop {
    int epoll_fd; // owned
    int stop;
    struct event_source sources[EVENT_SOURCES_MAX];
};

// Zeroes and opens. 0 or a negative errno.
int event_loop_init(struct event_loop *loop);
void event_loop_destroy(struct event_loop *loop);

// Watches `fd` (not owned) for `events` (EPOLLIN, EPOLLOUT, EPOLLET ...). Index of the source, or
// -ENOSPC or another negative errno.
int event_loop_add(struct event_loop *loop, int fd, uint32_t events, event_handler *handle,
                   void *context);
int event_loop_modify(struct event_loop *loop, int source, uint32_t events);
void event_loop_remove(struct event_loop *loop, int source);

// Waits at most `timeout_ms` (-1: for ever) and calls the handlers of what is ready. 0, or a
// negative errno.
int event_loop_turn(struct event_loop *loop, int timeout_ms);

// Turns until event_loop_stop. 0, or a negative errno of epoll_wait(2).
int event_loop_run(struct event_loop *loop);
void event_loop_stop(struct event_loop *loop);
