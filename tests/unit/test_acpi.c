// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// ACPI tables: found as an operating system finds them, from the RSDP on; every checksum and
// length; and the DSDT as ACPICA's own disassembler and compiler read it.
#include "tests/unit/boot_fixture.h"

#include "main/boot/acpi.h"
#include "main/boot/aml.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#define BASE 0xe0000u

struct tables {
    uint8_t bytes[ACPI_TABLES_MAX];
    size_t length;
};

static const struct acpi_machine full_machine = {
    .cpus = 16,
    .has_serial = true,
    .has_rtc = true,
    .mmio64_base = 5 * GIB,
};

static void build(struct tables *tables, const struct acpi_machine *machine)
{
    ssize_t length = acpi_build(machine, BASE, tables->bytes, sizeof(tables->bytes));

    assert_true(length > 0);
    tables->length = (size_t)length;
}

static uint64_t get(const uint8_t *bytes, size_t offset, unsigned width)
{
    uint64_t value = 0;

    memcpy(&value, bytes + offset, width);
    return value;
}

static uint8_t sum(const uint8_t *bytes, size_t length)
{
    uint8_t total = 0;

    for (size_t i = 0; i < length; i++)
        total = (uint8_t)(total + bytes[i]);
    return total;
}

// The table at a guest-physical address: inside what was written, with a right sum.
static const uint8_t *table_at(const struct tables *tables, uint64_t address, const char *signature)
{
    const uint8_t *table;

    assert_in_range(address, BASE + 36, BASE + tables->length - 36);
    table = tables->bytes + (address - BASE);
    assert_memory_equal(table, signature, 4);
    assert_in_range(get(table, 4, 4), 36, BASE + tables->length - address);
    assert_int_equal(sum(table, get(table, 4, 4)), 0);
    return table;
}

static const uint8_t *find_table(const struct tables *tables, const char *signature)
{
    const uint8_t *xsdt = table_at(tables, get(tables->bytes, 24, 8), "XSDT");
    size_t count = (get(xsdt, 4, 4) - 36) / 8;

    for (size_t i = 0; i < count; i++) {
        uint64_t address = get(xsdt, 36 + i * 8, 8);

        if (memcmp(tables->bytes + (address - BASE), signature, 4) == 0)
            return table_at(tables, address, signature);
    }
    fail_msg("the XSDT names no %s", signature);
    return NULL;
}

static void rsdp_is_found_and_right(void **unused)
{
    struct tables tables;

    (void)unused;
    build(&tables, &full_machine);
    assert_memory_equal(tables.bytes, "RSD PTR ", 8);
    assert_int_equal(sum(tables.bytes, 20), 0);
    assert_int_equal(sum(tables.bytes, 36), 0);
    assert_int_equal(get(tables.bytes, 20, 4), 36);
    assert_int_equal(tables.bytes[15], 2);
}

static void fadt_is_hardware_reduced(void **unused)
{
    struct acpi_machine machine = full_machine;
    struct tables tables;
    const uint8_t *fadt;

    (void)unused;
    build(&tables, &machine);
    fadt = find_table(&tables, "FACP");
    assert_int_equal(get(fadt, 4, 4), 276);
    assert_int_equal(get(fadt, 112, 4) & (1u << 20 | 1u << 10), 1u << 20 | 1u << 10);
    // Reset, sleep control and sleep status: system I/O, one byte each.
    assert_int_equal(get(fadt, 116, 4), 0x01000801);
    assert_int_equal(get(fadt, 120, 8), MACHINE_PORT_RESET);
    assert_int_equal(fadt[128], MACHINE_RESET_VALUE);
    assert_int_equal(get(fadt, 248, 8), MACHINE_PORT_SLEEP_CONTROL);
    assert_int_equal(get(fadt, 260, 8), MACHINE_PORT_SLEEP_STATUS);
    // No VGA, no i8042; MSI works; a clock.
    assert_int_equal(get(fadt, 109, 2), 1u << 2);
    table_at(&tables, get(fadt, 140, 8), "DSDT");

    machine.has_rtc = false;
    build(&tables, &machine);
    assert_int_equal(get(find_table(&tables, "FACP"), 109, 2), 1u << 2 | 1u << 5);
}

static void madt_has_each_cpu_once(void **unused)
{
    (void)unused;
    for (unsigned cpus = 1; cpus <= VCPUS_MAX; cpus++) {
        const struct acpi_machine machine = {.cpus = cpus, .mmio64_base = 4 * GIB};
        struct tables tables;
        const uint8_t *madt;
        unsigned found = 0;
        unsigned ioapics = 0;
        size_t at = 44;

        build(&tables, &machine);
        madt = find_table(&tables, "APIC");
        assert_int_equal(get(madt, 36, 4), MACHINE_LAPIC_BASE);
        while (at < get(madt, 4, 4)) {
            if (madt[at] == 0) {
                assert_int_equal(madt[at + 3], found++);
                assert_int_equal(get(madt, at + 4, 4), 1);
            }
            if (madt[at] == 1) {
                assert_int_equal(get(madt, at + 4, 4), MACHINE_IOAPIC_BASE);
                ioapics++;
            }
            assert_true(madt[at + 1] >= 6);
            at += madt[at + 1];
        }
        assert_int_equal(at, get(madt, 4, 4));
        assert_int_equal(found, cpus);
        assert_int_equal(ioapics, 1);
    }
}

static void mcfg_names_the_ecam(void **unused)
{
    struct tables tables;
    const uint8_t *mcfg;

    (void)unused;
    build(&tables, &full_machine);
    mcfg = find_table(&tables, "MCFG");
    assert_int_equal(get(mcfg, 44, 8), MACHINE_ECAM_BASE);
    assert_int_equal(mcfg[54], 0);
    assert_int_equal(mcfg[55], 0);
}

static void too_little_room_is_an_error_and_nothing_is_written_behind_it(void **unused)
{
    struct tables tables;
    struct acpi_machine machine = full_machine;

    (void)unused;
    build(&tables, &full_machine);
    for (size_t room = 0; room < tables.length; room++) {
        uint8_t *bytes = malloc(room + 1);

        assert_non_null(bytes);
        bytes[room] = 0xa5;
        assert_int_equal(acpi_build(&full_machine, BASE, bytes, room), -ENOSPC);
        assert_int_equal(bytes[room], 0xa5);
        free(bytes);
    }
    machine.cpus = VCPUS_MAX + 1;
    assert_int_equal(acpi_build(&machine, BASE, tables.bytes, sizeof(tables.bytes)), -EINVAL);
    machine.cpus = 0;
    assert_int_equal(acpi_build(&machine, BASE, tables.bytes, sizeof(tables.bytes)), -EINVAL);
}

// Package lengths at the borders of their encodings: the length counts its own bytes.
static void package_lengths_are_right_at_their_borders(void **unused)
{
    static const struct {
        size_t body;
        size_t encoded;
        uint8_t first;
        uint8_t second;
    } cases[] = {{62, 1, 63, 0}, {63, 2, 0x41, 4}, {4093, 2, 0x4f, 0xff}, {4094, 3, 0x81, 0x00}};
    static uint8_t bytes[8192];
    static const uint8_t body[4094];

    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct aml aml = {.bytes = bytes, .room = sizeof(bytes)};
        size_t mark = aml_begin(&aml, AML_SCOPE);

        aml_bytes(&aml, body, cases[i].body);
        aml_end(&aml, mark);
        assert_int_equal(aml.length, 1 + cases[i].encoded + cases[i].body);
        assert_int_equal(bytes[1], cases[i].first);
        if (cases[i].encoded > 1)
            assert_int_equal(bytes[2], cases[i].second);
    }
}

static void mmio64_window_is_above_memory(void **unused)
{
    (void)unused;
    assert_int_equal(machine_mmio64_base(64 * MIB), 4 * GIB);
    assert_int_equal(machine_mmio64_base(4 * GIB), 4 * GIB);
    assert_int_equal(machine_mmio64_base(4 * GIB + 1), 5 * GIB);
    assert_int_equal(machine_mmio64_base(5 * GIB), 5 * GIB);
}

static void write_file(const char *path, const uint8_t *bytes, size_t length)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

// Words that the disassembler must have understood, whatever devices there are.
static const char *const dsdt_words[] = {
    "PNP0A08",
    "PNP0A03",
    "PNP0C02",
    "QEMU0001",
    "PNP0C0C",
    "ACPI0013",
    "33db4d5b-1ff7-401c-9657-7441c03dd766",
    "0x0000000140000000",
    "0x000000113FFFFFFF",
    "0xE0000000",
    "0xC0000000",
    "0xDFFFFFFF",
    "Notify (PWRB, 0x80)",
    "OperationRegion (EVTR, SystemIO, 0x0604, One)",
    "Package (0x04)",
};

// Runs iasl with these arguments in `directory`: its exit status, or -1 when there is none.
static int run_iasl(const char *directory, const char *const *arguments)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        int log = -1;

        if (chdir(directory) == 0)
            log = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log >= 0 && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0)
            execvp("iasl", (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

// To words, and back to AML too: the compiler checks more than the disassembler.
static char *disassemble(const char *directory)
{
    static const char *const decode[] = {"iasl", "-we", "-d", "dsdt.aml", NULL};
    static const char *const encode[] = {"iasl", "-we", "-p", "again", "dsdt.dsl", NULL};
    static char text[65536];
    char path[128];
    FILE *file;
    size_t length;

    if (run_iasl(directory, decode) != 0 || run_iasl(directory, encode) != 0)
        fail_msg("iasl refuses the DSDT: see %s/log", directory);
    snprintf(path, sizeof(path), "%s/dsdt.dsl", directory);
    file = fopen(path, "r");
    assert_non_null(file);
    length = fread(text, 1, sizeof(text) - 1, file);
    text[length] = '\0';
    fclose(file);
    return text;
}

static void check_dsdt(const char *directory, bool has_serial, bool has_rtc)
{
    struct acpi_machine machine = full_machine;
    struct tables tables;
    const uint8_t *dsdt;
    const char *text;
    char path[64];

    machine.has_serial = has_serial;
    machine.has_rtc = has_rtc;
    build(&tables, &machine);
    dsdt = table_at(&tables, get(find_table(&tables, "FACP"), 140, 8), "DSDT");
    snprintf(path, sizeof(path), "%s/dsdt.aml", directory);
    write_file(path, dsdt, get(dsdt, 4, 4));
    text = disassemble(directory);
    assert_int_equal(strstr(text, "PNP0501") != NULL, has_serial);
    assert_int_equal(strstr(text, "PNP0B00") != NULL, has_rtc);
    for (size_t i = 0; i < sizeof(dsdt_words) / sizeof(dsdt_words[0]); i++)
        if (strstr(text, dsdt_words[i]) == NULL)
            fail_msg("the DSDT lacks %s", dsdt_words[i]);
}

static void dsdt_satisfies_acpica(void **unused)
{
    static const char *const version[] = {"iasl", "-v", NULL};
    static const char *const files[] = {"dsdt.aml", "dsdt.dsl", "again.aml", "log"};
    char directory[] = "/tmp/bulkhead-acpi-XXXXXX";
    bool is_there;

    (void)unused;
    assert_non_null(mkdtemp(directory));
    is_there = run_iasl(directory, version) == 0;
    for (unsigned devices = 0; devices < 4 && is_there; devices++)
        check_dsdt(directory, devices & 1, devices & 2);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[64];

        snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(directory), 0);
    if (!is_there) {
        print_message("skip: iasl (package acpica-tools) is not installed\n");
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsdp_is_found_and_right),
        cmocka_unit_test(fadt_is_hardware_reduced),
        cmocka_unit_test(madt_has_each_cpu_once),
        cmocka_unit_test(mcfg_names_the_ecam),
        cmocka_unit_test(too_little_room_is_an_error_and_nothing_is_written_behind_it),
        cmocka_unit_test(package_lengths_are_right_at_their_borders),
        cmocka_unit_test(mmio64_window_is_above_memory),
        cmocka_unit_test(dsdt_satisfies_acpica),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
