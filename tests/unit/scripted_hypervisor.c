// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The hypervisor for tests: tables instead of KVM, with KVM's refusals (a second doorbell at an
// address, an eventfd that is connected already, a message that is no message).
#include "tests/unit/scripted_hypervisor.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct vcpu {
    struct scripted_vcpu *script;
    _Atomic bool kicked;
};

struct hypervisor *scripted_hypervisor(void)
{
    static struct hypervisor instance;

    memset(&instance, 0, sizeof(instance));
    return &instance;
}

// The count of an eventfd, which is left as it was, or 0.
static uint64_t count_of(int event_fd)
{
    uint64_t count;

    if (read(event_fd, &count, sizeof(count)) != (ssize_t)sizeof(count) ||
        write(event_fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
        return 0;
    return count;
}

static void deliver(struct hypervisor *hypervisor)
{
    for (unsigned i = 0; i < hypervisor->interrupt_count; i++) {
        struct scripted_interrupt *interrupt = &hypervisor->interrupts[i];
        uint64_t count;

        if (count_of(interrupt->event_fd) == interrupt->stale)
            continue;
        if (read(interrupt->event_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
            hypervisor->raised[interrupt->gsi]++;
        interrupt->stale = 0;
    }
}

unsigned scripted_raised(struct hypervisor *hypervisor, unsigned gsi)
{
    deliver(hypervisor);
    return hypervisor->raised[gsi];
}

const struct scripted_doorbell *scripted_doorbell_find(const struct hypervisor *hypervisor,
                                                       enum exit_space space, uint64_t address,
                                                       unsigned length)
{
    for (unsigned i = 0; i < hypervisor->doorbell_count; i++) {
        const struct scripted_doorbell *doorbell = &hypervisor->doorbells[i];

        if (doorbell->space == space && doorbell->address == address &&
            (doorbell->length == 0 || doorbell->length == length))
            return doorbell;
    }
    return NULL;
}

bool scripted_store(const struct hypervisor *hypervisor, enum exit_space space, uint64_t address,
                    unsigned length)
{
    const struct scripted_doorbell *doorbell =
        scripted_doorbell_find(hypervisor, space, address, length);
    const uint64_t one = 1;

    return doorbell && write(doorbell->event_fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
}

int scripted_connected(const struct hypervisor *hypervisor, int event_fd)
{
    for (unsigned i = 0; i < hypervisor->interrupt_count; i++)
        if (hypervisor->interrupts[i].event_fd == event_fd)
            return (int)hypervisor->interrupts[i].gsi;
    return -1;
}

int hypervisor_create(int kvm_fd, struct hypervisor **out)
{
    *out = scripted_hypervisor();
    return 0;
}

void hypervisor_destroy(struct hypervisor *hypervisor)
{
    memset(hypervisor, 0, sizeof(*hypervisor));
}

int hypervisor_map(struct hypervisor *hypervisor, const struct guest_memory *memory)
{
    return 0;
}

int hypervisor_vcpu_create(struct hypervisor *hypervisor, unsigned index, unsigned total,
                           struct vcpu **out)
{
    static struct vcpu vcpus[VCPUS_MAX];

    if (index >= total || total > VCPUS_MAX)
        return -EINVAL;
    vcpus[index] = (struct vcpu){.script = &hypervisor->vcpus[index]};
    *out = &vcpus[index];
    return 0;
}

int vcpu_reset(struct vcpu *vcpu, const struct boot_state *boot)
{
    vcpu->script->resets++;
    return vcpu->script->fail_reset;
}

// As KVM does: an access is finished before the vCPU stands still for a kick.
int vcpu_run(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct timespec pause = {.tv_nsec = 10000};
    struct scripted_vcpu *script = vcpu->script;

    if (script->played < script->count && !vcpu->kicked) {
        *exit = script->exits[script->played++];
        return 0;
    }
    while (!vcpu->kicked)
        nanosleep(&pause, NULL);
    *exit = (struct vcpu_exit){.kind = EXIT_INTERRUPTED};
    return 0;
}

void vcpu_kick(struct vcpu *vcpu, int tid)
{
    vcpu->kicked = true;
}

void vcpu_unkick(struct vcpu *vcpu)
{
    vcpu->kicked = false;
}

void vcpu_resumed(struct vcpu *vcpu)
{
    vcpu->script->resumes++;
}

int hypervisor_reset(struct hypervisor *hypervisor)
{
    hypervisor->resets++;
    memset(hypervisor->lines, 0, sizeof(hypervisor->lines));
    return 0;
}

int hypervisor_doorbell_add(struct hypervisor *hypervisor, enum exit_space space, uint64_t address,
                            unsigned length, int event_fd)
{
    hypervisor->calls++;
    if (hypervisor->fail_doorbell)
        return hypervisor->fail_doorbell;
    if (scripted_doorbell_find(hypervisor, space, address, length))
        return -EEXIST;
    if (hypervisor->doorbell_count == SCRIPTED_DOORBELLS_MAX)
        return -ENOSPC;
    hypervisor->doorbells[hypervisor->doorbell_count++] = (struct scripted_doorbell){
        .space = space,
        .address = address,
        .length = length,
        .event_fd = event_fd,
    };
    return 0;
}

int hypervisor_doorbell_remove(struct hypervisor *hypervisor, enum exit_space space,
                               uint64_t address, unsigned length, int event_fd)
{
    hypervisor->calls++;
    for (unsigned i = 0; i < hypervisor->doorbell_count; i++) {
        struct scripted_doorbell *doorbell = &hypervisor->doorbells[i];

        if (doorbell->space != space || doorbell->address != address ||
            doorbell->length != length || doorbell->event_fd != event_fd)
            continue;
        *doorbell = hypervisor->doorbells[--hypervisor->doorbell_count];
        return 0;
    }
    return -ENOENT;
}

int hypervisor_line(struct hypervisor *hypervisor, unsigned gsi, bool level)
{
    if (gsi >= HYPERVISOR_GSI_MSI_FIRST)
        return -EINVAL;
    hypervisor->lines[gsi] = level;
    return 0;
}

void hypervisor_msi_set(struct hypervisor *hypervisor, unsigned gsi, uint64_t address,
                        uint32_t data)
{
    hypervisor->staged[gsi] = (struct scripted_message){.address = address, .data = data};
}

int hypervisor_msi_commit(struct hypervisor *hypervisor)
{
    hypervisor->calls++;
    if (hypervisor->fail_commit)
        return hypervisor->fail_commit;
    // KVM refuses the whole table for one bad address.
    for (unsigned i = 0; i < HYPERVISOR_GSI_MAX; i++)
        if (hypervisor->staged[i].address >> 32)
            return -EINVAL;
    memcpy(hypervisor->routed, hypervisor->staged, sizeof(hypervisor->routed));
    hypervisor->commits++;
    return 0;
}

int hypervisor_interrupt_connect(struct hypervisor *hypervisor, int event_fd, unsigned gsi)
{
    hypervisor->calls++;
    if (hypervisor->fail_interrupt)
        return hypervisor->fail_interrupt;
    if (gsi >= HYPERVISOR_GSI_MAX || hypervisor->interrupt_count == SCRIPTED_INTERRUPTS_MAX)
        return -EINVAL;
    if (scripted_connected(hypervisor, event_fd) >= 0)
        return -EBUSY;
    hypervisor->interrupts[hypervisor->interrupt_count++] =
        (struct scripted_interrupt){.event_fd = event_fd, .gsi = gsi, .stale = count_of(event_fd)};
    if (hypervisor->interrupts[hypervisor->interrupt_count - 1].stale)
        hypervisor->raised[gsi]++;
    return 0;
}

int hypervisor_interrupt_disconnect(struct hypervisor *hypervisor, int event_fd, unsigned gsi)
{
    hypervisor->calls++;
    deliver(hypervisor);
    for (unsigned i = 0; i < hypervisor->interrupt_count; i++) {
        struct scripted_interrupt *interrupt = &hypervisor->interrupts[i];

        if (interrupt->event_fd != event_fd || interrupt->gsi != gsi)
            continue;
        *interrupt = hypervisor->interrupts[--hypervisor->interrupt_count];
        return 0;
    }
    return -ENOENT;
}
