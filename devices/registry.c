// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Look-ups in the table of device kinds. Constant data only.
#include "devices/registry.h"

#include "ipc/cleanup.h"

#include <string.h>

static const struct device_kind_row rows[] = {
#define DEVICE(name_, number, id, class_, queues, features_)                                       \
    {.name = #name_,                                                                               \
     .kind = (number),                                                                             \
     .virtio_id = (id),                                                                            \
     .pci_class = (class_),                                                                        \
     .queues_max = (queues),                                                                       \
     .features = (features_)},
#include "devices/registry.def"
#undef DEVICE
};

const struct device_kind_row *device_kind_find(uint32_t kind)
{
    for (size_t i = 0; i < array_size(rows); i++)
        if (rows[i].kind == kind)
            return &rows[i];
    return NULL;
}

const struct device_kind_row *device_kind_find_name(const char *name)
{
    for (size_t i = 0; i < array_size(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}
