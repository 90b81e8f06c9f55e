// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// From KVM's run page to neutral exits: every access arrives once, in pieces of 1, 2, 4 or 8 bytes,
// and none points outside the page. And the registers of the boot protocols.
#include "vcpu/kvm.h"

// The group first, as cmocka wants it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define PAGES 12288u // what KVM maps: the run structure, port data, coalesced accesses
#define DATA 4096u

static union {
    struct kvm_run run;
    uint8_t bytes[PAGES];
} page;
static struct vcpu vcpu;

static int set_up(void **state)
{
    memset(&page, 0, sizeof(page));
    vcpu = (struct vcpu){.run = &page.run, .run_size = PAGES};
    return 0;
}

static void port_accesses(uint8_t size, uint32_t count, uint64_t offset, bool write)
{
    page.run.exit_reason = KVM_EXIT_IO;
    page.run.io.direction = write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
    page.run.io.size = size;
    page.run.io.port = 0x3f8;
    page.run.io.count = count;
    page.run.io.data_offset = offset;
}

static void a_string_instruction_is_one_access_for_each_element(void **state)
{
    struct vcpu_exit exit;

    for (uint8_t size = 1; size <= 4; size *= 2) {
        port_accesses(size, 100, DATA, true);
        exit_decode(&vcpu, &exit);
        for (unsigned i = 0; i < 100; i++) {
            assert_int_equal(exit.kind, EXIT_ACCESS);
            assert_int_equal(exit.access.space, EXIT_PIO);
            assert_int_equal(exit.access.address, 0x3f8);
            assert_int_equal(exit.access.length, size);
            assert_true(exit.access.write);
            assert_ptr_equal(exit.access.data, page.bytes + DATA + i * size);
            assert_int_equal(exit_pending(&vcpu.pending, &exit), i < 99);
        }
    }
}

static void no_access_leaves_the_page(void **state)
{
    struct vcpu_exit exit;

    port_accesses(1, 1, PAGES, false);
    exit_decode(&vcpu, &exit);
    assert_int_equal(exit.kind, EXIT_FAILED);
    port_accesses(4, (PAGES - DATA) / 4 + 1, DATA, false);
    exit_decode(&vcpu, &exit);
    assert_int_equal(exit.kind, EXIT_FAILED);
    port_accesses(255, UINT32_MAX, DATA, false);
    exit_decode(&vcpu, &exit);
    assert_int_equal(exit.kind, EXIT_FAILED);
    port_accesses(1, 1, UINT64_MAX, false);
    exit_decode(&vcpu, &exit);
    assert_int_equal(exit.kind, EXIT_FAILED);
    port_accesses(1, 0, DATA, false);
    exit_decode(&vcpu, &exit);
    assert_int_equal(exit.kind, EXIT_FAILED);
    assert_false(exit_pending(&vcpu.pending, &exit));
}

static void memory_accesses_come_in_powers_of_two(void **state)
{
    static const uint8_t pieces[9][4] = {{0},    {1},    {2},       {2, 1}, {4},
                                         {4, 1}, {4, 2}, {4, 2, 1}, {8}};

    for (uint32_t length = 1; length <= 8; length++) {
        struct vcpu_exit exit;
        uint64_t address = 0xfffffffffffffff8ull;

        page.run.exit_reason = KVM_EXIT_MMIO;
        page.run.mmio.phys_addr = address;
        page.run.mmio.len = length;
        page.run.mmio.is_write = 0;
        exit_decode(&vcpu, &exit);
        for (unsigned i = 0; pieces[length][i]; i++) {
            assert_int_equal(exit.kind, EXIT_ACCESS);
            assert_int_equal(exit.access.space, EXIT_MMIO);
            assert_int_equal(exit.access.address, address);
            assert_int_equal(exit.access.length, pieces[length][i]);
            assert_false(exit.access.write);
            assert_ptr_equal(exit.access.data, page.run.mmio.data + (address & 7));
            address += pieces[length][i];
            assert_int_equal(exit_pending(&vcpu.pending, &exit), pieces[length][i + 1] != 0);
        }
    }
    for (uint32_t length = 0; length <= 9; length += 9) {
        struct vcpu_exit exit;

        page.run.mmio.len = length;
        exit_decode(&vcpu, &exit);
        assert_int_equal(exit.kind, EXIT_FAILED);
    }
}

static void every_reason_has_an_answer(void **state)
{
    for (uint32_t reason = 0; reason < 64; reason++) {
        struct vcpu_exit exit = {.kind = (enum exit_kind) - 1};

        set_up(state);
        page.run.exit_reason = reason;
        exit_decode(&vcpu, &exit);
        if (reason == KVM_EXIT_SHUTDOWN)
            assert_int_equal(exit.kind, EXIT_HALTED);
        else if (reason == KVM_EXIT_INTR)
            assert_int_equal(exit.kind, EXIT_INTERRUPTED);
        else
            assert_int_equal(exit.kind, EXIT_FAILED);
        if (exit.kind == EXIT_FAILED)
            assert_true(strlen(exit.detail) > 10);
    }
    page.run.exit_reason = UINT32_MAX;
    exit_decode(&vcpu, &(struct vcpu_exit){.kind = EXIT_ACCESS});
}

static void boot_states_are_those_of_the_protocols(void **state)
{
    const struct boot_state linux64 = {BOOT_LINUX64, 0x1000200, 0x7000, 0x9000, 0x500};
    const struct boot_state pvh = {BOOT_PVH, 0x1000000, 0x6000, 0, 0};
    struct kvm_regs regs = {.rax = 1, .rsp = 2, .rflags = 0x202};
    struct kvm_sregs sregs = {.apic_base = 0xfee00900};

    boot_state_apply(&linux64, &regs, &sregs);
    assert_int_equal(regs.rip, 0x1000200);
    assert_int_equal(regs.rsi, 0x7000);
    assert_int_equal(regs.rax | regs.rsp | regs.rbx, 0);
    assert_int_equal(regs.rflags, 2);
    assert_int_equal(sregs.cr0 & 0x80000001, 0x80000001);
    assert_int_equal(sregs.cr3, 0x9000);
    assert_int_equal(sregs.cr4, 0x20);
    assert_int_equal(sregs.efer, 0x500);
    assert_int_equal(sregs.gdt.base, 0x500);
    assert_int_equal(sregs.cs.selector, 0x10);
    assert_true(sregs.cs.l && !sregs.cs.db);
    assert_int_equal(sregs.ds.selector, 0x18);
    assert_int_equal(sregs.apic_base, 0xfee00900);

    sregs = (struct kvm_sregs){.cr4 = 0};
    boot_state_apply(&pvh, &regs, &sregs);
    assert_int_equal(regs.rip, 0x1000000);
    assert_int_equal(regs.rbx, 0x6000);
    assert_int_equal(regs.rsi, 0);
    assert_int_equal(sregs.cr0, 0x11);
    assert_int_equal(sregs.efer, 0);
    assert_true(!sregs.cs.l && sregs.cs.db && sregs.cs.limit == 0xffffffff);
    assert_int_equal(sregs.tr.limit, 0x67);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_string_instruction_is_one_access_for_each_element, set_up),
        cmocka_unit_test_setup(no_access_leaves_the_page, set_up),
        cmocka_unit_test_setup(memory_accesses_come_in_powers_of_two, set_up),
        cmocka_unit_test_setup(every_reason_has_an_answer, set_up),
        cmocka_unit_test(boot_states_are_those_of_the_protocols),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
