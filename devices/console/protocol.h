// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Layouts of virtio-console (virtio 1.2, 5.3.4 and 5.3.6.2).
#pragma once

#include <assert.h>
#include <stdint.h>

#define CONSOLE_F_SIZE 0
#define CONSOLE_F_MULTIPORT 1

struct console_config {
    uint16_t columns;
    uint16_t rows;
    uint32_t max_ports;
    uint32_t emergency_write;
};

struct console_control {
    uint32_t id;
    uint16_t event;
    uint16_t value;
};

enum console_event {
    CONSOLE_DEVICE_READY = 0,
    CONSOLE_DEVICE_ADD = 1,
    CONSOLE_DEVICE_REMOVE = 2,
    CONSOLE_PORT_READY = 3,
    CONSOLE_CONSOLE_PORT = 4,
    CONSOLE_RESIZE = 5,
    CONSOLE_PORT_OPEN = 6,
    CONSOLE_PORT_NAME = 7,
};

static_assert(sizeof(struct console_config) == 12, "virtio 1.2, 5.3.4");
static_assert(sizeof(struct console_control) == 8, "virtio 1.2, 5.3.6.2");
