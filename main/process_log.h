// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What a jailed process writes to its standard error: a pipe to the warden, which takes it apart
// into lines, limits them, and prints them under the process's name. The writer may be compromised:
// it can neither speak in another's name nor send control characters to the user's terminal.
#pragma once

#include "ipc/event_loop.h"
#include "ipc/log.h"

#include <stdbool.h>

struct process_log {
    const char *name; // not owned
    struct event_loop *loop;
    int fd; // owned, -1: closed
    int source;
    unsigned used;
    bool too_long;          // the rest of the line is dropped
    struct log_limit limit; // of lines
    struct log_limit reads;
    char line[LOG_LINE_MAX];
};

// Makes the pipe and watches its reading end; *write_fd is the caller's. 0 or a negative errno.
int process_log_open(struct process_log *log, struct event_loop *loop, const char *name,
                     int *write_fd);
// Prints what is left and closes.
void process_log_close(struct process_log *log);
