// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The ISR byte and the device-specific configuration (virtio 1.2, 4.1.4.5 and 4.1.4.6). The
// configuration is the image that the device process sent last: reads are answered from it, writes
// are posted to the process, which sends a new image when it agrees.
#include "main/machine/virtio_registers.h"

#define ISR_QUEUE 1u
#define ISR_CONFIG 2u

uint64_t virtio_isr_read(struct virtio_function *function, uint64_t offset, unsigned length)
{
    uint64_t isr = 0;

    if (offset != 0)
        return 0;
    if (function->isr_config)
        isr |= ISR_CONFIG;
    function->isr_config = false;
    // With MSI-X the vectors tell the driver; without it this byte does, since INTx is not there.
    if (msix_enabled(&function->msix))
        return isr;
    for (unsigned i = 0; i < function->queue_count; i++)
        if (msix_source_take(&function->msix, i))
            isr |= ISR_QUEUE;
    return isr;
}

uint64_t virtio_device_read(struct virtio_function *function, uint64_t offset, unsigned length)
{
    return bus_image_read(function->config, sizeof(function->config), offset, length);
}

void virtio_device_write(struct virtio_function *function, uint64_t offset, unsigned length,
                         uint64_t value)
{
    if (function->presence != VIRTIO_PRESENT || function->resetting ||
        !(function->status & VIRTIO_STATUS_DRIVER) || offset >= function->config_length ||
        length > function->config_length - offset)
        return;
    function->posted = true;
    function->transport->config_write(function->transport_context, (uint32_t)offset, length, value);
}
