// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The guest's CPUID: its topology is that of the VM whatever the host says, and what it must not
// see is gone. Played on tables of an Intel and an AMD host, and on nonsense.
#include "vcpu/x86_64/cpuid.h"

// The group first, as cmocka wants it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct cpuid_table table;

static void add(uint32_t leaf, uint32_t index, uint32_t eax, uint32_t ebx, uint32_t ecx,
                uint32_t edx)
{
    table.entries[table.header.nent++] = (struct kvm_cpuid_entry2){
        .function = leaf, .index = index, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx};
}

static const struct kvm_cpuid_entry2 *find(uint32_t leaf, uint32_t index)
{
    const struct kvm_cpuid_entry2 *found = NULL;

    for (uint32_t i = 0; i < table.header.nent; i++) {
        if (table.entries[i].function != leaf || table.entries[i].index != index)
            continue;
        assert_null(found); // once
        found = &table.entries[i];
    }
    assert_non_null(found);
    return found;
}

// All features on, and the topology of a host of 2 packages with 64 threads each.
static int fill(void **state)
{
    memset(&table, 0, sizeof(table));
    add(0x0, 0, 0x1f, 0, 0, 0);
    add(0x1, 0, 0x000906ea, 0x2b400800, ~0u, ~0u);
    add(0x4, 0, 0xfc004121, 0x1c0003f, 0x3f, 0);
    add(0x4, 2, 0xfc004143, 0x3c0003f, 0x3ff, 0);
    add(0x4, 3, 0xfc1fc163, 0x3c0003f, 0x3fff, 0);
    add(0x4, 4, 0, 0, 0, 0);
    add(0x5, 0, 0x40, 0x40, 3, 0x11142120);
    add(0x7, 0, 2, ~0u, ~0u, ~0u);
    add(0x7, 1, 0x1234, 0, 0, 0);
    add(0xa, 0, 0x08300802, 0, 0, 0x603);
    add(0xb, 0, 1, 2, 0x100, 0x2b);
    add(0xb, 1, 7, 64, 0x201, 0x2b);
    add(0xd, 0, 0x602e7, 0xa88, 0x2b00, 0);
    add(0xd, 1, 0x1f, 0, 0, 0);
    add(0xd, 17, 0x40, 0xac0, 0, 0);
    add(0xd, 18, 0x2000, 0xb00, 0, 0);
    add(0xd, 2, 0x100, 0x240, 0, 0);
    add(0x12, 0, 1, 1, 1, 1);
    add(0x14, 0, 1, 1, 1, 1);
    add(0x1d, 1, 1, 1, 1, 1);
    add(0x1e, 0, 1, 1, 1, 1);
    add(0x1f, 0, 1, 2, 0x100, 0x2b);
    add(0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
    add(0x40000001, 0, ~0u, 0, 0, 1);
    add(0x80000001, 0, 0, 0, ~0u, ~0u);
    add(0x80000008, 0, 0x3030, 0, 0x703f, 0);
    add(0x8000000a, 0, 1, 8, 0, ~0u);
    add(0x8000001d, 0, 0x4121, 0x1c0003f, 0x3f, 0);
    add(0x8000001d, 3, 0x3fc163, 0x3c0003f, 0x3fff, 1);
    add(0x8000001e, 0, 0x2b, 0x0115, 0x0303, 0);
    add(0x8000001f, 0, ~0u, ~0u, ~0u, ~0u);
    add(0x80000022, 0, 1, 6, 0, 0);
    return 0;
}

static void adapt(unsigned index, unsigned total)
{
    const struct cpuid_machine machine = {
        .index = index, .total = total, .tsc_deadline = true, .tsc_khz = 2000000};

    assert_int_equal(cpuid_adapt(&table, &machine), 0);
}

static uint32_t bits(uint32_t word, unsigned low, unsigned count)
{
    return (word >> low) & ((1u << count) - 1);
}

static void every_leaf_tells_the_same_topology(void **state)
{
    for (unsigned total = 1; total <= 16; total++) {
        unsigned log2 = 0;

        while ((1u << log2) < total)
            log2++;
        fill(state);
        adapt(total - 1, total);
        assert_int_equal(bits(find(1, 0)->ebx, 24, 8), total - 1);
        assert_int_equal(bits(find(1, 0)->ebx, 16, 8), total);
        assert_int_equal(bits(find(1, 0)->edx, 28, 1), total > 1);
        assert_int_equal(bits(find(4, 0)->eax, 26, 6), (1u << log2) - 1);
        assert_int_equal(bits(find(4, 0)->eax, 14, 12), 0);
        assert_int_equal(bits(find(4, 2)->eax, 14, 12), 0);
        assert_int_equal(bits(find(4, 3)->eax, 14, 12), (1u << log2) - 1);
        assert_int_equal(find(4, 4)->eax, 0);
        for (uint32_t leaf = 0xb; leaf <= 0x1f; leaf += 0x14) {
            assert_int_equal(find(leaf, 0)->eax, 0);
            assert_int_equal(find(leaf, 0)->ebx, 1);
            assert_int_equal(find(leaf, 0)->ecx, 0x100);
            assert_int_equal(find(leaf, 1)->eax, log2);
            assert_int_equal(find(leaf, 1)->ebx, total);
            assert_int_equal(find(leaf, 1)->ecx, 0x201);
            assert_int_equal(find(leaf, 2)->ebx, 0);
            for (uint32_t level = 0; level < 3; level++)
                assert_int_equal(find(leaf, level)->edx, total - 1);
        }
        assert_int_equal(bits(find(0x80000008, 0)->ecx, 0, 8), total - 1);
        assert_int_equal(bits(find(0x80000008, 0)->ecx, 12, 4), log2);
        assert_int_equal(bits(find(0x8000001d, 3)->eax, 14, 12), (1u << log2) - 1);
        assert_int_equal(find(0x8000001e, 0)->eax, total - 1);
        assert_int_equal(find(0x8000001e, 0)->ebx, total - 1);
        assert_int_equal(find(0x8000001e, 0)->ecx, 0);
    }
}

static void hidden_things_are_hidden(void **state)
{
    static const uint32_t cleared[] = {0x5,  0xa,        0x12,       0x14,
                                       0x1e, 0x8000000a, 0x8000001f, 0x80000022};

    adapt(0, 2);
    for (unsigned i = 0; i < sizeof(cleared) / sizeof(cleared[0]); i++) {
        const struct kvm_cpuid_entry2 *entry = find(cleared[i], 0);

        assert_int_equal(entry->eax | entry->ebx | entry->ecx | entry->edx, 0);
    }
    assert_int_equal(bits(find(1, 0)->ecx, 3, 1), 0);          // MONITOR
    assert_int_equal(bits(find(1, 0)->ecx, 5, 1), 0);          // VMX
    assert_int_equal(bits(find(0x80000001, 0)->ecx, 2, 1), 0); // SVM
    assert_int_equal(bits(find(7, 0)->ebx, 2, 1), 0);          // SGX
    assert_int_equal(bits(find(7, 0)->edx, 22, 4) & 0xd, 0);   // AMX
    assert_int_equal(find(7, 1)->eax, 0x1234);
    assert_int_equal(find(0xd, 0)->eax, 0x2e7);
    assert_int_equal(find(0xd, 1)->eax, 0x0f);
    assert_int_equal(find(0xd, 17)->eax | find(0xd, 18)->eax, 0);
    assert_int_equal(find(0xd, 2)->eax, 0x100);
    assert_int_equal(bits(find(0x40000001, 0)->eax, 4, 1), 0);  // asynchronous page faults
    assert_int_equal(bits(find(0x40000001, 0)->eax, 16, 1), 0); // page encryption's hypercall
    assert_int_equal(find(0x40000001, 0)->edx, 0);
}

static void needed_things_are_there(void **state)
{
    adapt(0, 1);
    assert_int_equal(bits(find(1, 0)->ecx, 21, 1), 1);         // x2APIC
    assert_int_equal(bits(find(1, 0)->ecx, 24, 1), 1);         // TSC deadline
    assert_int_equal(bits(find(1, 0)->ecx, 31, 1), 1);         // hypervisor
    assert_int_equal(bits(find(0x40000001, 0)->eax, 3, 1), 1); // kvmclock
    assert_int_equal(bits(find(0x40000001, 0)->eax, 24, 1), 1);
    assert_int_equal(find(0x40000000, 0)->eax, 0x40000010);
    assert_int_equal(find(0x40000010, 0)->eax, 2000000);
    assert_int_equal(find(0x40000010, 0)->ebx, 1000000);
}

static void a_host_without_topology_leaves_gets_none(void **state)
{
    memset(&table, 0, sizeof(table));
    add(0x0, 0, 0xa, 0, 0, 0);
    add(0x1, 0, 0, 0, 0, 0);
    adapt(0, 4);
    for (uint32_t i = 0; i < table.header.nent; i++)
        assert_true(table.entries[i].function != 0xb && table.entries[i].function != 0x1f);
}

static void a_full_table_is_an_error(void **state)
{
    const struct cpuid_machine machine = {.index = 0, .total = 2};

    memset(&table, 0, sizeof(table));
    for (uint32_t i = 0; i < CPUID_ENTRIES_MAX; i++)
        add(i == 0 ? 0 : 0x80000000 + i, 0, 0x1f, 0, 0, 0);
    assert_int_equal(cpuid_adapt(&table, &machine), -ENOSPC);
    table.header.nent = CPUID_ENTRIES_MAX + 1;
    assert_int_equal(cpuid_adapt(&table, &machine), -ENOSPC);
    table.header.nent = UINT32_MAX;
    assert_int_equal(cpuid_adapt(&table, &machine), -ENOSPC);
}

static void nonsense_stays_within_the_table(void **state)
{
    srand(3);
    for (unsigned round = 0; round < 2000; round++) {
        const struct cpuid_machine machine = {.index = 3, .total = 16};
        uint32_t count = (uint32_t)rand() % (CPUID_ENTRIES_MAX + 1);

        for (uint32_t i = 0; i < count; i++)
            table.entries[i] = (struct kvm_cpuid_entry2){
                .function = (rand() % 3   ? 0
                             : rand() % 2 ? 0x40000000
                                          : 0x80000000) +
                            (uint32_t)rand() % 0x30,
                .index = (uint32_t)rand(),
                .eax = (uint32_t)rand() * 2,
                .ebx = (uint32_t)rand() * 2,
                .ecx = (uint32_t)rand() * 2,
                .edx = (uint32_t)rand() * 2,
            };
        table.header.nent = count;
        cpuid_adapt(&table, &machine);
        assert_true(table.header.nent <= CPUID_ENTRIES_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_leaf_tells_the_same_topology),
        cmocka_unit_test_setup(hidden_things_are_hidden, fill),
        cmocka_unit_test_setup(needed_things_are_there, fill),
        cmocka_unit_test(a_host_without_topology_leaves_gets_none),
        cmocka_unit_test(a_full_table_is_an_error),
        cmocka_unit_test(nonsense_stays_within_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
