// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Formats the loader's one line for the user. Usable after lock-down: no heap, no system call.
#include "main/boot/boot_failure.h"

#include <stdarg.h>
#include <stdio.h>

int boot_fail(struct boot_failure *failure, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(failure->text, sizeof(failure->text), format, arguments);
    va_end(arguments);
    return error;
}
