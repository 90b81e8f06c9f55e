// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// See process_log.h. Reads bytes that a compromised process may have written.
#include "main/process_log.h"

#include "ipc/cleanup.h"
#include "main/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LINES_IN_TEN_SECONDS 40
#define READ_PER_TURN 4096
// Forty of the longest lines are 20 KiB; who writes this many reads in ten seconds means harm.
#define READS_IN_TEN_SECONDS 256

static void print_line(struct process_log *log)
{
    const char *text = log->line;

    log->line[log->used] = '\0';
    // "<N>" is the level that log_line wrote.
    if (log->used >= 3 && text[0] == '<' && text[2] == '>')
        text += 3;
    if (log->used > 0 && log_limit_allows(&log->limit))
        user_message("%s: %s", log->name, text);
    log->used = 0;
    log->too_long = false;
}

static void take(struct process_log *log, char byte)
{
    if (byte == '\n') {
        print_line(log);
        return;
    }
    if (log->used == sizeof(log->line) - 1)
        log->too_long = true;
    if (!log->too_long)
        log->line[log->used++] = byte >= ' ' && byte < 0x7f ? byte : '?';
}

static void read_some(struct process_log *log)
{
    char bytes[READ_PER_TURN];
    ssize_t got;

    if (!log_limit_allows(&log->reads)) {
        user_message("%s floods its log; what it says from here on is not read", log->name);
        event_loop_remove(log->loop, log->source);
        close(steal_fd(&log->fd));
        return;
    }
    got = read(log->fd, bytes, sizeof(bytes));
    for (ssize_t i = 0; i < got; i++)
        take(log, bytes[i]);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        process_log_close(log);
}

static void on_log(void *context, uint32_t events)
{
    read_some(context);
}

int process_log_open(struct process_log *log, struct event_loop *loop, const char *name,
                     int *write_fd)
{
    int fds[2];

    // Non-blocking at both ends: a process that floods loses its own lines and delays nobody.
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    *log = (struct process_log){
        .name = name,
        .loop = loop,
        .fd = fds[0],
        .limit = {.burst = LINES_IN_TEN_SECONDS},
        .reads = {.burst = READS_IN_TEN_SECONDS},
    };
    *write_fd = fds[1];
    log->source = event_loop_add(loop, log->fd, EPOLLIN, on_log, log);
    return log->source < 0 ? log->source : 0;
}

void process_log_close(struct process_log *log)
{
    char bytes[READ_PER_TURN];
    ssize_t got;

    if (log->fd < 0)
        return;
    while ((got = read(log->fd, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < got; i++)
            take(log, bytes[i]);
    print_line(log);
    event_loop_remove(log->loop, log->source);
    close(steal_fd(&log->fd));
}
