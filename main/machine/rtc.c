// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The CMOS clock's registers; see rtc.h. References are to the MC146818 data sheet.
#include "main/machine/rtc.h"

#include "ipc/cleanup.h"
#include "main/machine/calendar.h"
#include "main/machine/layout.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#define NANOSECONDS 1000000000ll
#define INDEX_MASK 0x7fu // bit 7 of the index port masks NMIs on a PC

enum {
    REGISTER_SECONDS = 0x00,
    REGISTER_MINUTES = 0x02,
    REGISTER_HOURS = 0x04,
    REGISTER_WEEKDAY = 0x06,
    REGISTER_DAY = 0x07,
    REGISTER_MONTH = 0x08,
    REGISTER_YEAR = 0x09,
    REGISTER_A = 0x0a,
    REGISTER_B = 0x0b,
    REGISTER_C = 0x0c,
    REGISTER_D = 0x0d,
    REGISTER_CENTURY = 0x32, // where FADT.CENTURY points
};

#define A_UPDATING 0x80u
#define A_DEFAULT 0x26u // 32.768 kHz, 1024 Hz
#define B_SET 0x80u
#define B_BINARY 0x04u
#define B_24_HOURS 0x02u
#define D_VALID 0x80u
#define HOURS_PM 0x80u

// Time changes 244 us after UIP is set (table 6, "t BUC").
#define UPDATE_NANOSECONDS 244000ll

static int64_t host_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * NANOSECONDS + now.tv_nsec;
}

static int64_t host_seconds(const struct rtc *rtc)
{
    return rtc->clock() / NANOSECONDS;
}

static bool frozen(const struct rtc *rtc)
{
    return rtc->memory[REGISTER_B] & B_SET;
}

// --- numbers ----------------------------------------------------------------------------------

static uint8_t encode(const struct rtc *rtc, unsigned value)
{
    return (uint8_t)(rtc->memory[REGISTER_B] & B_BINARY ? value : (value / 10) << 4 | value % 10);
}

static unsigned decode(const struct rtc *rtc, uint8_t value)
{
    return rtc->memory[REGISTER_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 15u);
}

static uint8_t encode_hours(const struct rtc *rtc, unsigned hours)
{
    if (rtc->memory[REGISTER_B] & B_24_HOURS)
        return encode(rtc, hours);
    return encode(rtc, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? HOURS_PM : 0);
}

static unsigned decode_hours(const struct rtc *rtc, uint8_t value)
{
    if (rtc->memory[REGISTER_B] & B_24_HOURS)
        return decode(rtc, value);
    return decode(rtc, value & (uint8_t)~HOURS_PM) % 12 + (value & HOURS_PM ? 12 : 0);
}

// --- time -------------------------------------------------------------------------------------

// Puts the guest's time of now into the time registers.
static void store_time(struct rtc *rtc)
{
    const struct calendar now = calendar_of(host_seconds(rtc) + rtc->offset);
    uint8_t *memory = rtc->memory;

    memory[REGISTER_SECONDS] = encode(rtc, now.second);
    memory[REGISTER_MINUTES] = encode(rtc, now.minute);
    memory[REGISTER_HOURS] = encode_hours(rtc, now.hour);
    memory[REGISTER_WEEKDAY] = encode(rtc, now.weekday + 1); // Sunday is 1
    memory[REGISTER_DAY] = encode(rtc, now.day);
    memory[REGISTER_MONTH] = encode(rtc, now.month);
    memory[REGISTER_YEAR] = encode(rtc, now.year % 100);
    memory[REGISTER_CENTURY] = encode(rtc, now.year / 100 % 100);
}

// Makes the guest's time that of the time registers. What is not a date changes nothing.
static void take_time(struct rtc *rtc)
{
    const uint8_t *memory = rtc->memory;
    const struct calendar set = {
        .second = decode(rtc, memory[REGISTER_SECONDS]),
        .minute = decode(rtc, memory[REGISTER_MINUTES]),
        .hour = decode_hours(rtc, memory[REGISTER_HOURS]),
        .day = decode(rtc, memory[REGISTER_DAY]),
        .month = decode(rtc, memory[REGISTER_MONTH]),
        .year = decode(rtc, memory[REGISTER_CENTURY]) * 100u + decode(rtc, memory[REGISTER_YEAR]),
    };

    if (calendar_valid(&set))
        rtc->offset = calendar_seconds(&set) - host_seconds(rtc);
}

static bool is_time(uint8_t index)
{
    static const uint8_t registers[] = {
        REGISTER_SECONDS, REGISTER_MINUTES, REGISTER_HOURS, REGISTER_WEEKDAY,
        REGISTER_DAY,     REGISTER_MONTH,   REGISTER_YEAR,  REGISTER_CENTURY,
    };

    return memchr(registers, index, array_size(registers)) != NULL;
}

// --- registers --------------------------------------------------------------------------------

static uint8_t read_a(const struct rtc *rtc)
{
    int64_t left = NANOSECONDS - rtc->clock() % NANOSECONDS;
    bool updating = !frozen(rtc) && left <= UPDATE_NANOSECONDS;

    return rtc->memory[REGISTER_A] | (updating ? A_UPDATING : 0);
}

static uint8_t read_memory(struct rtc *rtc)
{
    if (rtc->index == REGISTER_A)
        return read_a(rtc);
    if (is_time(rtc->index) && !frozen(rtc))
        store_time(rtc);
    return rtc->memory[rtc->index];
}

static void write_b(struct rtc *rtc, uint8_t value)
{
    // Format bits do not convert what is stored: a driver sets SET, format and time, then clears
    // it.
    if (!frozen(rtc))
        store_time(rtc);
    if (frozen(rtc) && !(value & B_SET)) {
        rtc->memory[REGISTER_B] = value;
        take_time(rtc);
        return;
    }
    rtc->memory[REGISTER_B] = value;
}

static void write_time(struct rtc *rtc, uint8_t value)
{
    if (frozen(rtc)) {
        rtc->memory[rtc->index] = value;
        return;
    }
    store_time(rtc);
    rtc->memory[rtc->index] = value;
    take_time(rtc);
}

static void write_memory(struct rtc *rtc, uint8_t value)
{
    if (rtc->index == REGISTER_A)
        rtc->memory[REGISTER_A] = value & (uint8_t)~A_UPDATING;
    else if (rtc->index == REGISTER_B)
        write_b(rtc, value);
    else if (is_time(rtc->index))
        write_time(rtc, value);
    else if (rtc->index != REGISTER_C && rtc->index != REGISTER_D)
        rtc->memory[rtc->index] = value;
}

// The index port can't be read; the bus has nothing there, which is ones. Wider accesses are one
// after the other, as on a bus of eight bits.
static uint64_t rtc_read(void *context, uint64_t offset, unsigned length)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < length; i++)
        value |= (uint64_t)(offset + i == 0 ? 0xff : read_memory(context)) << (8 * i);
    return value;
}

static void rtc_write(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    struct rtc *rtc = context;

    for (unsigned i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i));

        if (offset + i == 0)
            rtc->index = byte & INDEX_MASK;
        else
            write_memory(rtc, byte);
    }
}

static const struct bus_ops rtc_ops = {
    .name = "rtc",
    .read = rtc_read,
    .write = rtc_write,
};

void rtc_init(struct rtc *rtc, rtc_clock *clock)
{
    *rtc = (struct rtc){
        .clock = clock ? clock : host_clock,
        .memory = {[REGISTER_A] = A_DEFAULT, [REGISTER_B] = B_24_HOURS, [REGISTER_D] = D_VALID},
    };
}

int rtc_attach(struct rtc *rtc, struct bus *bus)
{
    const struct bus_window window = {
        .start = MACHINE_PORT_RTC, .size = 2, .ops = &rtc_ops, .context = rtc};

    return bus_add(bus, EXIT_PIO, &window);
}

void rtc_reset(struct rtc *rtc)
{
    if (frozen(rtc))
        write_b(rtc, B_24_HOURS);
    rtc->index = 0;
    rtc->memory[REGISTER_B] = B_24_HOURS;
}
