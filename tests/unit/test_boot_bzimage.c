// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// bzImage: what a good one becomes in guest memory, and that each bad one is refused with a line
// that says why. The image is made here, so that the test runs without a kernel.
#include "tests/unit/boot_fixture.h"

#include "main/boot/bzimage.h"
#include "main/boot/linux_boot.h"

#define SETUP_SIZE 1024u // one setup sector
#define CODE_SIZE 8192u
#define FILE_SIZE (SETUP_SIZE + CODE_SIZE)
#define LOAD_ADDRESS (16 * MIB)
#define INIT_SIZE (8 * MIB)

// Offsets in the file, from the table in boot.rst, not from our struct.
static void make_bzimage(uint8_t file[FILE_SIZE])
{
    fill_pattern(file, FILE_SIZE, 1);
    memset(file + 0x1f1, 0, 0x26c - 0x1f1);
    put(file, 0x1f1, 1, 1);
    put(file, 0x1f4, 4, CODE_SIZE / 16);
    put(file, 0x1fe, 2, 0xaa55);
    put(file, 0x200, 2, 0x6aeb);
    put(file, 0x202, 4, 0x53726448);
    put(file, 0x206, 2, 0x020f);
    put(file, 0x211, 1, 0x01);
    put(file, 0x22c, 4, 0x7fffffff);
    put(file, 0x230, 4, 2 * MIB);
    put(file, 0x234, 1, 1);
    put(file, 0x236, 2, 0x01);
    put(file, 0x238, 4, 2047);
    put(file, 0x248, 4, 0x400);
    put(file, 0x24c, 4, 0x1000);
    put(file, 0x250, 8, 0x1234); // setup_data: must not survive
    put(file, 0x258, 8, LOAD_ADDRESS);
    put(file, 0x260, 4, INIT_SIZE);
}

struct setup {
    uint8_t bytes[FILE_SIZE];
    uint8_t initrd_bytes[10000];
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
    make_bzimage(setup->bytes);
    fill_pattern(setup->initrd_bytes, sizeof(setup->initrd_bytes), 99);
    setup->file = (struct bytes_file){.bytes = setup->bytes, .size = FILE_SIZE};
    setup->initrd_file =
        (struct bytes_file){.bytes = setup->initrd_bytes, .size = sizeof(setup->initrd_bytes)};
    setup->kernel = bytes_image("kernel", &setup->file);
    setup->initrd = bytes_image("initrd", &setup->initrd_file);
    setup->request = (struct boot_request){
        .memory = fixture_memory(memory_size),
        .cpus = 2,
        .has_serial = true,
        .cmdline = "console=ttyS0 quiet",
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

static struct linux_boot_params read_params(const struct setup *setup)
{
    struct linux_boot_params params;

    assert_int_equal(guest_read(setup->request.memory, guest_address(setup->state.argument),
                                &params, sizeof(params)),
                     0);
    return params;
}

static void kernel_and_initrd_are_in_memory(void **unused)
{
    struct setup setup;
    struct linux_boot_params params;

    (void)unused;
    prepare(&setup, 128 * MIB);
    setup.file.read_max = 1000; // short reads are continued
    setup.initrd_file.read_max = 4097;
    assert_int_equal(load(&setup), 0);
    assert_int_equal(setup.state.protocol, BOOT_LINUX64);
    assert_int_equal(setup.state.entry, LOAD_ADDRESS + 0x200);
    assert_guest_bytes(setup.request.memory, LOAD_ADDRESS, setup.bytes + SETUP_SIZE, CODE_SIZE);

    params = read_params(&setup);
    assert_int_equal(params.header.ramdisk_size, sizeof(setup.initrd_bytes));
    // As high as possible: 10,000 bytes are three pages.
    assert_int_equal(params.header.ramdisk_image, 128 * MIB - 3 * PAGE);
    assert_guest_bytes(setup.request.memory, params.header.ramdisk_image, setup.initrd_bytes,
                       sizeof(setup.initrd_bytes));
    finish(&setup);
}

static void zero_page_is_what_the_protocol_asks(void **unused)
{
    struct setup setup;
    struct linux_boot_params params;
    const uint8_t *raw = (const uint8_t *)&params;

    (void)unused;
    prepare(&setup, 128 * MIB);
    assert_int_equal(load(&setup), 0);
    params = read_params(&setup);
    // By offsets of zero-page.rst and boot.rst.
    assert_int_equal(raw[0x1ef], 0); // sentinel
    assert_int_equal(raw[0x210], 0xff);
    assert_memory_equal(raw + 0x202, "HdrS", 4);
    assert_memory_equal(raw + 0x228, &(uint32_t){BOOT_CMDLINE}, 4);
    assert_memory_equal(raw + 0x070, &(uint64_t){BOOT_ACPI}, 8);
    assert_memory_equal(raw + 0x250, &(uint64_t){0}, 8);
    assert_memory_equal(raw + 0x214, &(uint32_t){LOAD_ADDRESS}, 4);
    assert_guest_bytes(setup.request.memory, BOOT_CMDLINE, (const uint8_t *)"console=ttyS0 quiet",
                       20);
    assert_guest_bytes(setup.request.memory, BOOT_ACPI, (const uint8_t *)"RSD PTR ", 8);
    finish(&setup);
}

// The memory map is ascending and disjoint, covers all memory that is not the firmware's, and names
// no memory that is not there.
static void memory_map_is_true(void **unused)
{
    static const uint64_t sizes[] = {64 * MIB, 3 * GIB, 3 * GIB + 4096, 5 * GIB};

    (void)unused;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct setup setup;
        struct linux_boot_params params;
        uint64_t sum = 0;
        uint64_t end = 0;

        prepare(&setup, sizes[i]);
        assert_int_equal(load(&setup), 0);
        params = read_params(&setup);
        assert_in_range(params.e820_entries, 5, 6);
        for (unsigned j = 0; j < params.e820_entries; j++) {
            struct linux_e820_entry entry = params.e820_table[j];

            assert_true(entry.address >= end && entry.size > 0);
            end = entry.address + entry.size;
            if (entry.type != 1)
                continue;
            assert_true(
                guest_range_ok(setup.request.memory, guest_address(entry.address), entry.size));
            sum += entry.size;
        }
        assert_int_equal(sum, sizes[i] - (0x100000 - 0x9fc00));
        finish(&setup);
    }
}

static uint64_t guest_u64(const struct guest_memory *memory, uint64_t address)
{
    uint64_t value;

    assert_int_equal(guest_read(memory, guest_address(address), &value, sizeof(value)), 0);
    return value;
}

// Walks the tables as a CPU would.
static void page_tables_map_four_gib_to_themselves(void **unused)
{
    struct setup setup;

    (void)unused;
    prepare(&setup, 64 * MIB);
    assert_int_equal(load(&setup), 0);
    for (uint64_t address = 0; address < 4 * GIB; address += 2 * MIB) {
        uint64_t entry = setup.state.page_tables;

        for (unsigned shift = 39; shift >= 21; shift -= 9) {
            uint64_t table = entry & ~UINT64_C(0xfff);

            entry = guest_u64(setup.request.memory, table + (address >> shift & 511) * 8);
            assert_int_equal(entry & 0x3, 0x3);
        }
        assert_int_equal(entry, address | 0x83);
    }
    assert_int_equal(guest_u64(setup.request.memory, setup.state.page_tables + 8), 0);
    // Long-mode code and writable data, where boot.rst wants them.
    assert_int_equal(guest_u64(setup.request.memory, setup.state.gdt + 0x10), 0x00af9b000000ffff);
    assert_int_equal(guest_u64(setup.request.memory, setup.state.gdt + 0x18), 0x00cf93000000ffff);
    finish(&setup);
}

static void initrd_stays_below_the_kernels_limit(void **unused)
{
    struct setup setup;

    (void)unused;
    prepare(&setup, 128 * MIB);
    setup.initrd.size = 2 * PAGE; // its last byte is the highest that is allowed
    put(setup.bytes, 0x22c, 4, 64 * MIB - 1);
    assert_int_equal(load(&setup), 0);
    assert_int_equal(read_params(&setup).header.ramdisk_image, 64 * MIB - 2 * PAGE);
    finish(&setup);

    prepare(&setup, 128 * MIB);
    put(setup.bytes, 0x22c, 4, 64 * MIB - 1);
    put(setup.bytes, 0x236, 2, 0x3); // XLF_CAN_BE_LOADED_ABOVE_4G: the limit is void
    assert_int_equal(load(&setup), 0);
    assert_int_equal(read_params(&setup).header.ramdisk_image, 128 * MIB - 3 * PAGE);
    finish(&setup);
}

static void same_request_gives_same_bytes(void **unused)
{
    static uint8_t first[0x100000];
    struct setup setup;

    (void)unused;
    prepare(&setup, 64 * MIB);
    assert_int_equal(load(&setup), 0);
    assert_int_equal(guest_read(setup.request.memory, guest_address(0), first, sizeof(first)), 0);
    finish(&setup);
    prepare(&setup, 64 * MIB);
    assert_int_equal(load(&setup), 0);
    assert_guest_bytes(setup.request.memory, 0, first, sizeof(first));
    finish(&setup);
}

static const struct refusal refusals[] = {
    {"no boot flag", 0x1fe, 2, 0, -ENOEXEC, "not a kernel"},
    {"no magic", 0x202, 4, 0x53726449, -ENOEXEC, "not a kernel"},
    {"old protocol", 0x206, 2, 0x020b, -ENOEXEC, "boot protocol 2.11"},
    {"32-bit", 0x236, 2, 0x02, -ENOEXEC, "32-bit"},
    {"zImage", 0x211, 1, 0, -ENOEXEC, "zImage"},
    {"longer than the file", 0x1f4, 4, CODE_SIZE / 16 + 1, -ENODATA, "truncated"},
    {"much longer than the file", 0x1f4, 4, UINT32_MAX, -ENODATA, "truncated"},
    {"more setup than file", 0x1f1, 1, 255, -ENODATA, "truncated"},
    {"default setup sectors", 0x1f1, 1, 0, -ENODATA, "truncated"},
    {"no code", 0x1f4, 4, 0x20, -ENOEXEC, "no code"},
    {"payload outside", 0x248, 4, CODE_SIZE, -ENOEXEC, "payload"},
    {"payload wraps", 0x24c, 4, UINT32_MAX, -ENOEXEC, "payload"},
    {"odd alignment", 0x230, 4, 3 * MIB, -ENOEXEC, "aligned"},
    {"unaligned", 0x258, 8, 17 * MIB, -ENOEXEC, "aligned"},
    {"over boot data", 0x258, 8, 0, -ENOEXEC, "impossible"},
    {"above 4 GiB", 0x258, 8, 4 * GIB, -ENOEXEC, "impossible"},
    {"wraps", 0x258, 8, -(2 * MIB), -ENOEXEC, "impossible"},
    {"over the top", 0x260, 4, 48 * MIB + 1, -E2BIG, "needs memory up to 65 MiB, the VM has 64"},
    {"over the hole", 0x260, 4, UINT32_MAX, -E2BIG, "at most 3072 MiB"},
    {"short command line", 0x238, 4, 10, -E2BIG, "has 19 bytes, the kernel takes 10"},
    {"no room for an initrd", 0x260, 4, 48 * MIB - 4096, -E2BIG, "initrd has 1 MiB, only 0 MiB"},
    {"initrd limit below kernel", 0x22c, 4, MIB, -E2BIG, "initrd"},
};

static void bad_images_are_refused_with_cause_and_remedy(void **unused)
{
    struct setup setup;

    (void)unused;
    prepare(&setup, 64 * MIB);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *bad = &refusals[i];

        make_bzimage(setup.bytes);
        put(setup.bytes, bad->offset, bad->width, bad->value);
        assert_refused(bad->name, load(&setup), &setup.failure, bad->error, bad->text);
    }
    make_bzimage(setup.bytes);
    assert_int_equal(load(&setup), 0);
    finish(&setup);
}

static void every_truncation_is_refused(void **unused)
{
    struct setup setup;

    (void)unused;
    prepare(&setup, 64 * MIB);
    for (size_t size = 0; size < FILE_SIZE; size += size < 0x400 ? 1 : 509) {
        setup.file.size = size;
        setup.kernel.size = size;
        assert_refused("short file", load(&setup), &setup.failure,
                       size < 0x26c ? -ENOEXEC : -ENODATA,
                       size < 0x26c ? "not a kernel" : "truncated");
        // The file shrinks behind our back: its size promised more.
        setup.kernel.size = FILE_SIZE;
        assert_refused("shrunk file", load(&setup), &setup.failure, -ENODATA, "truncated");
    }
    finish(&setup);
}

static void bad_initrds_and_reads_are_refused(void **unused)
{
    struct setup setup;

    (void)unused;
    prepare(&setup, 64 * MIB);
    setup.initrd.size = 0;
    assert_refused("empty", load(&setup), &setup.failure, -ENODATA, "initrd is empty");
    setup.initrd.size = 64 * MIB;
    assert_refused("as large as memory", load(&setup), &setup.failure, -E2BIG,
                   "initrd has 64 MiB, only 40 MiB");
    setup.initrd.size = UINT64_MAX;
    assert_refused("huge", load(&setup), &setup.failure, -E2BIG, "initrd has");
    setup.initrd.size = 20000;
    assert_refused("shrunk", load(&setup), &setup.failure, -ENODATA, "initrd is truncated");
    setup.initrd.size = sizeof(setup.initrd_bytes);
    setup.initrd_file.error = -EIO;
    assert_refused("broken", load(&setup), &setup.failure, -EIO, "initrd cannot be read");
    setup.request.initrd = NULL;
    assert_int_equal(load(&setup), 0);
    setup.file.error = -EIO;
    assert_refused("broken", load(&setup), &setup.failure, -EIO, "kernel cannot be read");
    finish(&setup);
}

static void long_command_line_is_refused_at_the_kernels_limit(void **unused)
{
    char cmdline[BOOT_CMDLINE_ROOM + 2];
    struct setup setup;

    (void)unused;
    prepare(&setup, 64 * MIB);
    memset(cmdline, 'x', sizeof(cmdline));
    setup.request.cmdline = cmdline;
    cmdline[2047] = '\0';
    assert_int_equal(load(&setup), 0);
    cmdline[2047] = 'x';
    cmdline[2048] = '\0';
    assert_refused("2048", load(&setup), &setup.failure, -E2BIG, "takes 2047");
    put(setup.bytes, 0x238, 4, UINT32_MAX); // what the kernel promises does not widen our room
    cmdline[2048] = 'x';
    cmdline[BOOT_CMDLINE_ROOM] = '\0';
    assert_refused("room", load(&setup), &setup.failure, -E2BIG, "takes 4095");
    finish(&setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_and_initrd_are_in_memory),
        cmocka_unit_test(zero_page_is_what_the_protocol_asks),
        cmocka_unit_test(memory_map_is_true),
        cmocka_unit_test(page_tables_map_four_gib_to_themselves),
        cmocka_unit_test(initrd_stays_below_the_kernels_limit),
        cmocka_unit_test(same_request_gives_same_bytes),
        cmocka_unit_test(bad_images_are_refused_with_cause_and_remedy),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(bad_initrds_and_reads_are_refused),
        cmocka_unit_test(long_command_line_is_refused_at_the_kernels_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
