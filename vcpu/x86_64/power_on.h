// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A vCPU's whole state as it was at power-on, so that a guest can reboot in place. Private to
// vcpu/.
#pragma once

#include "vcpu/kvm_abi.h"

#define POWER_ON_MSRS_MAX 96u

struct power_on_msrs {
    struct kvm_msrs header; // .nmsrs entries follow
    struct kvm_msr_entry entries[POWER_ON_MSRS_MAX];
};

struct power_on_state {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_xcrs xcrs;
    struct kvm_debugregs debug;
    struct kvm_lapic_state lapic;
    struct kvm_mp_state mp;
    struct kvm_vcpu_events events;
    struct kvm_xsave xsave;
    struct power_on_msrs msrs;
};

struct boot_state;

// power_on.c: remembers the state of a vCPU that has never run. 0 or a negative errno (logged).
int power_on_remember(int vcpu_fd, struct power_on_state *state);
// Puts it back; with `boot`, the vCPU is the boot vCPU and begins there. 0 or a negative errno.
int power_on_restore(int vcpu_fd, const struct power_on_state *state,
                     const struct boot_state *boot);

// msr.c: sets the MSRs that firmware would set, then reads those that the guest can change into
// `msrs`.
int msrs_remember(int vcpu_fd, struct power_on_msrs *msrs);
// 0 or a negative errno.
int msrs_restore(int vcpu_fd, const struct power_on_msrs *msrs);

// boot_state.c: changes power-on registers into those of a boot protocol.
void boot_state_apply(const struct boot_state *boot, struct kvm_regs *regs,
                      struct kvm_sregs *sregs);
