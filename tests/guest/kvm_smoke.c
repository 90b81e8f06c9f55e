// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What vcpu/ promises, on a real KVM: boot states, accesses, doorbells, interrupts, kicks, resets,
// several vCPUs.
#include "tests/guest/micro.h"

#include "ipc/cleanup.h"
#include "main/machine/layout.h"
#include "main/machine/power.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct micro micro;

static void expect_reports(const uint32_t *expected, unsigned count)
{
    micro_wait_reports(&micro, count);
    for (unsigned i = 0; i < count; i++) {
        if (micro.reports[i] != expected[i])
            fail_msg("report %u is 0x%x, expected 0x%x", i, micro.reports[i], expected[i]);
    }
}

#define EXPECT_REPORTS(...)                                                                        \
    expect_reports((const uint32_t[]){__VA_ARGS__},                                                \
                   (unsigned)array_size(((const uint32_t[]){__VA_ARGS__})))

// --- where the boot vCPU begins ---------------------------------------------------------------

// clang-format off
MICRO_GUEST(linux64, "64",
    "mov %esi, %eax\n" REPORT
    "mov %cs, %eax\n" REPORT
    "mov %ds, %eax\n" REPORT
    "mov %ss, %eax\n" REPORT
    "lahf\n movzx %ah, %eax\n" REPORT // bit 1 is always set
    "mov %cr4, %rax\n" REPORT
    "mov %cr3, %rax\n" REPORT
    "mov $0xc0000080, %ecx\n rdmsr\n" REPORT // EFER
    "mov $0x2ff, %ecx\n rdmsr\n" REPORT      // default memory type
    "mov $0x277, %ecx\n rdmsr\n" REPORT      // PAT
    STOP);

MICRO_GUEST(pvh, "32",
    "mov %ebx, %eax\n" REPORT
    "mov %cr0, %eax\n and $0x80000001, %eax\n" REPORT
    "mov %cr4, %eax\n" REPORT
    "mov $0xc0000080, %ecx\n rdmsr\n" REPORT
    "mov $0x3000, %esp\n pushf\n pop %eax\n" REPORT
    "mov %cs:0, %eax\n mov %es:0, %eax\n mov $0x77, %eax\n" REPORT // segments are flat
    STOP);
// clang-format on

static void linux64_entry_is_that_of_the_boot_protocol(void **state)
{
    micro_create(&micro, 1);
    micro_load_guest(&micro, linux64);
    micro_start(&micro, BOOT_LINUX64);
    EXPECT_REPORTS(MICRO_ARGUMENT, 0x10, 0x18, 0x18, 0x02, 0x20, MICRO_TABLES, 0x500, 0x806,
                   0x00070406);
}

static void pvh_entry_is_protected_mode_without_paging(void **state)
{
    micro_create(&micro, 1);
    micro_load_guest(&micro, pvh);
    micro_start(&micro, BOOT_PVH);
    EXPECT_REPORTS(MICRO_ARGUMENT, 0x1, 0, 0, 0x2, 0x77);
}

// --- accesses ---------------------------------------------------------------------------------

// clang-format off
MICRO_GUEST(strings, "64",
    "mov $0x510, %edx\n lea 0x180000, %rdi\n mov $300, %ecx\n cld\n rep insb\n"
    "mov $0x500, %edx\n lea 0x180000, %rsi\n mov $100, %ecx\n rep outsb\n"
    "movzbl 0x180000+299, %eax\n" REPORT
    STOP);

// Eight bytes across a page: whatever the pieces, the bytes arrive and come back.
MICRO_GUEST(crossing, "64",
    "movabs $0x1122334455667788, %rax\n mov $0xd0000ffd, %ebx\n mov %rax, (%rbx)\n"
    "mov (%rbx), %rcx\n cmp %rax, %rcx\n sete %al\n movzx %al, %eax\n" REPORT
    "mov 0xfff0, %al\n mov $0x600, %edx\n in %dx, %eax\n" REPORT // nobody answers: ones
    STOP);
// clang-format on

static void string_instructions_are_one_access_for_each_element(void **state)
{
    micro_create(&micro, 1);
    micro_load_guest(&micro, strings);
    micro_start(&micro, BOOT_LINUX64);
    micro_wait_reports(&micro, 101);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(micro.reports[i], i);
    assert_int_equal(micro.reports[100], 299 % 256);
}

static void an_access_across_pages_arrives_whole(void **state)
{
    const uint64_t expected = 0x1122334455667788;

    micro_create(&micro, 1);
    micro_load_guest(&micro, crossing);
    micro_start(&micro, BOOT_LINUX64);
    EXPECT_REPORTS(1, 0xffffffff);
    assert_memory_equal(micro.mmio + 0xffd, &expected, sizeof(expected));
}

// --- doorbells and interrupts -----------------------------------------------------------------

// clang-format off
MICRO_GUEST(doorbell, "64",
    "mov $0xd0000000, %ebx\n movb $1, (%rbx)\n movw $1, (%rbx)\n movl $1, (%rbx)\n"
    "movq $1, (%rbx)\n movl $1, 4(%rbx)\n"
    "mov $0x508, %edx\n out %al, %dx\n"
    "mov $1, %eax\n" REPORT
    STOP);

// Vector 0x40 reports 0x40, 0x41 reports 0x41. IDT at 0x180000; local APIC and IOAPIC on.
MICRO_GUEST(interrupts, "64",
    "mov $0x190000, %esp\n"
    "lea 40f(%rip), %rax\n mov $0x180400, %edi\n call 30f\n"
    "lea 41f(%rip), %rax\n mov $0x180410, %edi\n call 30f\n"
    "movw $0xfff, 0x17fff0\n movq $0x180000, 0x17fff2\n lidt 0x17fff0\n"
    "mov $0xfee000f0, %ebx\n movl $0x1ff, (%rbx)\n" // spurious vector, enable
    "mov $0xfec00000, %ebx\n"
    "movl $0x18, (%rbx)\n movl $0x41, 0x10(%rbx)\n" // pin 4: vector 0x41, edge
    "movl $0x19, (%rbx)\n movl $0, 0x10(%rbx)\n"
    "mov $1, %eax\n" REPORT
    "2: sti\n hlt\n jmp 2b\n"
    "30: mov %ax, (%rdi)\n movw $0x10, 2(%rdi)\n movw $0x8e00, 4(%rdi)\n shr $16, %rax\n"
    " mov %ax, 6(%rdi)\n movq $0, 8(%rdi)\n ret\n"
    "40: mov $0x40, %eax\n jmp 50f\n"
    "41: mov $0x41, %eax\n"
    "50: " REPORT "mov $0xfee000b0, %ebx\n movl $0, (%rbx)\n iretq\n");
// clang-format on

static uint64_t drain(int fd)
{
    uint64_t count = 0;

    return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void doorbells_ring_without_an_exit(void **state)
{
    int memory_bell = eventfd(0, EFD_NONBLOCK), port_bell = eventfd(0, EFD_NONBLOCK);

    micro_create(&micro, 1);
    assert_int_equal(
        hypervisor_doorbell_add(micro.hypervisor, EXIT_MMIO, MICRO_MMIO, 0, memory_bell), 0);
    assert_int_equal(hypervisor_doorbell_add(micro.hypervisor, EXIT_PIO, 0x508, 1, port_bell), 0);
    micro_load_guest(&micro, doorbell);
    micro_start(&micro, BOOT_LINUX64);
    EXPECT_REPORTS(1);
    assert_int_equal(drain(memory_bell), 4); // any width, this address only
    assert_int_equal(drain(port_bell), 1);
    assert_int_equal(micro.mmio_writes, 1);
    assert_int_equal(
        hypervisor_doorbell_remove(micro.hypervisor, EXIT_MMIO, MICRO_MMIO, 0, memory_bell), 0);
    vcpus_park(micro.vcpus);
    micro_wait_parked(&micro);
    micro_start(&micro, BOOT_LINUX64);
    EXPECT_REPORTS(1, 1);
    assert_int_equal(drain(memory_bell), 0);
    assert_int_equal(micro.mmio_writes, 1 + 5);
    close(memory_bell);
    close(port_bell);
}

static void ring(int fd)
{
    const uint64_t one = 1;

    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void eventfds_and_lines_interrupt_the_guest(void **state)
{
    unsigned gsi = HYPERVISOR_GSI_MAX - 1;
    int call = eventfd(0, EFD_NONBLOCK);

    micro_create(&micro, 1);
    micro_load_guest(&micro, interrupts);
    hypervisor_msi_set(micro.hypervisor, gsi, MACHINE_LAPIC_BASE, 0x40);
    assert_int_equal(hypervisor_msi_commit(micro.hypervisor), 0);
    assert_int_equal(hypervisor_interrupt_connect(micro.hypervisor, call, gsi), 0);
    micro_start(&micro, BOOT_LINUX64);
    EXPECT_REPORTS(1);
    ring(call);
    EXPECT_REPORTS(1, 0x40);
    assert_true(hypervisor_line(micro.hypervisor, MACHINE_IRQ_SERIAL, true) >= 0);
    EXPECT_REPORTS(1, 0x40, 0x41);
    assert_true(hypervisor_line(micro.hypervisor, MACHINE_IRQ_SERIAL, false) >= 0);

    // What was signalled while it was not connected arrives when it is.
    assert_int_equal(hypervisor_interrupt_disconnect(micro.hypervisor, call, gsi), 0);
    ring(call);
    assert_int_equal(hypervisor_interrupt_connect(micro.hypervisor, call, gsi), 0);
    EXPECT_REPORTS(1, 0x40, 0x41, 0x40);
    close(call);
}

// --- park, resume, reset ----------------------------------------------------------------------

// clang-format off
MICRO_GUEST(halted, "64", "mov $1, %eax\n" REPORT STOP);
MICRO_GUEST(busy, "64", "mov $1, %eax\n" REPORT "xor %ebx, %ebx\n 1: inc %rbx\n jmp 1b\n");
MICRO_GUEST(talking, "64", "mov $0x510, %edx\n 1: in %dx, %al\n jmp 1b\n");
// clang-format on

static void park_and_resume(const uint8_t *start, const uint8_t *end, unsigned reports)
{
    micro_create(&micro, 2); // the second vCPU waits for SIPI all the time
    micro_load(&micro, MICRO_CODE, start, end);
    micro_start(&micro, BOOT_LINUX64);
    micro_wait_reports(&micro, reports);
    assert_int_equal(vcpus_resume(micro.vcpus), -EBUSY);
    assert_int_equal(vcpus_start(micro.vcpus, &micro.boot), -EBUSY);
    for (unsigned i = 0; i < 200; i++) {
        vcpus_park(micro.vcpus);
        vcpus_park(micro.vcpus); // asking twice is asking once
        micro_wait_parked(&micro);
        assert_int_equal(vcpus_resume(micro.vcpus), 0);
    }
}

static void a_halted_vcpu_parks(void **state)
{
    park_and_resume(halted_start, halted_end, 1);
}

static void a_busy_vcpu_parks(void **state)
{
    park_and_resume(busy_start, busy_end, 1);
}

static void a_vcpu_in_the_middle_of_accesses_parks(void **state)
{
    park_and_resume(talking_start, talking_end, 0);
    assert_true(micro.next_byte != 0 || micro.report_count == 0);
}

// Between memory and devices there is nothing that KVM could execute.
#define NOWHERE 0xc8000000u

static void a_vcpu_that_cannot_go_on_says_so_and_can_be_started(void **state)
{
    micro_create(&micro, 2);
    micro_load_guest(&micro, halted);
    micro.boot.protocol = BOOT_PVH;
    for (unsigned round = 1; round <= 3; round++) {
        micro.boot.entry = NOWHERE;
        assert_int_equal(vcpus_start(micro.vcpus, &micro.boot), 0);
        micro_wait_failures(&micro, round);
        vcpus_park(micro.vcpus);
        micro_wait_parked(&micro);
        micro_start(&micro, BOOT_PVH);
        micro_wait_reports(&micro, round);
        vcpus_park(micro.vcpus);
        micro_wait_parked(&micro);
    }
}

// Reports what a reset must put back, then changes it all.
// clang-format off
MICRO_GUEST(dirty, "64",
    "mov $0xc0000082, %ecx\n rdmsr\n" REPORT             // LSTAR
    "mov %dr0, %rax\n" REPORT
    "mov %cr4, %rax\n" REPORT
    "mov $0xfee000f0, %ebx\n mov (%rbx), %eax\n" REPORT   // spurious vector register
    "mov $0xfec00000, %ebx\n movl $0x18, (%rbx)\n mov 0x10(%rbx), %eax\n" REPORT // IOAPIC pin 4
    "mov $0x1b, %ecx\n rdmsr\n" REPORT                    // APIC base
    "mov $0x277, %ecx\n rdmsr\n" REPORT                   // PAT
    "mov $0x4b564d01, %ecx\n rdmsr\n" REPORT              // kvmclock
    "mov %cr4, %rax\n or $0x600, %eax\n mov %rax, %cr4\n" // OSFXSR, OSXMMEXCPT
    "movq %xmm3, %rax\n" REPORT
    "xor %edx, %edx\n"
    "mov $0x12345, %eax\n movq %rax, %xmm3\n mov %rax, %dr0\n"
    "mov $0xc0000082, %ecx\n wrmsr\n"
    "mov $0x277, %ecx\n mov $0x06060606, %eax\n wrmsr\n"
    "movl $0x41, 0x10(%rbx)\n"
    "mov $0xfee000f0, %ebx\n movl $0x1ff, (%rbx)\n"
    "mov $0x4b564d01, %ecx\n mov $0x190001, %eax\n xor %edx, %edx\n wrmsr\n"
    "mov $0x1b, %ecx\n rdmsr\n or $0x400, %eax\n wrmsr\n" // x2APIC
    STOP);

MICRO_GUEST(reset_port, "64",
    "mov $1, %eax\n" REPORT "mov $0x602, %edx\n mov $1, %al\n out %al, %dx\n" STOP);
MICRO_GUEST(sleep_port, "64",
    "mov $0x600, %edx\n mov $0x34, %al\n out %al, %dx\n" STOP); // S5, SLP_EN
// clang-format on

#define DIRTY_REPORTS 9u

static void a_start_puts_all_back_to_power_on(void **state)
{
    micro_create(&micro, 1);
    micro_load_guest(&micro, dirty);
    for (unsigned round = 0; round < 3; round++) {
        micro_start(&micro, BOOT_LINUX64);
        micro_wait_reports(&micro, (round + 1) * DIRTY_REPORTS);
        vcpus_park(micro.vcpus);
        micro_wait_parked(&micro);
        assert_memory_equal(micro.reports, micro.reports + (size_t)round * DIRTY_REPORTS,
                            DIRTY_REPORTS * sizeof(uint32_t));
    }
}

// clang-format off
MICRO_GUEST(triple_fault, "64",
    "mov $1, %eax\n" REPORT "movq $0, 0x17fff0\n movq $0, 0x17fff8\n lidt 0x17fff0\n int3\n" STOP);
// clang-format on

static void a_triple_fault_is_a_reset(void **state)
{
    micro_create(&micro, 2);
    micro_load_guest(&micro, triple_fault);
    for (unsigned round = 1; round <= 3; round++) {
        micro_start(&micro, BOOT_LINUX64);
        micro_wait_event(&micro, MACHINE_EVENT_RESET);
        assert_int_equal(micro.report_count, round);
        vcpus_park(micro.vcpus);
        micro_wait_parked(&micro);
    }
}

static void the_guest_resets_and_powers_off(void **state)
{
    struct power power;

    micro_create(&micro, 1);
    power_init(&power, &micro.host);
    assert_int_equal(power_attach(&power, &micro.bus), 0);
    micro_load_guest(&micro, reset_port);
    micro_start(&micro, BOOT_LINUX64);
    micro_wait_event(&micro, MACHINE_EVENT_RESET);
    vcpus_park(micro.vcpus);
    micro_wait_parked(&micro);
    micro_load_guest(&micro, sleep_port);
    micro_start(&micro, BOOT_LINUX64);
    micro_wait_event(&micro, MACHINE_EVENT_POWER_OFF);
}

// --- several vCPUs ----------------------------------------------------------------------------

// Sends INIT and SIPI to all others, then waits for them to count themselves in.
// clang-format off
MICRO_GUEST(starter, "64",
    "mov $0xfee000f0, %ebx\n movl $0x1ff, (%rbx)\n"
    "mov $0xfee00300, %ebx\n movl $0xc4500, (%rbx)\n movl $0xc4608, (%rbx)\n"
    "1: mov 0x30000, %eax\n cmp $3, %eax\n jne 1b\n" REPORT
    "mov $1, %eax\n cpuid\n shr $16, %ebx\n movzx %bx, %eax\n" REPORT // APIC id, logical count
    "mov $0xb, %eax\n mov $1, %ecx\n cpuid\n mov %ebx, %eax\n" REPORT
    "mov $0xb, %eax\n mov $0, %ecx\n cpuid\n mov %ebx, %eax\n" REPORT
    STOP);
MICRO_GUEST(started, "16",
    "mov $0x3000, %ax\n mov %ax, %ds\n lock incw 0\n"
    "1: cli\n hlt\n jmp 1b\n");
// clang-format on

static void vcpus_start_each_other(void **state)
{
    micro_create(&micro, 4);
    micro_load_guest(&micro, starter);
    micro_load(&micro, MICRO_REAL_CODE, started_start, started_end);
    for (unsigned round = 1; round <= 20; round++) {
        assert_int_equal(guest_zero(micro.memory, guest_address(0x30000), 8), 0);
        micro_start(&micro, BOOT_LINUX64);
        micro_wait_reports(&micro, round * 4);
        vcpus_park(micro.vcpus);
        micro_wait_parked(&micro);
    }
    EXPECT_REPORTS(3, 4, 4, 1);
}

// After each test, also after one that failed.
static int destroy(void **state)
{
    micro_destroy(&micro);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(linux64_entry_is_that_of_the_boot_protocol, destroy),
        cmocka_unit_test_teardown(pvh_entry_is_protected_mode_without_paging, destroy),
        cmocka_unit_test_teardown(string_instructions_are_one_access_for_each_element, destroy),
        cmocka_unit_test_teardown(an_access_across_pages_arrives_whole, destroy),
        cmocka_unit_test_teardown(doorbells_ring_without_an_exit, destroy),
        cmocka_unit_test_teardown(eventfds_and_lines_interrupt_the_guest, destroy),
        cmocka_unit_test_teardown(a_halted_vcpu_parks, destroy),
        cmocka_unit_test_teardown(a_busy_vcpu_parks, destroy),
        cmocka_unit_test_teardown(a_vcpu_in_the_middle_of_accesses_parks, destroy),
        cmocka_unit_test_teardown(a_vcpu_that_cannot_go_on_says_so_and_can_be_started, destroy),
        cmocka_unit_test_teardown(a_start_puts_all_back_to_power_on, destroy),
        cmocka_unit_test_teardown(a_triple_fault_is_a_reset, destroy),
        cmocka_unit_test_teardown(the_guest_resets_and_powers_off, destroy),
        cmocka_unit_test_teardown(vcpus_start_each_other, destroy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
