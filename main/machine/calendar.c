// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Dates and seconds. Days are counted in eras of 400 years that begin on 1 March, so that the leap
// day is the last day of its year.
#include "main/machine/calendar.h"

#define DAY_SECONDS 86400
#define ERA_YEARS 400
#define ERA_DAYS 146097                              // 400 * 365 + 97
#define EPOCH_OFFSET 719468                          // days from 0000-03-01 to 1970-01-01
#define EPOCH_WEEKDAY 4                              // 1970-01-01 was a Thursday
#define MARCH_TO_MONTH_DAYS(m) ((153 * (m) + 2) / 5) // days before month m, March is 0

static int64_t floor_divide(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

static bool leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

struct calendar calendar_of(int64_t seconds)
{
    int64_t days = floor_divide(seconds, DAY_SECONDS);
    unsigned rest = (unsigned)(seconds - days * DAY_SECONDS);
    int64_t era = floor_divide(days + EPOCH_OFFSET, ERA_DAYS);
    unsigned day_of_era = (unsigned)(days + EPOCH_OFFSET - era * ERA_DAYS);
    // Leap days before day_of_era: one in 1461 days, not in 36524, but in 146096.
    unsigned year =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * day_of_year + 2) / 153;

    return (struct calendar){
        .year = (unsigned)(era * ERA_YEARS + year + (month >= 10)),
        .month = month < 10 ? month + 3 : month - 9,
        .day = day_of_year - MARCH_TO_MONTH_DAYS(month) + 1,
        .weekday = (unsigned)((days + EPOCH_WEEKDAY) - floor_divide(days + EPOCH_WEEKDAY, 7) * 7),
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
    };
}

bool calendar_valid(const struct calendar *date)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (date->month < 1 || date->month > 12 || date->year > 9999)
        return false;
    if (date->hour > 23 || date->minute > 59 || date->second > 59 || date->day < 1)
        return false;
    return date->day <= lengths[date->month - 1] + (date->month == 2 && leap(date->year) ? 1u : 0u);
}

int64_t calendar_seconds(const struct calendar *date)
{
    unsigned month = date->month > 2 ? date->month - 3 : date->month + 9;
    int64_t year = (int64_t)date->year - (date->month <= 2);
    int64_t era = floor_divide(year, ERA_YEARS);
    unsigned year_of_era = (unsigned)(year - era * ERA_YEARS);
    unsigned day_of_year = MARCH_TO_MONTH_DAYS(month) + date->day - 1;
    int64_t day_of_era =
        (int64_t)year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    int64_t days = era * ERA_DAYS + day_of_era - EPOCH_OFFSET;

    return days * DAY_SECONDS + date->hour * INT64_C(3600) + date->minute * INT64_C(60) +
           date->second;
}
