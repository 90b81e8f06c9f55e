// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Model-specific registers: those that firmware would have set, and those that a guest can change
// and that must be back at their first value after a reset. Not every host has all of them; what
// KVM does not tell is left alone.
//
// Sources: Intel SDM volume 4; AMD APM volume 2, appendix A; Linux
// Documentation/virt/kvm/x86/msr.rst.
#include "vcpu/x86_64/power_on.h"

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vcpu/kvm.h"

#include <errno.h>
#include <string.h>

struct msr_range {
    uint32_t first;
    uint32_t count;
};

#define MSR_TSC 0x10u
#define MSR_MISC_ENABLE 0x1a0u
#define MSR_MTRR_DEFAULT 0x2ffu

#define MISC_ENABLE_FAST_STRINGS 0x1ull
#define MTRR_ENABLE 0x800ull
#define MTRR_WRITE_BACK 0x6ull

// Without firmware nobody has said that memory is cacheable.
static const struct kvm_msr_entry firmware[] = {
    {.index = MSR_MTRR_DEFAULT, .data = MTRR_ENABLE | MTRR_WRITE_BACK},
    {.index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRINGS},
};

static const struct msr_range ranges[] = {
    {0x48, 1},       // speculation control
    {0x3b, 1},       // TSC adjust
    {0x6e0, 1},      // TSC deadline
    {0x174, 3},      // SYSENTER
    {0x1a0, 1},      // miscellaneous enables
    {0x1d9, 1},      // debug control
    {0x200, 16},     // variable MTRRs
    {0x250, 1},      // fixed MTRRs
    {0x258, 2},      //
    {0x268, 8},      //
    {0x277, 1},      // PAT
    {0x2ff, 1},      // default memory type
    {0xda0, 1},      // extended supervisor state
    {0xc0000081, 4}, // STAR, LSTAR, CSTAR, SFMASK
    {0xc0000102, 2}, // kernel GS base, TSC_AUX; FS and GS base are in the segment registers
    {0xc0000104, 1}, // TSC ratio
    {0xc0010117, 1}, // VM_HSAVE_PA
    {0xc001011f, 1}, // virtual speculation control
    {0x11, 2},       // kvmclock, old numbers
    {0x4b564d00, 2}, // kvmclock: off at power-on
    {0x4b564d02, 5}, // asynchronous page faults, steal time, PV EOI, halt polling, their interrupt
};

struct one_msr {
    struct kvm_msrs header;
    struct kvm_msr_entry entry;
};

static bool set_one(int vcpu_fd, uint32_t index, uint64_t value)
{
    struct one_msr request = {.header.nmsrs = 1, .entry = {.index = index, .data = value}};

    return kvm_ioctl(vcpu_fd, KVM_SET_MSRS, &request) == 1;
}

static bool get_one(int vcpu_fd, uint32_t index, uint64_t *value)
{
    struct one_msr request = {.header.nmsrs = 1, .entry.index = index};

    if (kvm_ioctl(vcpu_fd, KVM_GET_MSRS, &request) != 1)
        return false;
    *value = request.entry.data;
    return true;
}

static void set_firmware_values(int vcpu_fd)
{
    for (size_t i = 0; i < array_size(firmware); i++) {
        if (!set_one(vcpu_fd, firmware[i].index, firmware[i].data))
            log_warning("KVM does not take MSR 0x%x: the guest may be slow", firmware[i].index);
    }
}

static int append(struct power_on_msrs *msrs, uint32_t index, uint64_t value)
{
    if (msrs->header.nmsrs >= POWER_ON_MSRS_MAX)
        return -ENOSPC;
    msrs->entries[msrs->header.nmsrs++] = (struct kvm_msr_entry){.index = index, .data = value};
    return 0;
}

int msrs_remember(int vcpu_fd, struct power_on_msrs *msrs)
{
    uint64_t value;
    // Writing 0 means to KVM: in step with the other vCPUs' time stamp counters, which go on.
    int error = append(msrs, MSR_TSC, 0);

    set_firmware_values(vcpu_fd);
    for (size_t i = 0; i < array_size(ranges); i++) {
        for (uint32_t index = ranges[i].first; index < ranges[i].first + ranges[i].count; index++) {
            // What can be read but not written back could not be restored either.
            if (error == 0 && get_one(vcpu_fd, index, &value) && set_one(vcpu_fd, index, value))
                error = append(msrs, index, value);
        }
    }
    return error;
}

int msrs_restore(int vcpu_fd, const struct power_on_msrs *msrs)
{
    int count = kvm_ioctl(vcpu_fd, KVM_SET_MSRS, (void *)(uintptr_t)msrs);

    if (count < 0)
        return count;
    // KVM stops at the first one that it does not take.
    if ((unsigned)count < msrs->header.nmsrs) {
        log_error("KVM does not take MSR 0x%x back", msrs->entries[count].index);
        return -EIO;
    }
    return 0;
}
