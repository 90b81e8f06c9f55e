// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Interrupts: the irqchip in the kernel, its lines, messages, and eventfds that raise them. There
// is no PIT: the guest is hardware-reduced ACPI and has the local APIC's timer.
#include "vcpu/kvm.h"

#include "ipc/cleanup.h"

#include <string.h>

// All routes of the VM: the kernel takes them as one table (KVM API 4.52).
struct route_table {
    struct kvm_irq_routing header;
    struct kvm_irq_routing_entry entries[HYPERVISOR_GSI_MAX];
};

static_assert(offsetof(struct route_table, entries) == sizeof(struct kvm_irq_routing),
              "entries follow the header");

// To the IOAPIC alone: the kernel's PIC is never connected. Its lines would reach the first vCPU
// through LINT0 with vectors that a hardware-reduced guest has never set up.
static void add_lines(struct route_table *table)
{
    for (unsigned gsi = 0; gsi < HYPERVISOR_GSI_MSI_FIRST; gsi++)
        table->entries[table->header.nr++] = (struct kvm_irq_routing_entry){
            .gsi = gsi,
            .type = KVM_IRQ_ROUTING_IRQCHIP,
            .u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = gsi},
        };
}

static void add_message(struct route_table *table, unsigned gsi, const struct kvm_message *message)
{
    table->entries[table->header.nr++] = (struct kvm_irq_routing_entry){
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {.address_lo = (uint32_t)message->address,
                  .address_hi = (uint32_t)(message->address >> 32),
                  .data = message->data},
    };
}

int hypervisor_msi_commit(struct hypervisor *hypervisor)
{
    static struct route_table table; // too large for a vCPU's stack; the machine's lock guards it

    table.header = (struct kvm_irq_routing){.nr = 0};
    add_lines(&table);
    for (unsigned gsi = HYPERVISOR_GSI_MSI_FIRST; gsi < HYPERVISOR_GSI_MAX; gsi++) {
        if (hypervisor->messages[gsi].address != 0)
            add_message(&table, gsi, &hypervisor->messages[gsi]);
    }
    return kvm_ioctl(hypervisor->vm_fd, KVM_SET_GSI_ROUTING, &table);
}

void hypervisor_msi_set(struct hypervisor *hypervisor, unsigned gsi, uint64_t address,
                        uint32_t data)
{
    if (gsi >= HYPERVISOR_GSI_MSI_FIRST && gsi < HYPERVISOR_GSI_MAX)
        hypervisor->messages[gsi] = (struct kvm_message){.address = address, .data = data};
}

// KVM API 4.25.
int hypervisor_line(struct hypervisor *hypervisor, unsigned gsi, bool level)
{
    struct kvm_irq_level request = {.irq = gsi, .level = level};

    return kvm_ioctl(hypervisor->vm_fd, KVM_IRQ_LINE, &request);
}

// KVM API 4.75.
static int interrupt(const struct hypervisor *hypervisor, int event_fd, unsigned gsi,
                     uint32_t flags)
{
    struct kvm_irqfd request = {.fd = (uint32_t)event_fd, .gsi = gsi, .flags = flags};

    return kvm_ioctl(hypervisor->vm_fd, KVM_IRQFD, &request);
}

int hypervisor_interrupt_connect(struct hypervisor *hypervisor, int event_fd, unsigned gsi)
{
    return interrupt(hypervisor, event_fd, gsi, 0);
}

int hypervisor_interrupt_disconnect(struct hypervisor *hypervisor, int event_fd, unsigned gsi)
{
    return interrupt(hypervisor, event_fd, gsi, KVM_IRQFD_FLAG_DEASSIGN);
}

static int remember_irqchips(struct hypervisor *hypervisor)
{
    static const uint32_t ids[KVM_IRQCHIPS] = {KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE,
                                               KVM_IRQCHIP_IOAPIC};

    for (unsigned i = 0; i < KVM_IRQCHIPS; i++) {
        int error;

        hypervisor->irqchips[i].chip_id = ids[i];
        error = kvm_ioctl(hypervisor->vm_fd, KVM_GET_IRQCHIP, &hypervisor->irqchips[i]);
        if (error < 0)
            return error;
    }
    return 0;
}

int kvm_irqchip_create(struct hypervisor *hypervisor)
{
    int error = kvm_ioctl(hypervisor->vm_fd, KVM_CREATE_IRQCHIP, NULL);

    if (error == 0)
        error = remember_irqchips(hypervisor);
    return error ? error : hypervisor_msi_commit(hypervisor);
}

int hypervisor_reset(struct hypervisor *hypervisor)
{
    for (unsigned i = 0; i < KVM_IRQCHIPS; i++) {
        int error = kvm_ioctl(hypervisor->vm_fd, KVM_SET_IRQCHIP, &hypervisor->irqchips[i]);

        if (error < 0)
            return error;
    }
    return 0;
}
