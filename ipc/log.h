// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// One-line messages from a process to whoever reads its standard error. In a jail that is a pipe to
// the warden, which prefixes, filters and limits what it reads: nothing printed here can speak in
// another process's name. No heap, no stdio, one write(2) a message; usable after lock-down.
#pragma once

#include <stdarg.h>
#include <stdnoreturn.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

// Longest message, newline included: a pipe takes it in one piece (PIPE_BUF is 4096).
#define LOG_LINE_MAX 512

// Formats (the usual printf conversions) and writes one line; longer text is cut. Control
// characters become '?'. A full pipe loses the message instead of blocking the caller.
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)

// At most `burst` messages in each ten seconds: for lines that a guest or a peer can cause.
struct log_limit {
    unsigned burst;
    unsigned used;
    long long window_start; // CLOCK_MONOTONIC, seconds
};

// Whether the next message of this kind may be written; counts it.
int log_limit_allows(struct log_limit *limit);

// For our own broken invariants only: says so and ends the process with status 70 (EX_SOFTWARE).
noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
