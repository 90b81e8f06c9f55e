// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The kernels that the VM tests boot, Debian's vmlinuz and the vmlinux out of it, through the
// loader's parsers: read from the files as the loader reads them. Skipped where no kernel has been
// fetched yet.
#include "tests/unit/boot_fixture.h"

#include "main/boot/linux_boot.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define KERNELS "build/cache/kernel/current/"

struct mapped {
    int fd;
    size_t size;
    const uint8_t *bytes;
};

static struct mapped open_kernel(const char *path)
{
    struct mapped file = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    struct stat status;

    if (file.fd < 0) {
        print_message("skip: no %s (make demo fetches it)\n", path);
        skip();
    }
    assert_int_equal(fstat(file.fd, &status), 0);
    file.size = (size_t)status.st_size;
    file.bytes = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    assert_ptr_not_equal(file.bytes, MAP_FAILED);
    return file;
}

static void close_kernel(struct mapped *file)
{
    munmap((void *)(uintptr_t)file->bytes, file->size);
    close(file->fd);
}

static struct boot_state load(const struct guest_memory *memory, const int *fd)
{
    struct boot_failure failure = {{0}};
    struct boot_state state;
    struct boot_image kernel;
    struct boot_image initrd;
    struct boot_request request = {
        .memory = memory,
        .cpus = 1,
        .has_serial = true,
        .has_rtc = true,
        .cmdline = "console=ttyS0",
        .kernel = &kernel,
        .initrd = &initrd, // any file will do: the kernel's again
    };

    assert_int_equal(boot_image_of_file(&kernel, "kernel", fd, &failure), 0);
    assert_int_equal(boot_image_of_file(&initrd, "initrd", fd, &failure), 0);
    if (boot_load(&request, &state, &failure) != 0)
        fail_msg("%s", failure.text);
    return state;
}

static void bzimage_of_debian_is_loaded(void **unused)
{
    struct mapped file = open_kernel(KERNELS "vmlinuz");
    struct guest_memory *memory = fixture_memory(256 * MIB);
    struct boot_state state = load(memory, &file.fd);
    struct linux_boot_params params;
    size_t setup;

    (void)unused;
    assert_int_equal(state.protocol, BOOT_LINUX64);
    assert_int_equal(guest_read(memory, guest_address(state.argument), &params, sizeof(params)), 0);
    setup = (params.header.setup_sects + 1u) * 512u;
    assert_guest_bytes(memory, state.entry - 0x200, file.bytes + setup,
                       (size_t)params.header.syssize * 16);
    assert_int_equal(params.header.ramdisk_size, file.size);
    assert_guest_bytes(memory, params.header.ramdisk_image, file.bytes, file.size);
    guest_memory_unmap(memory);
    close_kernel(&file);
}

static void vmlinux_of_debian_is_loaded(void **unused)
{
    struct mapped file = open_kernel(KERNELS "vmlinux");
    struct guest_memory *memory = fixture_memory(256 * MIB);
    struct boot_state state = load(memory, &file.fd);
    Elf64_Ehdr header;

    (void)unused;
    assert_int_equal(state.protocol, BOOT_PVH);
    memcpy(&header, file.bytes, sizeof(header));
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, file.bytes + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type == PT_LOAD)
            assert_guest_bytes(memory, segment.p_paddr, file.bytes + segment.p_offset,
                               segment.p_filesz);
    }
    guest_memory_unmap(memory);
    close_kernel(&file);
}

static void what_is_not_a_file_is_refused(void **unused)
{
    struct boot_failure failure = {{0}};
    struct boot_image image;
    int fds[2];

    (void)unused;
    assert_int_equal(pipe(fds), 0);
    assert_refused("pipe", boot_image_of_file(&image, "kernel", &fds[0], &failure), &failure,
                   -EINVAL, "not a regular file");
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(boot_image_of_file(&image, "kernel", &fds[0], &failure), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bzimage_of_debian_is_loaded),
        cmocka_unit_test(vmlinux_of_debian_is_loaded),
        cmocka_unit_test(what_is_not_a_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
