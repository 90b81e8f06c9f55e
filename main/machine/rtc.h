// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The CMOS clock: an MC146818's registers and 114 bytes of memory. Time is the host's (UTC), plus
// what the guest set; it ticks without any timer of ours. Registers only (rule 1).
//
// Source: Motorola MC146818 data sheet (1984), "Registers". Left out: the periodic, alarm and
// update interrupts never come (their enable bits are stored and read back, register C reads as 0):
// the ACPI tables describe no IRQ 8, so that operating systems use other timers.
#pragma once

#include "main/machine/machine.h"

#define RTC_MEMORY_SIZE 128u

// The seam for time: nanoseconds since 1970-01-01 00:00:00 UTC.
typedef int64_t rtc_clock(void);

struct rtc {
    rtc_clock *clock;
    int64_t offset; // seconds that the guest's clock is ahead of the host's
    uint8_t index;
    uint8_t memory[RTC_MEMORY_SIZE]; // time registers are here only while SET is on
};

// `clock` NULL: the host's clock.
void rtc_init(struct rtc *rtc, rtc_clock *clock);
// Adds its ports to the bus. 0 or a negative errno.
int rtc_attach(struct rtc *rtc, struct bus *bus);
// Power-on of the machine: the memory has a battery and stays, and so does the time.
void rtc_reset(struct rtc *rtc);
