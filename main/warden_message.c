// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// See message.h.
#include "main/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void user_message(const char *format, ...)
{
    char line[1024];
    int used = snprintf(line, sizeof(line), "bulkhead: ");
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line + used, sizeof(line) - (size_t)used, format, arguments);
    va_end(arguments);
    // A raw terminal needs the carriage return; everybody else is spared it.
    dprintf(STDERR_FILENO, "%s%s\n", line, isatty(STDERR_FILENO) ? "\r" : "");
}
