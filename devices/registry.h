// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The table of device kinds, made from registry.def, as the warden, the coordinator and the devices
// see it.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum device_kind {
#define DEVICE(name, number, virtio_id, pci_class, queues, features) DEVICE_##name = (number),
#include "devices/registry.def"
#undef DEVICE
};

struct device_kind_row {
    const char *name;
    uint16_t kind;
    uint16_t virtio_id; // 0: no virtio function
    uint32_t pci_class; // base class, subclass, interface
    uint16_t queues_max;
    uint64_t features; // device-specific bits that its process may offer
};

// The row of a kind, or NULL.
const struct device_kind_row *device_kind_find(uint32_t kind);
const struct device_kind_row *device_kind_find_name(const char *name);
