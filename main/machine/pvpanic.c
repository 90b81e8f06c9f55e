// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The panic port; see pvpanic.h.
#include "main/machine/pvpanic.h"

#include "main/machine/layout.h"

#define PVPANIC_PANICKED 0x01u // the one event that a read offers

static uint64_t read_offer(void *context, uint64_t offset, unsigned length)
{
    return PVPANIC_PANICKED;
}

static void write_event(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    const struct pvpanic *pvpanic = context;

    if (value & PVPANIC_PANICKED)
        pvpanic->host->event(pvpanic->host->context, MACHINE_EVENT_PANIC);
}

static const struct bus_ops pvpanic_ops = {
    .name = "pvpanic",
    .read = read_offer,
    .write = write_event,
};

void pvpanic_init(struct pvpanic *pvpanic, const struct machine_host *host)
{
    *pvpanic = (struct pvpanic){.host = host};
}

int pvpanic_attach(struct pvpanic *pvpanic, struct bus *bus)
{
    const struct bus_window window = {
        .start = MACHINE_PORT_PVPANIC, .size = 1, .ops = &pvpanic_ops, .context = pvpanic};

    return bus_add(bus, EXIT_PIO, &window);
}
