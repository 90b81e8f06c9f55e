// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What CPUID says in the guest: what KVM can do, with the topology of this VM, without what a
// desktop guest has no business with. Private to vcpu/.
#pragma once

#include "vcpu/kvm_abi.h"

#define CPUID_ENTRIES_MAX 256u // KVM_MAX_CPUID_ENTRIES

struct cpuid_table {
    struct kvm_cpuid2 header; // .nent entries follow
    struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
};

struct cpuid_machine {
    unsigned index; // of this vCPU, which is its APIC id
    unsigned total; // vCPUs: one package of as many cores, one thread each
    bool tsc_deadline;
    uint32_t tsc_khz; // 0: unknown
};

// Changes `table`, which holds KVM_GET_SUPPORTED_CPUID, into the guest's. Whatever the host's
// processor reports there, the result stays within the table. 0, or -ENOSPC.
int cpuid_adapt(struct cpuid_table *table, const struct cpuid_machine *machine);
