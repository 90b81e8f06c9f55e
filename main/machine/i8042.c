// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The keyboard controller's two ports; see i8042.h.
#include "main/machine/i8042.h"

#include "main/machine/layout.h"

#define PORT_COMMAND (MACHINE_PORT_I8042 + 4)
#define COMMAND_PULSE_RESET 0xfeu // pulse output port line 0, which is the processor's reset

// Status: self-test passed (2), last write was a command (3), keyboard not locked (4); both buffers
// are empty (bits 0, 1).
#define STATUS_IDLE 0x1cu

static uint64_t read_data(void *context, uint64_t offset, unsigned length)
{
    return 0;
}

static void write_data(void *context, uint64_t offset, unsigned length, uint64_t value)
{
}

static uint64_t read_status(void *context, uint64_t offset, unsigned length)
{
    return STATUS_IDLE;
}

static void write_command(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    const struct i8042 *i8042 = context;

    if ((uint8_t)value == COMMAND_PULSE_RESET)
        i8042->host->event(i8042->host->context, MACHINE_EVENT_RESET);
}

static const struct bus_ops data_ops = {
    .name = "i8042 data",
    .read = read_data,
    .write = write_data,
};

static const struct bus_ops command_ops = {
    .name = "i8042 command",
    .read = read_status,
    .write = write_command,
};

void i8042_init(struct i8042 *i8042, const struct machine_host *host)
{
    *i8042 = (struct i8042){.host = host};
}

int i8042_attach(struct i8042 *i8042, struct bus *bus)
{
    const struct bus_window data = {
        .start = MACHINE_PORT_I8042, .size = 1, .ops = &data_ops, .context = i8042};
    const struct bus_window command = {
        .start = PORT_COMMAND, .size = 1, .ops = &command_ops, .context = i8042};
    int error = bus_add(bus, EXIT_PIO, &data);

    return error ? error : bus_add(bus, EXIT_PIO, &command);
}
