// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// epoll, written once. Trusted with descriptors only: it never reads from one.
#include "ipc/event_loop.h"

#include "ipc/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define EVENTS_PER_TURN 16

int event_loop_init(struct event_loop *loop)
{
    memset(loop, 0, sizeof(*loop));
    for (size_t i = 0; i < array_size(loop->sources); i++)
        loop->sources[i].fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll_fd < 0 ? -errno : 0;
}

void event_loop_destroy(struct event_loop *loop)
{
    close(steal_fd(&loop->epoll_fd));
}

int event_loop_add(struct event_loop *loop, int fd, uint32_t events, event_handler *handle,
                   void *context)
{
    for (size_t i = 0; i < array_size(loop->sources); i++) {
        struct epoll_event event = {.events = events, .data.u32 = (uint32_t)i};

        if (loop->sources[i].fd >= 0)
            continue;
        if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
            return -errno;
        loop->sources[i] = (struct event_source){.fd = fd, .handle = handle, .context = context};
        return (int)i;
    }
    return -ENOSPC;
}

int event_loop_modify(struct event_loop *loop, int source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)source};

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, loop->sources[source].fd, &event) < 0)
        return -errno;
    return 0;
}

void event_loop_remove(struct event_loop *loop, int source)
{
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, loop->sources[source].fd, NULL);
    loop->sources[source].fd = -1;
}

int event_loop_turn(struct event_loop *loop, int timeout_ms)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int ready = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, timeout_ms);

    if (ready < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < ready; i++) {
        const struct event_source *source = &loop->sources[events[i].data.u32];

        // An earlier handler of this turn may have removed it.
        if (source->fd >= 0)
            source->handle(source->context, events[i].events);
    }
    return 0;
}

int event_loop_run(struct event_loop *loop)
{
    int error = 0;

    while (!loop->stop && error == 0)
        error = event_loop_turn(loop, -1);
    return error;
}

void event_loop_stop(struct event_loop *loop)
{
    loop->stop = 1;
}
