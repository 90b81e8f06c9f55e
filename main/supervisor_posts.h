// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the coordinator says to a device process. Between supervisor.c and supervisor_posts.c only.
#pragma once

#include "main/supervisor.h"

// Posts from the registers (on the thread of the access, under the lock). A device that does not
// take a post is marked broken, and the main thread is woken.
extern const struct virtio_transport_ops supervisor_transport;

// Attach: memory, shared pages, doorbells, filter, and the back ends that the warden sent along.
int supervisor_send_attach(struct supervised *device, const warden_DeviceSpawned *spawned,
                           const struct channel_descriptors *descriptors);
