// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The coordinator's messages and the driver's kicks, on their way to a device's ops. Between
// device_main.c and device_transport.c only.
#pragma once

#include "devices/device.h"

// Watches the channel and the kicks of all queues. Before lock-down. 0 or a negative errno.
int device_transport_watch(struct device *device);
