// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// virtio-console (virtio 1.2, 5.3), multi-port. Queue 0 and 1 are port 0, 2 and 3 control, then two
// a port.
#include "devices/console/console.h"

#include <errno.h>
#include <string.h>

static struct console the_console;

static int console_attach(struct device *device, const device_Attach *attach)
{
    const device_ConsoleConfig *config = &attach->config.console;
    struct console *console = &the_console;

    if (attach->which_config != device_Attach_console_tag || config->ports < 1 ||
        config->ports > CONSOLE_PORTS_MAX || device->queue_count != 2 * (config->ports + 1))
        return -EINVAL;
    console->device = device;
    console->port_count = config->ports;
    console->config = (struct console_config){
        .columns = (uint16_t)config->columns,
        .rows = (uint16_t)config->rows,
        .max_ports = config->ports,
    };
    for (unsigned i = 0; i < console->port_count; i++) {
        struct console_port *port = &console->ports[i];
        int error;

        port->console = console;
        port->number = i;
        port->rx = i == 0 ? 0 : 2 * (i + 1);
        port->tx = port->rx + 1;
        port->escape.enabled = (config->escapes >> i & 1) != 0;
        error = console_port_attach(port, config->inputs >> i & 1, config->outputs >> i & 1);
        if (error < 0)
            return error;
    }
    device->features = UINT64_C(1) << CONSOLE_F_MULTIPORT;
    if (config->columns > 0 && config->rows > 0)
        device->features |= UINT64_C(1) << CONSOLE_F_SIZE;
    device->config_length = sizeof(console->config);
    memcpy(device->config, &console->config, sizeof(console->config));
    return 0;
}

static void console_kicked(struct device *device, unsigned index)
{
    struct console *console = &the_console;
    unsigned number = index < CONSOLE_QUEUE_CONTROL_RX ? 0 : index / 2 - 1;

    if (index == CONSOLE_QUEUE_CONTROL_RX)
        console_control_flush(console);
    else if (index == CONSOLE_QUEUE_CONTROL_TX)
        console_control_requests(console);
    else if (index % 2 == 0)
        console_port_receive(&console->ports[number]);
    else
        console_port_transmit(&console->ports[number]);
}

static int console_stop(struct device *device, unsigned queue)
{
    struct console *console = &the_console;

    for (unsigned i = 0; i < console->port_count; i++)
        console_port_stop(&console->ports[i], queue);
    if (queue == DEVICE_ALL_QUEUES)
        console->event_count = 0;
    return 0;
}

const struct device_ops device_ops = {
    .kind = DEVICE_console,
    .attach = console_attach,
    .stop = console_stop,
    .kicked = console_kicked,
};
