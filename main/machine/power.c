// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The sleep, reset and event registers; see power.h.
#include "main/machine/power.h"

#include "main/machine/layout.h"

#define WINDOW_START MACHINE_PORT_SLEEP_CONTROL
#define WINDOW_SIZE (MACHINE_PORT_GED - MACHINE_PORT_SLEEP_CONTROL + 1)

// ACPI 6.5, table 4.25: sleep control register.
#define SLEEP_ENABLE 0x20u
#define SLEEP_TYPE(value) (((value) >> 2) & 7u)

static void tell(const struct power *power, enum machine_event event)
{
    power->host->event(power->host->context, event);
}

static void write_sleep_control(struct power *power, uint8_t value)
{
    if ((value & SLEEP_ENABLE) && SLEEP_TYPE(value) == MACHINE_SLEEP_TYPE_S5)
        tell(power, MACHINE_EVENT_POWER_OFF);
}

static void write_reset(struct power *power, uint8_t value)
{
    if (value == MACHINE_RESET_VALUE)
        tell(power, MACHINE_EVENT_RESET);
}

static uint8_t take_events(struct power *power)
{
    uint8_t events = power->events;

    if (events) {
        power->events = 0;
        hypervisor_line(power->host->hypervisor, MACHINE_IRQ_GED, false);
    }
    return events;
}

// Each register is one byte. The sleep status register (WAK_STS) reads as 0: the machine never
// wakes from a sleep, since it has none but S5.
static uint8_t read_register(struct power *power, uint64_t port)
{
    return port == MACHINE_PORT_GED ? take_events(power) : 0;
}

static void write_register(struct power *power, uint64_t port, uint8_t value)
{
    if (port == MACHINE_PORT_SLEEP_CONTROL)
        write_sleep_control(power, value);
    else if (port == MACHINE_PORT_RESET)
        write_reset(power, value);
}

// Wider accesses are one after the other, as on a bus of eight bits.
static uint64_t read_registers(void *context, uint64_t offset, unsigned length)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < length; i++)
        value |= (uint64_t)read_register(context, WINDOW_START + offset + i) << (8 * i);
    return value;
}

static void write_registers(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    for (unsigned i = 0; i < length; i++)
        write_register(context, WINDOW_START + offset + i, (uint8_t)(value >> (8 * i)));
}

static const struct bus_ops power_ops = {
    .name = "power",
    .read = read_registers,
    .write = write_registers,
};

void power_init(struct power *power, const struct machine_host *host)
{
    *power = (struct power){.host = host};
}

int power_attach(struct power *power, struct bus *bus)
{
    const struct bus_window window = {
        .start = WINDOW_START, .size = WINDOW_SIZE, .ops = &power_ops, .context = power};

    return bus_add(bus, EXIT_PIO, &window);
}

void power_reset(struct power *power)
{
    take_events(power);
}

void power_button_press(struct power *power)
{
    // An edge that came while the guest had the interrupt masked is lost: a second press makes
    // another.
    if (power->events)
        hypervisor_line(power->host->hypervisor, MACHINE_IRQ_GED, false);
    power->events |= MACHINE_GED_POWER_BUTTON;
    hypervisor_line(power->host->hypervisor, MACHINE_IRQ_GED, true);
}
