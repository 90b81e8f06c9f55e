// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// ELF kernels through PVH: what a good one becomes in guest memory, and that each bad one is
// refused with a line that says why. The kernel is made here.
#include "tests/unit/boot_fixture.h"

#include "main/boot/elf_kernel.h"
#include "main/boot/pvh.h"

#define FILE_SIZE 0x4000u
#define CODE_OFFSET 0x1000u
#define DATA_OFFSET 0x3000u
#define NOTE_OFFSET 0x800u
#define CODE_ADDRESS (16 * MIB)
#define DATA_ADDRESS (18 * MIB)
#define ENTRY (CODE_ADDRESS + 0x123)

// Offsets of a program header's fields in the file.
#define SEGMENT(index, field) (64 + (index) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field))
#define HEADER(field) offsetof(Elf64_Ehdr, field)

enum { CODE, DATA, NOTE, SEGMENTS };

static size_t put_note(uint8_t *bytes, const char *name, uint32_t type, uint32_t size,
                       uint64_t value)
{
    size_t name_size = strlen(name) + 1;
    size_t padded = (name_size + 3) & ~(size_t)3;

    put(bytes, 0, 4, name_size);
    put(bytes, 4, 4, size);
    put(bytes, 8, 4, type);
    memcpy(bytes + 12, name, name_size);
    memset(bytes + 12 + padded, 0, (size + 3) & ~3u);
    put(bytes, 12 + padded, size < 8 ? size : 8, value);
    return 12 + padded + ((size + 3) & ~3u);
}

static size_t put_notes(uint8_t *bytes)
{
    size_t length = put_note(bytes, "GNU", 3, 20, 0); // a build id
    // Linux names the same number for another thing: only Xen's counts.
    length += put_note(bytes + length, "Linux", 18, 4, 0x666);
    length += put_note(bytes + length, "Xen", 6, 6, 0x78756e696c);
    return length + put_note(bytes + length, "Xen", 18, 8, ENTRY);
}

static void make_elf(uint8_t file[FILE_SIZE])
{
    Elf64_Ehdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_phoff = sizeof(header),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = SEGMENTS,
    };
    Elf64_Phdr segments[SEGMENTS] = {
        [CODE] = {.p_type = PT_LOAD,
                  .p_offset = CODE_OFFSET,
                  .p_paddr = CODE_ADDRESS,
                  .p_filesz = 0x2000,
                  .p_memsz = 0x2000},
        [DATA] = {.p_type = PT_LOAD,
                  .p_offset = DATA_OFFSET,
                  .p_paddr = DATA_ADDRESS,
                  .p_filesz = 0x800,
                  .p_memsz = 2 * MIB},
        [NOTE] = {.p_type = PT_NOTE, .p_offset = NOTE_OFFSET, .p_align = 4},
    };

    fill_pattern(file, FILE_SIZE, 5);
    segments[NOTE].p_filesz = put_notes(file + NOTE_OFFSET);
    memcpy(file, &header, sizeof(header));
    memcpy(file + sizeof(header), segments, sizeof(segments));
}

struct setup {
    uint8_t bytes[FILE_SIZE];
    uint8_t initrd_bytes[5000];
    struct bytes_file file;
    struct bytes_file initrd_file;
    struct boot_image kernel;
    struct boot_image initrd;
    struct boot_request request;
    struct boot_state state;
    struct boot_failure failure;
};

static void prepare(struct setup *setup, uint64_t memory_size)
{
    *setup = (struct setup){0};
    make_elf(setup->bytes);
    fill_pattern(setup->initrd_bytes, sizeof(setup->initrd_bytes), 77);
    setup->file = (struct bytes_file){.bytes = setup->bytes, .size = FILE_SIZE};
    setup->initrd_file =
        (struct bytes_file){.bytes = setup->initrd_bytes, .size = sizeof(setup->initrd_bytes)};
    setup->kernel = bytes_image("kernel", &setup->file);
    setup->initrd = bytes_image("initrd", &setup->initrd_file);
    setup->request = (struct boot_request){
        .memory = fixture_memory(memory_size),
        .cpus = 1,
        .cmdline = "root=/dev/vda",
        .kernel = &setup->kernel,
        .initrd = &setup->initrd,
    };
}

static void finish(struct setup *setup)
{
    guest_memory_unmap((struct guest_memory *)(uintptr_t)setup->request.memory);
}

static int load(struct setup *setup)
{
    return boot_load(&setup->request, &setup->state, &setup->failure);
}

static void segments_and_start_info_are_in_memory(void **unused)
{
    struct setup setup;
    struct pvh_start_info info;
    struct pvh_module module;
    const struct guest_memory *memory;

    (void)unused;
    prepare(&setup, 4 * GIB);
    memory = setup.request.memory;
    assert_int_equal(load(&setup), 0);
    assert_int_equal(setup.state.protocol, BOOT_PVH);
    assert_int_equal(setup.state.entry, ENTRY);
    assert_guest_bytes(memory, CODE_ADDRESS, setup.bytes + CODE_OFFSET, 0x2000);
    assert_guest_bytes(memory, DATA_ADDRESS, setup.bytes + DATA_OFFSET, 0x800);

    assert_int_equal(guest_read(memory, guest_address(setup.state.argument), &info, sizeof(info)),
                     0);
    assert_int_equal(info.magic, 0x336ec578);
    assert_int_equal(info.version, 1);
    assert_int_equal(info.rsdp, BOOT_ACPI);
    assert_guest_bytes(memory, info.cmdline, (const uint8_t *)"root=/dev/vda", 14);
    assert_int_equal(info.module_count, 1);
    assert_int_equal(guest_read(memory, guest_address(info.modules), &module, sizeof(module)), 0);
    assert_int_equal(module.address, 3 * GIB - 2 * PAGE);
    assert_int_equal(module.size, sizeof(setup.initrd_bytes));
    assert_guest_bytes(memory, module.address, setup.initrd_bytes, sizeof(setup.initrd_bytes));
    finish(&setup);
}

static void memory_map_counts_all_memory(void **unused)
{
    struct setup setup;
    struct pvh_start_info info;
    uint64_t sum = 0;

    (void)unused;
    prepare(&setup, 4 * GIB);
    setup.request.initrd = NULL;
    assert_int_equal(load(&setup), 0);
    assert_int_equal(
        guest_read(setup.request.memory, guest_address(setup.state.argument), &info, sizeof(info)),
        0);
    assert_int_equal(info.module_count, 0);
    assert_int_equal(info.modules, 0);
    for (unsigned i = 0; i < info.memory_map_entries; i++) {
        struct pvh_memory_map_entry entry;

        assert_int_equal(guest_read(setup.request.memory,
                                    guest_address(info.memory_map + i * sizeof(entry)), &entry,
                                    sizeof(entry)),
                         0);
        sum += entry.type == 1 ? entry.size : 0;
    }
    assert_int_equal(sum, 4 * GIB - (0x100000 - 0x9fc00));
    finish(&setup);
}

static const struct refusal refusals[] = {
    {"32-bit", EI_CLASS, 1, ELFCLASS32, -ENOEXEC, "32-bit"},
    {"big-endian", EI_DATA, 1, ELFDATA2MSB, -ENOEXEC, "another kind of machine"},
    {"another machine", HEADER(e_machine), 2, EM_AARCH64, -ENOEXEC, "another kind of machine"},
    {"object file", HEADER(e_type), 2, ET_REL, -ENOEXEC, "not a program"},
    {"no program headers", HEADER(e_phnum), 2, 0, -ENOEXEC, "program headers"},
    {"too many", HEADER(e_phnum), 2, 65, -ENOEXEC, "program headers"},
    {"odd size", HEADER(e_phentsize), 2, 55, -ENOEXEC, "program headers"},
    {"headers behind the end", HEADER(e_phoff), 8, FILE_SIZE - 100, -ENODATA, "truncated"},
    {"headers wrap", HEADER(e_phoff), 8, -UINT64_C(64), -ENODATA, "truncated"},
    {"more data than memory", SEGMENT(DATA, p_memsz), 8, 0x7ff, -ENOEXEC, "more data than memory"},
    {"data without memory", SEGMENT(DATA, p_memsz), 8, 0, -ENOEXEC, "more data than memory"},
    {"data behind the end", SEGMENT(DATA, p_offset), 8, FILE_SIZE - 0x7ff, -ENODATA, "truncated"},
    {"data wraps", SEGMENT(DATA, p_offset), 8, UINT64_MAX, -ENODATA, "truncated"},
    {"memory wraps", SEGMENT(DATA, p_memsz), 8, UINT64_MAX, -ENOEXEC, "wraps"},
    {"over boot data", SEGMENT(DATA, p_paddr), 8, 0x7000, -ENOEXEC, "below 1 MiB"},
    {"above 4 GiB", SEGMENT(DATA, p_paddr), 8, 4 * GIB, -ENOEXEC, "above 4 GiB"},
    {"in the hole", SEGMENT(DATA, p_paddr), 8, 0xd0000000, -E2BIG, "at most 3072 MiB"},
    {"above memory", SEGMENT(DATA, p_paddr), 8, 63 * MIB, -E2BIG, "up to 65 MiB, the VM has 64"},
    {"same place", SEGMENT(DATA, p_paddr), 8, CODE_ADDRESS, -ENOEXEC, "overlap"},
    {"one byte shared", SEGMENT(DATA, p_paddr), 8, CODE_ADDRESS + 0x1fff, -ENOEXEC, "overlap"},
    {"around another", SEGMENT(DATA, p_paddr), 8, CODE_ADDRESS - MIB, -ENOEXEC, "overlap"},
    {"no notes", SEGMENT(NOTE, p_type), 4, PT_NULL, -ENOEXEC, "without a PVH entry"},
    {"empty notes", SEGMENT(NOTE, p_filesz), 8, 0, -ENOEXEC, "without a PVH entry"},
    {"notes behind the end", SEGMENT(NOTE, p_offset), 8, FILE_SIZE, -ENODATA, "truncated"},
    {"notes wrap", SEGMENT(NOTE, p_offset), 8, UINT64_MAX - 8, -ENODATA, "truncated"},
    {"entry outside", SEGMENT(CODE, p_paddr), 8, CODE_ADDRESS + MIB, -ENOEXEC,
     "entry lies outside"},
    {"entry has no bytes", SEGMENT(CODE, p_filesz), 8, 0x123, -ENOEXEC, "entry lies outside"},
};

static void bad_kernels_are_refused_with_cause_and_remedy(void **unused)
{
    struct setup setup;

    (void)unused;
    prepare(&setup, 64 * MIB);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *bad = &refusals[i];

        make_elf(setup.bytes);
        put(setup.bytes, bad->offset, bad->width, bad->value);
        assert_refused(bad->name, load(&setup), &setup.failure, bad->error, bad->text);
    }
    make_elf(setup.bytes);
    put(setup.bytes, SEGMENT(CODE, p_memsz), 8, 0);
    put(setup.bytes, SEGMENT(CODE, p_filesz), 8, 0);
    put(setup.bytes, SEGMENT(DATA, p_type), 4, PT_NULL);
    assert_refused("nothing to load", load(&setup), &setup.failure, -ENOEXEC, "nothing to load");
    make_elf(setup.bytes);
    assert_int_equal(load(&setup), 0);
    finish(&setup);
}

static void every_truncation_is_refused(void **unused)
{
    struct setup setup;

    (void)unused;
    prepare(&setup, 64 * MIB);
    for (size_t size = 4; size < DATA_OFFSET + 0x800; size += size < 0x400 ? 1 : 509) {
        setup.file.size = size;
        setup.kernel.size = size;
        assert_refused("short file", load(&setup), &setup.failure, -ENODATA, "truncated");
        setup.kernel.size = FILE_SIZE; // it shrinks behind our back
        assert_refused("shrunk file", load(&setup), &setup.failure, -ENODATA, "truncated");
    }
    finish(&setup);
}

static bool find(const uint8_t *bytes, size_t length, uint32_t *entry)
{
    // An exact heap copy: sanitizers see each byte that is read too far.
    uint8_t *copy = malloc(length + (length == 0));
    bool found;

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    found = elf_find_pvh_entry(copy, length, 4, entry);
    free(copy);
    return found;
}

static void damaged_notes_end_the_search(void **unused)
{
    static const uint32_t hostile[] = {0x7fffffff, 0xfffffff0, 0xfffffffd, 0xffffffff};
    uint8_t notes[256];
    size_t length = put_notes(notes);
    uint32_t entry;

    (void)unused;
    assert_true(find(notes, length, &entry));
    assert_int_equal(entry, ENTRY);
    for (size_t cut = 0; cut < length; cut++)
        assert_false(find(notes, cut, &entry));
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
        for (size_t field = 0; field < 8; field += 4) {
            put_notes(notes);
            put(notes, field, 4, hostile[i]);
            assert_false(find(notes, length, &entry));
        }
    // A description of another size is not an entry.
    length = put_note(notes, "Xen", 18, 2, 7);
    assert_false(find(notes, length, &entry));
    length = put_note(notes, "Xen", 18, 4, 0x1000);
    assert_true(find(notes, length, &entry));
    assert_int_equal(entry, 0x1000);
}

// mov $0x602, %dx; mov $1, %al; out %al, %dx; hlt; jmp back to it.
static void the_firmwares_first_instructions_reset(void **unused)
{
    static const uint8_t expected[] = {0xba, 0x02, 0x06, 0xb0, 0x01, 0xee, 0xf4, 0xeb, 0xfd};
    struct setup setup;

    (void)unused;
    prepare(&setup, 64 * MIB);
    assert_int_equal(load(&setup), 0);
    assert_guest_bytes(setup.request.memory, 0xffff0, expected, sizeof(expected));
    finish(&setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_firmwares_first_instructions_reset),
        cmocka_unit_test(segments_and_start_info_are_in_memory),
        cmocka_unit_test(memory_map_counts_all_memory),
        cmocka_unit_test(bad_kernels_are_refused_with_cause_and_remedy),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(damaged_notes_end_the_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
