// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The steps from a kernel file to a machine that can start, in their order: format, kernel, initrd,
// command line, ACPI, reset vector, the protocol's data.
#include "main/boot/boot.h"

#include "ipc/cleanup.h"
#include "main/boot/acpi.h"
#include "main/boot/boot_kernel.h"
#include "main/boot/boot_layout.h"
#include "main/machine/layout.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const struct boot_format *const formats[] = {&bzimage_format, &elf_format};

static unsigned long long mib(uint64_t bytes)
{
    return (bytes + (1u << 20) - 1) >> 20;
}

int boot_kernel_too_large(const struct boot *boot, uint64_t end)
{
    if (end > MACHINE_HOLE_START)
        return boot_fail(boot->failure, -E2BIG,
                         "kernel needs memory up to %llu MiB, a VM has at most %llu MiB below the "
                         "devices; give a smaller kernel",
                         mib(end), mib(MACHINE_HOLE_START));
    return boot_fail(boot->failure, -E2BIG,
                     "kernel needs memory up to %llu MiB, the VM has %llu MiB; give it more "
                     "(--memory)",
                     mib(end), mib(boot->map.low_end));
}

int boot_write(const struct boot *boot, uint64_t address, const void *bytes, size_t length)
{
    if (guest_write(boot->request->memory, guest_address(address), bytes, length) < 0)
        return boot_fail(boot->failure, -EFAULT,
                         "boot data has no place at 0x%llx; give the VM more memory (--memory)",
                         (unsigned long long)address);
    return 0;
}

static int read_head(struct boot *boot)
{
    const struct boot_image *kernel = boot->request->kernel;

    boot->head_length = kernel->size < sizeof(boot->head) ? kernel->size : sizeof(boot->head);
    return boot_image_read(kernel, 0, boot->head, boot->head_length, boot->failure);
}

// NULL: none, with the line for the user.
static const struct boot_format *recognise(const struct boot *boot)
{
    for (size_t i = 0; i < array_size(formats); i++)
        if (formats[i]->recognise(boot->head, boot->head_length))
            return formats[i];
    boot_fail(
        boot->failure, -ENOEXEC,
        "kernel is not a kernel: neither a bzImage nor an ELF file; give a vmlinuz or vmlinux "
        "(often in /boot)");
    return NULL;
}

// As high as memory and kernel allow: what lies low is dear to kernels.
static int load_initrd(struct boot *boot)
{
    const struct boot_image *initrd = boot->request->initrd;
    uint64_t limit =
        boot->initrd_limit < boot->map.low_end ? boot->initrd_limit : boot->map.low_end;
    uint64_t start;

    if (initrd == NULL)
        return 0;
    if (initrd->size == 0)
        return boot_fail(boot->failure, -ENODATA,
                         "initrd is empty; give another file, or none (leave --initrd out)");
    start = (limit - initrd->size) & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    if (initrd->size > limit || start < boot->kernel_end)
        return boot_fail(
            boot->failure, -E2BIG,
            "initrd has %llu MiB, only %llu MiB of memory are free beside the kernel; "
            "give the VM more (--memory) or a smaller initrd",
            mib(initrd->size),
            limit > boot->kernel_end ? (unsigned long long)(limit - boot->kernel_end) >> 20 : 0);
    boot->initrd_start = start;
    boot->initrd_size = initrd->size;
    return boot_image_load(initrd, 0, boot->request->memory, guest_address(start), initrd->size,
                           boot->failure);
}

static int write_cmdline(struct boot *boot)
{
    const char *cmdline = boot->request->cmdline;
    size_t length = strlen(cmdline);
    uint64_t max =
        boot->cmdline_max < BOOT_CMDLINE_ROOM ? boot->cmdline_max : BOOT_CMDLINE_ROOM - 1;

    if (length > max)
        return boot_fail(boot->failure, -E2BIG,
                         "command line has %zu bytes, the kernel takes %llu; shorten --cmdline",
                         length, (unsigned long long)max);
    return boot_write(boot, BOOT_CMDLINE, cmdline, length + 1);
}

static int write_acpi(struct boot *boot)
{
    const struct acpi_machine machine = {
        .cpus = boot->request->cpus,
        .has_serial = boot->request->has_serial,
        .has_rtc = boot->request->has_rtc,
        .mmio64_base = machine_mmio64_base(boot->map.top),
    };
    uint8_t tables[ACPI_TABLES_MAX];
    ssize_t length = acpi_build(&machine, BOOT_ACPI, tables, sizeof(tables));

    static_assert(ACPI_TABLES_MAX <= BOOT_ACPI_ROOM, "tables fit below 1 MiB");
    if (length < 0)
        return boot_fail(boot->failure, (int)length,
                         "ACPI tables cannot describe %u vCPUs; give fewer "
                         "(--cpus)",
                         boot->request->cpus);
    boot->rsdp = BOOT_ACPI;
    return boot_write(boot, BOOT_ACPI, tables, (size_t)length);
}

// Linux on hardware-reduced ACPI believes in EFI for a reboot, finds none, and as its last resort
// jumps to the firmware in real mode (arch/x86/kernel/reboot.c, BOOT_BIOS) without a look at the
// FADT's reset register. So the firmware's first instruction is there, and resets.
static int write_reset_vector(struct boot *boot)
{
    static const uint8_t code[] = {
        0xba,
        MACHINE_PORT_RESET & 0xff,
        MACHINE_PORT_RESET >> 8, // mov $MACHINE_PORT_RESET, %dx
        0xb0,
        MACHINE_RESET_VALUE, // mov $MACHINE_RESET_VALUE, %al
        0xee,                // out %al, %dx
        0xf4,                // hlt
        0xeb,
        0xfd, // jmp to the hlt
    };

    static_assert(BOOT_ACPI + ACPI_TABLES_MAX <= BOOT_RESET_VECTOR, "behind the tables");
    static_assert(BOOT_RESET_VECTOR + sizeof(code) <= BOOT_ACPI + BOOT_ACPI_ROOM, "reserved");
    return boot_write(boot, BOOT_RESET_VECTOR, code, sizeof(code));
}

int boot_load(const struct boot_request *request, struct boot_state *state,
              struct boot_failure *failure)
{
    struct boot boot = {.request = request, .failure = failure};
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned count = guest_memory_regions(request->memory, regions);
    const struct boot_format *format;
    int error = boot_map_make(&boot.map, regions, count, failure);

    if (error == 0)
        error = read_head(&boot);
    if (error < 0)
        return error;
    format = recognise(&boot);
    if (format == NULL)
        return -ENOEXEC;
    error = format->load(&boot);
    if (error == 0)
        error = load_initrd(&boot);
    if (error == 0)
        error = write_cmdline(&boot);
    if (error == 0)
        error = write_acpi(&boot);
    if (error == 0)
        error = write_reset_vector(&boot);
    if (error < 0)
        return error;
    *state = (struct boot_state){.protocol = format->protocol, .entry = boot.entry};
    return format->describe(&boot, state);
}
