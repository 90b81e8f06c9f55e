// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Remembers and restores a vCPU. Each row of the table is one part of its state with the two
// requests of the KVM API that move it; order matters: APIC mode (in the segment registers) before
// the APIC's registers, XCR0 before the extended state.
#include "vcpu/x86_64/power_on.h"

#include "ipc/log.h"
#include "vcpu/hypervisor.h"
#include "vcpu/kvm.h"

#include <string.h>

static const struct {
    const char *name;
    unsigned long get;
    unsigned long set;
    size_t offset;
} parts[] = {
    {"mp_state", KVM_GET_MP_STATE, KVM_SET_MP_STATE, offsetof(struct power_on_state, mp)},
    {"sregs", KVM_GET_SREGS, KVM_SET_SREGS, offsetof(struct power_on_state, sregs)},
    {"regs", KVM_GET_REGS, KVM_SET_REGS, offsetof(struct power_on_state, regs)},
    {"xcrs", KVM_GET_XCRS, KVM_SET_XCRS, offsetof(struct power_on_state, xcrs)},
    {"xsave", KVM_GET_XSAVE, KVM_SET_XSAVE, offsetof(struct power_on_state, xsave)},
    {"debugregs", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, offsetof(struct power_on_state, debug)},
    {"lapic", KVM_GET_LAPIC, KVM_SET_LAPIC, offsetof(struct power_on_state, lapic)},
    {"events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, offsetof(struct power_on_state, events)},
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

int power_on_remember(int vcpu_fd, struct power_on_state *state)
{
    for (size_t i = 0; i < PARTS; i++) {
        int error = kvm_ioctl(vcpu_fd, parts[i].get, (uint8_t *)state + parts[i].offset);

        if (error < 0) {
            log_error("KVM does not tell a vCPU's %s: %s", parts[i].name, strerror(-error));
            return error;
        }
    }
    return msrs_remember(vcpu_fd, &state->msrs);
}

// A part that the boot protocol changes is restored from `changed` instead.
static int restore_part(int vcpu_fd, size_t part, const struct power_on_state *state,
                        const struct kvm_regs *regs, const struct kvm_sregs *sregs)
{
    const void *from = (const uint8_t *)state + parts[part].offset;

    if (parts[part].set == KVM_SET_REGS)
        from = regs;
    else if (parts[part].set == KVM_SET_SREGS)
        from = sregs;
    return kvm_ioctl(vcpu_fd, parts[part].set, (void *)(uintptr_t)from);
}

int power_on_restore(int vcpu_fd, const struct power_on_state *state, const struct boot_state *boot)
{
    struct kvm_regs regs = state->regs;
    struct kvm_sregs sregs = state->sregs;

    if (boot)
        boot_state_apply(boot, &regs, &sregs);
    for (size_t i = 0; i < PARTS; i++) {
        int error = restore_part(vcpu_fd, i, state, &regs, &sregs);

        if (error < 0) {
            log_error("KVM does not take a vCPU's %s: %s", parts[i].name, strerror(-error));
            return error;
        }
    }
    return msrs_restore(vcpu_fd, &state->msrs);
}
