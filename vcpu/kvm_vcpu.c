// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// One vCPU: creation with CPUID, reset, run, kick.
#include "vcpu/kvm.h"

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vcpu/x86_64/cpuid.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int map_run_page(const struct hypervisor *hypervisor, struct vcpu *vcpu)
{
    int size = kvm_ioctl(hypervisor->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
    void *page;

    if (size < (int)sizeof(struct kvm_run))
        return size < 0 ? size : -EPROTO;
    page = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    vcpu->run = page;
    vcpu->run_size = (size_t)size;
    return 0;
}

static int set_cpuid(const struct hypervisor *hypervisor, const struct vcpu *vcpu, unsigned total)
{
    static struct cpuid_table table; // 10 KiB, used before any thread runs
    int khz = kvm_ioctl(vcpu->fd, KVM_GET_TSC_KHZ, NULL);
    const struct cpuid_machine machine = {
        .index = vcpu->index,
        .total = total,
        .tsc_deadline = kvm_capability(hypervisor->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
        .tsc_khz = khz > 0 ? (uint32_t)khz : 0,
    };
    int error;

    table.header = (struct kvm_cpuid2){.nent = CPUID_ENTRIES_MAX};
    error = kvm_ioctl(hypervisor->kvm_fd, KVM_GET_SUPPORTED_CPUID, &table);
    if (error == 0)
        error = cpuid_adapt(&table, &machine);
    return error ? error : kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, &table);
}

// The guest can use no paravirtual interface that CPUID does not offer. Older hosts lack this.
static void enforce_cpuid(const struct hypervisor *hypervisor, const struct vcpu *vcpu)
{
    struct kvm_enable_cap on = {.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = {1}};

    if (kvm_capability(hypervisor->kvm_fd, KVM_CAP_ENFORCE_PV_FEATURE_CPUID) > 0)
        kvm_ioctl(vcpu->fd, KVM_ENABLE_CAP, &on);
}

static void release(struct vcpu *vcpu)
{
    if (vcpu->run)
        munmap(vcpu->run, vcpu->run_size);
    if (vcpu->fd >= 0)
        close(vcpu->fd);
    vcpu->run = NULL;
    vcpu->fd = -1;
}

int hypervisor_vcpu_create(struct hypervisor *hypervisor, unsigned index, unsigned total,
                           struct vcpu **out)
{
    static struct vcpu vcpus[VCPUS_MAX];
    struct vcpu *vcpu;
    int error;

    if (index >= VCPUS_MAX || total > VCPUS_MAX || index >= total)
        return -EINVAL;
    vcpu = &vcpus[index];
    *vcpu = (struct vcpu){.index = index, .process = hypervisor->process};
    vcpu->fd = ioctl(hypervisor->vm_fd, KVM_CREATE_VCPU, (unsigned long)index);
    error = vcpu->fd < 0 ? -errno : map_run_page(hypervisor, vcpu);
    if (error == 0)
        error = set_cpuid(hypervisor, vcpu, total);
    if (error == 0) {
        enforce_cpuid(hypervisor, vcpu);
        error = power_on_remember(vcpu->fd, &vcpu->power_on);
    }
    if (error < 0) {
        log_error("cannot create vCPU %u of %u: %s; try fewer --cpus", index, total,
                  strerror(-error));
        release(vcpu);
        return error;
    }
    *out = vcpu;
    return 0;
}

int vcpu_reset(struct vcpu *vcpu, const struct boot_state *boot)
{
    vcpu->pending = (struct pending_access){.bytes = 0};
    return power_on_restore(vcpu->fd, &vcpu->power_on, vcpu->index == 0 ? boot : NULL);
}

// KVM finishes an access of the guest when it is entered next, even if only to be interrupted. So a
// vCPU that returns EXIT_INTERRUPTED has nothing unfinished and can be reset or left.
int vcpu_run(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    int error;

    if (exit_pending(&vcpu->pending, exit))
        return 0;
    error = kvm_ioctl(vcpu->fd, KVM_RUN, NULL);
    if (error == -EINTR || error == -EAGAIN) { // -EAGAIN: woken while waiting for SIPI
        exit->kind = EXIT_INTERRUPTED;
        return 0;
    }
    if (error < 0)
        return error;
    exit_decode(vcpu, exit);
    return 0;
}

// The mark is set before the signal is sent: a thread that is inside KVM_RUN is thrown out by the
// signal, one that is just about to enter sees the mark there (KVM API 5, immediate_exit).
void vcpu_kick(struct vcpu *vcpu, int tid)
{
    __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_tgkill, vcpu->process, tid, SIGUSR1);
}

void vcpu_unkick(struct vcpu *vcpu)
{
    __atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

// Refused while the guest has no kvmclock, which then needs not be told.
void vcpu_resumed(struct vcpu *vcpu)
{
    kvm_ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL, NULL);
}
