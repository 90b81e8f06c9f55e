// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Registers that end or wake the machine: sleep, reset, keyboard controller, panic, power button.
// Only the documented write has an effect, at any width and offset.
#include "main/machine/i8042.h"
#include "main/machine/layout.h"
#include "main/machine/power.h"
#include "main/machine/pvpanic.h"
#include "tests/unit/scripted_hypervisor.h"

// The group first, as cmocka wants it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct {
    struct bus bus;
    struct machine_host host;
    struct i8042 i8042;
    struct pvpanic pvpanic;
    struct power power;
    unsigned events[3];
} machine;

static void on_event(void *context, enum machine_event event)
{
    machine.events[event]++;
}

static int set_up(void **state)
{
    memset(&machine, 0, sizeof(machine));
    machine.host = (struct machine_host){.event = on_event, .hypervisor = scripted_hypervisor()};
    i8042_init(&machine.i8042, &machine.host);
    pvpanic_init(&machine.pvpanic, &machine.host);
    power_init(&machine.power, &machine.host);
    return i8042_attach(&machine.i8042, &machine.bus) ||
           pvpanic_attach(&machine.pvpanic, &machine.bus) ||
           power_attach(&machine.power, &machine.bus);
}

static uint64_t access_port(unsigned port, unsigned length, bool write, uint64_t value)
{
    uint8_t data[8];
    const struct exit_access access = {.space = EXIT_PIO,
                                       .address = port,
                                       .length = (uint8_t)length,
                                       .write = write,
                                       .data = data};

    memcpy(data, &value, sizeof(value));
    bus_access(&machine.bus, &access);
    memcpy(&value, data, sizeof(value));
    return length == 8 ? value : value & ((UINT64_C(1) << (8 * length)) - 1);
}

static uint8_t in(unsigned port)
{
    return (uint8_t)access_port(port, 1, false, 0);
}

static void out(unsigned port, uint8_t value)
{
    access_port(port, 1, true, value);
}

static bool line(void)
{
    return machine.host.hypervisor->lines[MACHINE_IRQ_GED];
}

// Every byte to every port: exactly these have an effect.
static void only_the_documented_writes_have_an_effect(void **state)
{
    unsigned expected[3] = {0};

    for (unsigned port = 0; port < 0x700; port++) {
        for (unsigned value = 0; value < 256; value++) {
            expected[MACHINE_EVENT_POWER_OFF] +=
                port == 0x600 && (value & 0x20) && ((value >> 2) & 7) == 5;
            expected[MACHINE_EVENT_RESET] += port == 0x602 && value == 1;
            expected[MACHINE_EVENT_RESET] += port == 0x64 && value == 0xfe;
            expected[MACHINE_EVENT_PANIC] += port == 0x505 && (value & 1);
            out(port, (uint8_t)value);
            assert_memory_equal(machine.events, expected, sizeof(expected));
        }
    }
    assert_false(line());
}

static void reads_say_what_is_there(void **state)
{
    assert_int_equal(in(0x505), 1);    // PANICKED is understood
    assert_int_equal(in(0x64) & 3, 0); // both buffers empty
    assert_int_equal(in(0x60), 0);
    assert_int_equal(in(0x600), 0);
    assert_int_equal(in(0x601), 0);
    assert_int_equal(in(0x604), 0);
    assert_int_equal(in(0x506), 0xff); // nobody
}

static void wide_accesses_touch_each_byte_once(void **state)
{
    access_port(0x600, 4, true, 0x00010034); // S5 and the reset register together
    assert_int_equal(machine.events[MACHINE_EVENT_POWER_OFF], 1);
    assert_int_equal(machine.events[MACHINE_EVENT_RESET], 1);
    power_button_press(&machine.power);
    assert_int_equal(access_port(0x603, 2, false, 0), MACHINE_GED_POWER_BUTTON << 8);
    assert_int_equal(in(0x604), 0);
    assert_int_equal(access_port(0x604, 2, false, 0), 0xffff); // passes the window's end
    assert_int_equal(access_port(0x505, 4, false, 0), 0xffffffff);
    access_port(0x64, 2, true, 0xfefe);
    assert_int_equal(machine.events[MACHINE_EVENT_RESET], 1);
}

static void the_power_button_interrupts_until_it_is_read(void **state)
{
    power_button_press(&machine.power);
    assert_true(line());
    power_button_press(&machine.power);
    assert_true(line());
    assert_int_equal(in(MACHINE_PORT_GED), MACHINE_GED_POWER_BUTTON);
    assert_false(line());
    assert_int_equal(in(MACHINE_PORT_GED), 0);
    power_button_press(&machine.power);
    power_reset(&machine.power);
    assert_false(line());
    assert_int_equal(in(MACHINE_PORT_GED), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_the_documented_writes_have_an_effect, set_up),
        cmocka_unit_test_setup(reads_say_what_is_there, set_up),
        cmocka_unit_test_setup(wide_accesses_touch_each_byte_once, set_up),
        cmocka_unit_test_setup(the_power_button_interrupts_until_it_is_read, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
