// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Opens and locks a disk image or host block device for its block process.
#pragma once

#include "main/config/config.h"
#include "proto/device.pb.h"

// Opens as the configuration says, locks against a second writer (the lock lives as long as the
// descriptor, in whichever process), and fills *config. Descriptor, owned by the caller, or a
// negative errno (already said to the user).
int warden_disk_open(const struct vm_disk *disk, device_BlockConfig *config);
