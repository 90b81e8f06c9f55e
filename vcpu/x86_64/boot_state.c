// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Where the boot vCPU begins: registers of the two boot protocols. What they point at (page tables,
// descriptor table, parameters) the loader has put into guest memory.
//
// Sources: Linux Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"; Xen docs/misc/pvh.pandoc;
// Intel SDM volume 3, 2.5 (control registers), 3.4.5 (descriptors).
#include "vcpu/hypervisor.h"
#include "vcpu/x86_64/power_on.h"

#define CR0_PE 0x00000001ull
#define CR0_MP 0x00000002ull
#define CR0_ET 0x00000010ull
#define CR0_NE 0x00000020ull
#define CR0_WP 0x00010000ull
#define CR0_PG 0x80000000ull
#define CR4_PAE 0x20ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull
#define RFLAGS_FIXED 0x2ull // bit 1 is always set; interrupts are off

#define SELECTOR_CODE 0x10u // __BOOT_CS
#define SELECTOR_DATA 0x18u // __BOOT_DS
#define SELECTOR_TASK 0x20u
#define GDT_LIMIT 0x1fu // null, unused, code, data

enum { TYPE_DATA = 0x3, TYPE_CODE = 0xb, TYPE_TASK_BUSY = 0xb };

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool long_mode)
{
    return (struct kvm_segment){
        .limit = 0xffffffff,
        .selector = selector,
        .type = type,
        .present = 1,
        .db = !long_mode,
        .s = 1,
        .l = long_mode,
        .g = 1,
    };
}

// The processor wants a task segment even if nothing uses it (SDM volume 3, 26.3.1.2).
static struct kvm_segment task(void)
{
    return (struct kvm_segment){
        .limit = 0x67, .selector = SELECTOR_TASK, .type = TYPE_TASK_BUSY, .present = 1};
}

static void set_segments(struct kvm_sregs *sregs, bool long_mode)
{
    const struct kvm_segment data = flat(SELECTOR_DATA, TYPE_DATA, false);

    sregs->cs = flat(SELECTOR_CODE, TYPE_CODE, long_mode);
    sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
    sregs->tr = task();
}

static void enter_linux64(const struct boot_state *boot, struct kvm_regs *regs,
                          struct kvm_sregs *sregs)
{
    set_segments(sregs, true);
    sregs->gdt.base = boot->gdt;
    sregs->gdt.limit = GDT_LIMIT;
    sregs->cr3 = boot->page_tables;
    sregs->cr4 = CR4_PAE;
    sregs->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    sregs->efer = EFER_LME | EFER_LMA;
    regs->rsi = boot->argument;
}

static void enter_pvh(const struct boot_state *boot, struct kvm_regs *regs, struct kvm_sregs *sregs)
{
    set_segments(sregs, false);
    sregs->cr4 = 0;
    sregs->cr0 = CR0_PE | CR0_ET;
    regs->rbx = boot->argument;
}

void boot_state_apply(const struct boot_state *boot, struct kvm_regs *regs, struct kvm_sregs *sregs)
{
    *regs = (struct kvm_regs){.rip = boot->entry, .rflags = RFLAGS_FIXED};
    if (boot->protocol == BOOT_PVH)
        enter_pvh(boot, regs, sregs);
    else
        enter_linux64(boot, regs, sregs);
}
