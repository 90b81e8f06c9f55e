// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The VM: creation, what this host's KVM must be able to do, memory, doorbells. Runs in the
// coordinator; the descriptors of the VM and its vCPUs never leave it.
#include "vcpu/kvm.h"

#include "ipc/cleanup.h"
#include "ipc/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define API_VERSION 12 // KVM API 4.1

// Three pages that KVM needs on Intel processors, below the top of the first 4 GiB, where this
// machine has nothing (KVM API 4.40, 4.41).
#define TSS_ADDRESS 0xfffbd000ul
#define IDENTITY_MAP_ADDRESS 0xfffbc000ull

static const struct {
    unsigned long capability;
    const char *name;
} needed[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
    {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
    {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
    {KVM_CAP_IOEVENTFD_ANY_LENGTH, "KVM_CAP_IOEVENTFD_ANY_LENGTH"},
    {KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
    {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
    {KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
    {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
    {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
    {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
    {KVM_CAP_XCRS, "KVM_CAP_XCRS"},
};

int kvm_ioctl(int fd, unsigned long request, void *argument)
{
    int result = ioctl(fd, request, argument);

    return result < 0 ? -errno : result;
}

int kvm_capability(int fd, unsigned long capability)
{
    int result = ioctl(fd, KVM_CHECK_EXTENSION, capability);

    return result < 0 ? 0 : result;
}

static int check_host(int kvm_fd)
{
    int version = kvm_ioctl(kvm_fd, KVM_GET_API_VERSION, NULL);

    if (version != API_VERSION) {
        log_error("/dev/kvm does not speak KVM's API version %d: it must be the KVM device",
                  API_VERSION);
        return -ENODEV;
    }
    for (size_t i = 0; i < array_size(needed); i++) {
        if (kvm_capability(kvm_fd, needed[i].capability) > 0)
            continue;
        log_error("this host's KVM lacks %s: a kernel of version 5.10 or newer has it",
                  needed[i].name);
        return -ENOTSUP;
    }
    return 0;
}

static int create_vm(int kvm_fd)
{
    int vm_fd;

    // Creation waits for other CPUs and may be interrupted by any signal.
    do
        vm_fd = kvm_ioctl(kvm_fd, KVM_CREATE_VM, NULL);
    while (vm_fd == -EINTR);
    if (vm_fd < 0)
        log_error("cannot create a VM: %s; another hypervisor may be using the processor's "
                  "virtualization",
                  strerror(-vm_fd));
    return vm_fd;
}

// The performance counters' machinery is large and of no use to a desktop guest. Older hosts can't
// switch it off; CPUID hides it all the same.
static void disable_counters(const struct hypervisor *hypervisor)
{
    struct kvm_enable_cap off = {.cap = KVM_CAP_PMU_CAPABILITY, .args = {KVM_PMU_CAP_DISABLE}};

    if (kvm_capability(hypervisor->kvm_fd, KVM_CAP_PMU_CAPABILITY) & KVM_PMU_CAP_DISABLE)
        kvm_ioctl(hypervisor->vm_fd, KVM_ENABLE_CAP, &off);
}

static int set_up_vm(struct hypervisor *hypervisor)
{
    uint64_t identity_map = IDENTITY_MAP_ADDRESS;
    int error = kvm_ioctl(hypervisor->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);

    if (error == 0 && ioctl(hypervisor->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) < 0)
        error = -errno;
    if (error == 0)
        error = kvm_irqchip_create(hypervisor);
    if (error < 0)
        log_error("cannot set up the VM: %s", strerror(-error));
    disable_counters(hypervisor);
    return error;
}

// What a kick sends. It has only to arrive: vcpu_kick has set the mark that KVM_RUN looks at.
static void on_kick(int signal_number)
{
}

static int catch_kicks(void)
{
    const struct sigaction action = {.sa_handler = on_kick};

    return sigaction(SIGUSR1, &action, NULL) < 0 ? -errno : 0;
}

int hypervisor_create(int kvm_fd, struct hypervisor **out)
{
    static struct hypervisor hypervisor;
    int error;

    hypervisor = (struct hypervisor){.kvm_fd = kvm_fd, .vm_fd = -1, .process = getpid()};
    error = check_host(kvm_fd);
    if (error == 0)
        hypervisor.vm_fd = error = create_vm(kvm_fd);
    if (error >= 0)
        error = set_up_vm(&hypervisor);
    if (error == 0)
        error = catch_kicks();
    if (error < 0) {
        hypervisor_destroy(&hypervisor);
        return error;
    }
    *out = &hypervisor;
    return 0;
}

void hypervisor_destroy(struct hypervisor *hypervisor)
{
    if (hypervisor->vm_fd >= 0)
        close(hypervisor->vm_fd);
    close(hypervisor->kvm_fd);
    hypervisor->vm_fd = -1;
    hypervisor->kvm_fd = -1;
}

int hypervisor_map(struct hypervisor *hypervisor, const struct guest_memory *memory)
{
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned count = guest_memory_regions(memory, regions);

    for (unsigned i = 0; i < count; i++) {
        struct kvm_userspace_memory_region region = {
            .slot = i,
            .guest_phys_addr = regions[i].guest_address,
            .memory_size = regions[i].size,
            .userspace_addr = (uintptr_t)guest_memory_host_base(memory, i),
        };
        int error = kvm_ioctl(hypervisor->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);

        if (error < 0) {
            log_error("KVM refuses %llu MiB of guest memory at 0x%llx: %s; use a smaller --memory",
                      (unsigned long long)(regions[i].size >> 20),
                      (unsigned long long)regions[i].guest_address, strerror(-error));
            return error;
        }
    }
    return 0;
}

// KVM API 4.59.
static int doorbell(const struct hypervisor *hypervisor, enum exit_space space, uint64_t address,
                    unsigned length, int event_fd, uint32_t flags)
{
    struct kvm_ioeventfd request = {
        .addr = address,
        .len = length,
        .fd = event_fd,
        .flags = flags | (space == EXIT_PIO ? KVM_IOEVENTFD_FLAG_PIO : 0u),
    };

    return kvm_ioctl(hypervisor->vm_fd, KVM_IOEVENTFD, &request);
}

int hypervisor_doorbell_add(struct hypervisor *hypervisor, enum exit_space space, uint64_t address,
                            unsigned length, int event_fd)
{
    return doorbell(hypervisor, space, address, length, event_fd, 0);
}

int hypervisor_doorbell_remove(struct hypervisor *hypervisor, enum exit_space space,
                               uint64_t address, unsigned length, int event_fd)
{
    return doorbell(hypervisor, space, address, length, event_fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}
