// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The guest's CPUID; see cpuid.h. A table says for each leaf what is taken away, and which function
// adapts it. Leaves that it does not name stay as KVM reports them.
//
// Sources: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; Linux
// Documentation/virt/kvm/x86/cpuid.rst.
#include "vcpu/x86_64/cpuid.h"

#include "ipc/cleanup.h"

#include <asm/kvm_para.h>
#include <errno.h>

#define BIT(number) (1u << (number))

enum {
    LEAF_MAX = 0x0,
    LEAF_FEATURES = 0x1,
    LEAF_CACHES = 0x4,
    LEAF_MWAIT = 0x5,
    LEAF_EXTENDED_FEATURES = 0x7,
    LEAF_COUNTERS = 0xa,
    LEAF_TOPOLOGY = 0xb,
    LEAF_XSAVE = 0xd,
    LEAF_SGX = 0x12,
    LEAF_TRACE = 0x14,
    LEAF_TILES = 0x1d,
    LEAF_TILE_MULTIPLY = 0x1e,
    LEAF_TOPOLOGY_2 = 0x1f,
};

#define LEAF_KVM 0x40000000u
#define LEAF_KVM_FEATURES 0x40000001u
#define LEAF_KVM_FREQUENCY 0x40000010u
#define LEAF_AMD_FEATURES 0x80000001u
#define LEAF_AMD_SIZES 0x80000008u
#define LEAF_AMD_SVM 0x8000000au
#define LEAF_AMD_CACHES 0x8000001du
#define LEAF_AMD_TOPOLOGY 0x8000001eu
#define LEAF_AMD_ENCRYPTION 0x8000001fu
#define LEAF_AMD_COUNTERS 0x80000022u

// Leaf 1.
#define ECX1_MONITOR BIT(3)
#define ECX1_VMX BIT(5)
#define ECX1_PERF_CAPABILITIES BIT(15)
#define ECX1_X2APIC BIT(21)
#define ECX1_TSC_DEADLINE BIT(24)
#define ECX1_OSXSAVE BIT(27) // the kernel keeps it as CR4 says
#define ECX1_HYPERVISOR BIT(31)
#define EDX1_HTT BIT(28)

// Leaf 7, subleaf 0: SGX and its launch control; AMX (its state is 8 KiB a thread, and needs a
// permission that we do not ask for).
#define EBX7_SGX BIT(2)
#define ECX7_SGX_LAUNCH BIT(30)
#define EDX7_AMX (BIT(22) | BIT(24) | BIT(25))
#define EAXD_AMX (BIT(17) | BIT(18))
#define EAXD1_XFD BIT(4)

// Leaf 0x80000001.
#define ECX_AMD_CMP_LEGACY BIT(1)
#define ECX_AMD_SVM BIT(2)
#define ECX_AMD_COUNTERS (BIT(23) | BIT(24) | BIT(28)) // core, northbridge, last level cache

// Leaf 0x40000001: what KVM may offer, beyond which nothing is shown. Left out: asynchronous page
// faults and page encryption's migration interfaces.
#define KVM_SHOWN                                                                                  \
    (BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |                                \
     BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_STEAL_TIME) | BIT(KVM_FEATURE_PV_EOI) |       \
     BIT(KVM_FEATURE_PV_UNHALT) | BIT(KVM_FEATURE_PV_TLB_FLUSH) | BIT(KVM_FEATURE_PV_SEND_IPI) |   \
     BIT(KVM_FEATURE_POLL_CONTROL) | BIT(KVM_FEATURE_PV_SCHED_YIELD) |                             \
     BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT))

#define APIC_BUS_KHZ 1000000u // KVM's APIC timer counts nanoseconds

typedef void adapt(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine);

// Number of bits that tell `total` cores apart.
static unsigned core_bits(unsigned total)
{
    unsigned bits = 0;

    while (BIT(bits) < total)
        bits++;
    return bits;
}

static void set_field(uint32_t *word, unsigned low, unsigned bits, uint32_t value)
{
    uint32_t mask = (BIT(bits) - 1) << low;

    *word = (*word & ~mask) | ((value << low) & mask);
}

static void adapt_features(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    set_field(&entry->ebx, 24, 8, machine->index);
    set_field(&entry->ebx, 16, 8, machine->total);
    entry->ecx &= ~(ECX1_MONITOR | ECX1_VMX | ECX1_PERF_CAPABILITIES | ECX1_OSXSAVE);
    entry->ecx |= ECX1_X2APIC | ECX1_HYPERVISOR;
    if (machine->tsc_deadline)
        entry->ecx |= ECX1_TSC_DEADLINE;
    entry->edx &= ~EDX1_HTT;
    if (machine->total > 1)
        entry->edx |= EDX1_HTT;
}

// First and second level belong to a core, the third to the package (type 0 ends the list).
static unsigned cache_sharers(const struct kvm_cpuid_entry2 *entry,
                              const struct cpuid_machine *machine)
{
    unsigned level = (entry->eax >> 5) & 7;

    return level >= 3 ? BIT(core_bits(machine->total)) - 1 : 0;
}

static void adapt_caches(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    if ((entry->eax & 0x1f) == 0)
        return;
    set_field(&entry->eax, 14, 12, cache_sharers(entry, machine));
    set_field(&entry->eax, 26, 6, BIT(core_bits(machine->total)) - 1);
}

static void adapt_amd_caches(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    if ((entry->eax & 0x1f) != 0)
        set_field(&entry->eax, 14, 12, cache_sharers(entry, machine));
}

static void adapt_extended(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    if (entry->index != 0)
        return;
    entry->ebx &= ~EBX7_SGX;
    entry->ecx &= ~ECX7_SGX_LAUNCH;
    entry->edx &= ~EDX7_AMX;
}

static void adapt_xsave(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    if (entry->index == 0)
        entry->eax &= ~EAXD_AMX;
    else if (entry->index == 1)
        entry->eax &= ~EAXD1_XFD;
    else if (entry->index < 32 && (BIT(entry->index) & EAXD_AMX))
        entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
}

static void adapt_kvm(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    entry->eax = LEAF_KVM_FREQUENCY;
}

static void adapt_kvm_features(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    entry->eax &= KVM_SHOWN;
    entry->edx = 0;
}

static void adapt_amd_features(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    entry->ecx &= ~(ECX_AMD_SVM | ECX_AMD_COUNTERS | ECX_AMD_CMP_LEGACY);
    if (machine->total > 1)
        entry->ecx |= ECX_AMD_CMP_LEGACY;
}

static void adapt_amd_sizes(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    set_field(&entry->ecx, 0, 8, machine->total - 1);
    set_field(&entry->ecx, 12, 4, core_bits(machine->total));
}

static void adapt_amd_topology(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    entry->eax = machine->index;
    entry->ebx = machine->index; // core; one thread in each
    entry->ecx = 0;              // one node
}

static void clear(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
}

static const struct {
    uint32_t leaf;
    adapt *adapt;
} adaptations[] = {
    {LEAF_FEATURES, adapt_features},
    {LEAF_CACHES, adapt_caches},
    {LEAF_MWAIT, clear},
    {LEAF_EXTENDED_FEATURES, adapt_extended},
    {LEAF_COUNTERS, clear},
    {LEAF_XSAVE, adapt_xsave},
    {LEAF_SGX, clear},
    {LEAF_TRACE, clear},
    {LEAF_TILES, clear},
    {LEAF_TILE_MULTIPLY, clear},
    {LEAF_KVM, adapt_kvm},
    {LEAF_KVM_FEATURES, adapt_kvm_features},
    {LEAF_AMD_FEATURES, adapt_amd_features},
    {LEAF_AMD_SIZES, adapt_amd_sizes},
    {LEAF_AMD_SVM, clear},
    {LEAF_AMD_CACHES, adapt_amd_caches},
    {LEAF_AMD_TOPOLOGY, adapt_amd_topology},
    {LEAF_AMD_ENCRYPTION, clear},
    {LEAF_AMD_COUNTERS, clear},
};

static void adapt_entry(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine)
{
    for (size_t i = 0; i < array_size(adaptations); i++) {
        if (adaptations[i].leaf == entry->function)
            adaptations[i].adapt(entry, machine);
    }
}

// Leaves that describe the host's topology, or that are written anew below.
static bool dropped(uint32_t leaf)
{
    return leaf == LEAF_TOPOLOGY || leaf == LEAF_TOPOLOGY_2 || leaf == LEAF_KVM_FREQUENCY;
}

static void drop_entries(struct cpuid_table *table)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < table->header.nent; i++) {
        if (!dropped(table->entries[i].function))
            table->entries[kept++] = table->entries[i];
    }
    table->header.nent = kept;
}

static int append(struct cpuid_table *table, const struct kvm_cpuid_entry2 *entry)
{
    if (table->header.nent >= CPUID_ENTRIES_MAX)
        return -ENOSPC;
    table->entries[table->header.nent++] = *entry;
    return 0;
}

// SDM volume 2, leaf 0BH: level 0 are the threads of a core, level 1 the cores of the package;
// level 2 ends the list and still names the APIC id.
static int append_topology(struct cpuid_table *table, uint32_t leaf,
                           const struct cpuid_machine *machine)
{
    enum { LEVEL_END, LEVEL_THREADS, LEVEL_CORES };
    const struct {
        unsigned bits;
        unsigned processors;
        unsigned type;
    } levels[] = {
        {0, 1, LEVEL_THREADS},
        {core_bits(machine->total), machine->total, LEVEL_CORES},
        {0, 0, LEVEL_END},
    };
    int error = 0;

    for (uint32_t i = 0; i < array_size(levels) && error == 0; i++) {
        error = append(table, &(struct kvm_cpuid_entry2){
                                  .function = leaf,
                                  .index = i,
                                  .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
                                  .eax = levels[i].bits,
                                  .ebx = levels[i].processors,
                                  .ecx = levels[i].type << 8 | i,
                                  .edx = machine->index,
                              });
    }
    return error;
}

static uint32_t highest_leaf(const struct cpuid_table *table)
{
    for (uint32_t i = 0; i < table->header.nent; i++) {
        if (table->entries[i].function == LEAF_MAX)
            return table->entries[i].eax;
    }
    return 0;
}

// Frequencies in kHz, so that a guest need not measure them (the numbers that other hypervisors use
// for the same).
static int append_frequency(struct cpuid_table *table, const struct cpuid_machine *machine)
{
    return append(table, &(struct kvm_cpuid_entry2){.function = LEAF_KVM_FREQUENCY,
                                                    .eax = machine->tsc_khz,
                                                    .ebx = APIC_BUS_KHZ});
}

int cpuid_adapt(struct cpuid_table *table, const struct cpuid_machine *machine)
{
    uint32_t highest;
    int error = 0;

    if (table->header.nent > CPUID_ENTRIES_MAX)
        return -ENOSPC;
    drop_entries(table);
    for (uint32_t i = 0; i < table->header.nent; i++)
        adapt_entry(&table->entries[i], machine);
    highest = highest_leaf(table);
    if (highest >= LEAF_TOPOLOGY)
        error = append_topology(table, LEAF_TOPOLOGY, machine);
    if (error == 0 && highest >= LEAF_TOPOLOGY_2)
        error = append_topology(table, LEAF_TOPOLOGY_2, machine);
    return error ? error : append_frequency(table, machine);
}
