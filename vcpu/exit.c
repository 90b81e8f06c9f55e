// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// From KVM's exits to neutral ones. The run page is written by the kernel, but address, width and
// data are the guest's choice.
#include "vcpu/kvm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ACCESS_MAX 8u

// The largest access of 1, 2, 4 or 8 bytes that fits.
static unsigned largest(unsigned bytes)
{
    unsigned length = ACCESS_MAX;

    while (length > bytes)
        length /= 2;
    return length;
}

bool exit_pending(struct pending_access *pending, struct vcpu_exit *exit)
{
    unsigned length = pending->length ? pending->length : largest(pending->bytes);

    if (pending->bytes == 0 || length > pending->bytes)
        return false;
    exit->kind = EXIT_ACCESS;
    exit->access = (struct exit_access){
        .space = pending->space,
        .address = pending->address,
        .length = (uint8_t)length,
        .write = pending->write,
        .data = pending->data,
    };
    pending->data += length;
    pending->bytes -= length;
    if (!pending->length)
        pending->address += length;
    return true;
}

static void fail(struct vcpu_exit *exit, const char *what, unsigned long long detail)
{
    exit->kind = EXIT_FAILED;
    snprintf(exit->detail, sizeof(exit->detail), "%s 0x%llx", what, detail);
}

// A string instruction is `count` accesses of the same port (KVM API 5, KVM_EXIT_IO).
static void decode_pio(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct kvm_run *run = vcpu->run;
    uint64_t bytes = (uint64_t)run->io.size * run->io.count;

    if (run->io.data_offset > vcpu->run_size || bytes > vcpu->run_size - run->io.data_offset ||
        bytes == 0) {
        fail(exit, "KVM reports a port access outside its page:", run->io.data_offset);
        return;
    }
    vcpu->pending = (struct pending_access){
        .space = EXIT_PIO,
        .write = run->io.direction == KVM_EXIT_IO_OUT,
        .address = run->io.port,
        .data = (uint8_t *)vcpu->run + run->io.data_offset,
        .bytes = (unsigned)bytes,
        .length = run->io.size,
    };
    exit_pending(&vcpu->pending, exit);
}

// An access that crosses a page comes in two parts, of 3 and 5 bytes for example.
static void decode_mmio(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct kvm_run *run = vcpu->run;

    if (run->mmio.len == 0 || run->mmio.len > sizeof(run->mmio.data)) {
        fail(exit, "KVM reports a memory access of impossible width", run->mmio.len);
        return;
    }
    vcpu->pending = (struct pending_access){
        .space = EXIT_MMIO,
        .write = run->mmio.is_write,
        .address = run->mmio.phys_addr,
        .data = run->mmio.data,
        .bytes = run->mmio.len,
    };
    exit_pending(&vcpu->pending, exit);
}

static void decode_shutdown(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    exit->kind = EXIT_HALTED;
}

static void decode_interrupted(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    exit->kind = EXIT_INTERRUPTED;
}

static void decode_refused(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    fail(exit, "the processor refuses the guest's state, reason",
         vcpu->run->fail_entry.hardware_entry_failure_reason);
}

static void decode_internal(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    fail(exit, "KVM cannot emulate what the guest does, suberror", vcpu->run->internal.suberror);
}

static void (*const decoders[])(struct vcpu *vcpu, struct vcpu_exit *exit) = {
    [KVM_EXIT_IO] = decode_pio,
    [KVM_EXIT_MMIO] = decode_mmio,
    [KVM_EXIT_SHUTDOWN] = decode_shutdown,
    [KVM_EXIT_INTR] = decode_interrupted,
    [KVM_EXIT_FAIL_ENTRY] = decode_refused,
    [KVM_EXIT_INTERNAL_ERROR] = decode_internal,
};

void exit_decode(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    uint32_t reason = vcpu->run->exit_reason;

    if (reason < sizeof(decoders) / sizeof(decoders[0]) && decoders[reason])
        decoders[reason](vcpu, exit);
    else
        fail(exit, "KVM stops the guest for an unknown reason", reason);
}
