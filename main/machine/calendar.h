// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The Gregorian calendar in UTC, without the C library's time zones (which open files).
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct calendar {
    unsigned year;    // 0..9999
    unsigned month;   // 1..12
    unsigned day;     // 1..31
    unsigned weekday; // 0 is Sunday; not read by calendar_valid and calendar_seconds
    unsigned hour, minute, second;
};

// The date of `seconds` since 1970-01-01 00:00:00.
struct calendar calendar_of(int64_t seconds);
// Whether all fields are in their ranges, the day in that of its month.
bool calendar_valid(const struct calendar *date);
// Seconds since 1970-01-01 00:00:00 of a valid date.
int64_t calendar_seconds(const struct calendar *date);
