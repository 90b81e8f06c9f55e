// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Formats one line into a buffer on the stack and writes it once. Trusted with nothing but
// descriptor 2.
#include "ipc/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// The prefix is read by whoever collects the lines (main/process_log.c): a digit in angle brackets.
__attribute__((format(printf, 2, 0))) static void write_line(enum log_level level,
                                                             const char *format, va_list arguments)
{
    char line[LOG_LINE_MAX];
    int prefix = snprintf(line, sizeof(line), "<%d>", (int)level);
    int text = vsnprintf(line + prefix, sizeof(line) - (size_t)prefix - 1, format, arguments);
    size_t length = (size_t)prefix + (text < 0 ? 0 : (size_t)text);

    if (length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    if (write(STDERR_FILENO, line, length) < 0)
        return; // a full or closed pipe: the message is lost, the process goes on
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(level, format, arguments);
    va_end(arguments);
}

int log_limit_allows(struct log_limit *limit)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - limit->window_start >= 10) {
        limit->window_start = now.tv_sec;
        limit->used = 0;
    }
    if (limit->used >= limit->burst)
        return 0;
    limit->used++;
    return 1;
}

noreturn void fatal(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(LOG_LEVEL_ERROR, format, arguments);
    va_end(arguments);
    _exit(70);
}
