// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The CMOS clock: the time in every format, setting it, memory; and the calendar behind it against
// the C library's.
#include "main/machine/rtc.h"

#include "main/machine/calendar.h"
#include "main/machine/layout.h"

// The group first, as cmocka wants it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct bus bus;
static struct rtc rtc;
static int64_t now; // nanoseconds

static int64_t test_clock(void)
{
    return now;
}

static int set_up(void **state)
{
    memset(&bus, 0, sizeof(bus));
    now = INT64_C(1709210096) * 1000000000; // Thursday 2024-02-29 12:34:56
    rtc_init(&rtc, test_clock);
    return rtc_attach(&rtc, &bus);
}

static void access_port(unsigned port, unsigned length, bool write, void *data)
{
    const struct exit_access access = {.space = EXIT_PIO,
                                       .address = MACHINE_PORT_RTC + port,
                                       .length = (uint8_t)length,
                                       .write = write,
                                       .data = data};

    bus_access(&bus, &access);
}

static uint8_t get(uint8_t index)
{
    uint8_t value;

    access_port(0, 1, true, &index);
    access_port(1, 1, false, &value);
    return value;
}

static void set(uint8_t index, uint8_t value)
{
    access_port(0, 1, true, &index);
    access_port(1, 1, true, &value);
}

static void expect_time(const uint8_t expected[8])
{
    static const uint8_t registers[8] = {0x32, 9, 8, 7, 6, 4, 2, 0};

    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(get(registers[i]), expected[i]);
}

#define EXPECT_TIME(...) expect_time((const uint8_t[8]){__VA_ARGS__})

static void time_reads_in_every_format(void **state)
{
    EXPECT_TIME(0x20, 0x24, 0x02, 0x29, 0x05, 0x12, 0x34, 0x56);
    set(0x0b, 0x06); // binary, 24 hours
    EXPECT_TIME(20, 24, 2, 29, 5, 12, 34, 56);
    set(0x0b, 0x00); // BCD, 12 hours
    EXPECT_TIME(0x20, 0x24, 0x02, 0x29, 0x05, 0x92, 0x34, 0x56);
    now += INT64_C(12) * 3600 * 1000000000;
    EXPECT_TIME(0x20, 0x24, 0x03, 0x01, 0x06, 0x12, 0x34, 0x56); // past midnight is 12 AM
}

static void setting_the_time_moves_it(void **state)
{
    set(0x0b, 0x82);
    set(0x32, 0x19);
    set(9, 0x99);
    set(8, 0x12);
    set(7, 0x31);
    set(4, 0x23);
    set(2, 0x59);
    set(0, 0x58);
    now += 5 * INT64_C(1000000000); // stands still while it is set
    assert_int_equal(get(0), 0x58);
    set(0x0b, 0x02);
    EXPECT_TIME(0x19, 0x99, 0x12, 0x31, 0x06, 0x23, 0x59, 0x58);
    now += 2 * INT64_C(1000000000);
    EXPECT_TIME(0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00);
    set(4, 0x11); // also without stopping the clock
    EXPECT_TIME(0x20, 0x00, 0x01, 0x01, 0x07, 0x11, 0x00, 0x00);
}

static void what_is_no_date_changes_nothing(void **state)
{
    set(8, 0x13);
    set(7, 0x30); // not in February
    set(0, 0x60);
    set(4, 0xff);
    EXPECT_TIME(0x20, 0x24, 0x02, 0x29, 0x05, 0x12, 0x34, 0x56);
}

static void updates_are_announced(void **state)
{
    assert_int_equal(get(0x0a) & 0x80, 0);
    now += 999756000; // 244 us before the next second
    assert_int_equal(get(0x0a) & 0x80, 0x80);
    set(0x0b, 0x82); // no updates while the time is set
    assert_int_equal(get(0x0a) & 0x80, 0);
}

static void status_registers_are_those_of_the_chip(void **state)
{
    assert_int_equal(get(0x0a), 0x26);
    set(0x0a, 0xff);
    assert_int_equal(get(0x0a), 0x7f);
    set(0x0c, 0xff);
    assert_int_equal(get(0x0c), 0);
    set(0x0d, 0);
    assert_int_equal(get(0x0d), 0x80);
    set(0x0b, 0x72);
    assert_int_equal(get(0x0b), 0x72);
}

static void memory_survives_a_reset(void **state)
{
    for (unsigned i = 0x0e; i < RTC_MEMORY_SIZE; i++)
        set((uint8_t)i, (uint8_t)(i ^ 0x5a));
    set(0x32, 0x20);
    set(4, 0x03);
    rtc_reset(&rtc);
    for (unsigned i = 0x0e; i < RTC_MEMORY_SIZE; i++)
        assert_int_equal(get((uint8_t)i), i == 0x32 ? 0x20 : i ^ 0x5a);
    assert_int_equal(get(4), 0x03);
    assert_int_equal(get(0x8b), 0x02); // bit 7 of the index is another's
}

static void a_reset_in_the_middle_of_setting_lets_it_tick(void **state)
{
    set(0x0b, 0x82);
    set(0, 0x01);
    rtc_reset(&rtc);
    now += INT64_C(1000000000);
    assert_int_equal(get(0), 0x02);
}

static void every_access_is_defined(void **state)
{
    static const unsigned lengths[] = {1, 2, 4, 8};

    srand(2);
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t data[8];

        for (unsigned b = 0; b < sizeof(data); b++)
            data[b] = (uint8_t)rand();
        access_port((unsigned)rand() % 2, lengths[rand() % 4], rand() % 2, data);
        now += rand() % 3000000000u;
        assert_true(rtc.index < RTC_MEMORY_SIZE);
    }
}

static void the_hosts_clock_is_the_default(void **state)
{
    struct calendar today = calendar_of(time(NULL));

    rtc_init(&rtc, NULL);
    set(0x0b, 0x06);
    assert_true(get(9) == today.year % 100 || today.month == 12);
}

static void the_calendar_is_the_c_librarys(void **state)
{
    for (int64_t seconds = INT64_C(-62135596800); seconds < INT64_C(253402300800);
         seconds += 86400 * 97 + 12347) {
        struct calendar date = calendar_of(seconds);
        time_t when = seconds;
        struct tm expected;

        assert_non_null(gmtime_r(&when, &expected));
        assert_int_equal(date.year, expected.tm_year + 1900);
        assert_int_equal(date.month, expected.tm_mon + 1);
        assert_int_equal(date.day, expected.tm_mday);
        assert_int_equal(date.weekday, expected.tm_wday);
        assert_int_equal(date.hour, expected.tm_hour);
        assert_int_equal(date.minute, expected.tm_min);
        assert_int_equal(date.second, expected.tm_sec);
        assert_true(calendar_valid(&date));
        assert_int_equal(calendar_seconds(&date), seconds);
    }
}

static void february_has_its_days(void **state)
{
    struct calendar date = {.year = 2000, .month = 2, .day = 29};

    assert_true(calendar_valid(&date));
    date.year = 1900;
    assert_false(calendar_valid(&date));
    date.year = 2023;
    assert_false(calendar_valid(&date));
    date.day = 0;
    assert_false(calendar_valid(&date));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(time_reads_in_every_format, set_up),
        cmocka_unit_test_setup(setting_the_time_moves_it, set_up),
        cmocka_unit_test_setup(what_is_no_date_changes_nothing, set_up),
        cmocka_unit_test_setup(updates_are_announced, set_up),
        cmocka_unit_test_setup(status_registers_are_those_of_the_chip, set_up),
        cmocka_unit_test_setup(memory_survives_a_reset, set_up),
        cmocka_unit_test_setup(a_reset_in_the_middle_of_setting_lets_it_tick, set_up),
        cmocka_unit_test_setup(every_access_is_defined, set_up),
        cmocka_unit_test_setup(the_hosts_clock_is_the_default, set_up),
        cmocka_unit_test(the_calendar_is_the_c_librarys),
        cmocka_unit_test(february_has_its_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
