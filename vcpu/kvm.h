// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// KVM behind hypervisor.h. Private to vcpu/: nobody else sees <linux/kvm.h>. References "KVM API"
// are to Documentation/virt/kvm/api.rst of Linux.
#pragma once

#include "vcpu/hypervisor.h"
#include "vcpu/kvm_abi.h"
#include "vcpu/x86_64/power_on.h"

#include <sys/ioctl.h>
#include <sys/types.h>

#define KVM_IRQCHIPS 3u // PIC master, PIC slave, IOAPIC (KVM API 4.26)

struct kvm_message {
    uint64_t address; // 0: the gsi has no message
    uint32_t data;
};

struct hypervisor {
    int kvm_fd; // owned
    int vm_fd;  // owned
    pid_t process;
    struct kvm_irqchip irqchips[KVM_IRQCHIPS]; // power-on state
    struct kvm_message messages[HYPERVISOR_GSI_MAX];
};

// What is left of an exit that holds several accesses: a string instruction, or a width that is no
// power of two.
struct pending_access {
    enum exit_space space;
    bool write;
    uint64_t address;
    uint8_t *data;
    unsigned bytes;  // left
    unsigned length; // of each access; 0: as many as fit, and addresses go up
};

struct vcpu {
    unsigned index;
    int fd; // owned
    pid_t process;
    struct kvm_run *run; // mapped, `run_size` bytes
    size_t run_size;
    struct pending_access pending;
    struct power_on_state power_on;
};

// ioctl(2) that returns a negative errno.
int kvm_ioctl(int fd, unsigned long request, void *argument);
// KVM_CHECK_EXTENSION: 0 when it is missing.
int kvm_capability(int fd, unsigned long capability);

// kvm_irq.c: the irqchip's power-on state, and the first routing table.
int kvm_irqchip_create(struct hypervisor *hypervisor);

// exit.c: what KVM_RUN left in the run page, as a neutral exit.
void exit_decode(struct vcpu *vcpu, struct vcpu_exit *exit);
// The next access of an exit that holds several; false when there is none (any more).
bool exit_pending(struct pending_access *pending, struct vcpu_exit *exit);
