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

static struct boot_state load(const struct guest_memory *memory, const struct boot_file *file)
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

    assert_int_equal(boot_image_of_file(&kernel, "kernel", file, &failure), 0);
    assert_int_equal(boot_image_of_file(&initrd, "initrd", file, &failure), 0);
    if (boot_load(&request, &state, &failure) != 0)
        fail_msg("%s", failure.text);
    return state;
}

static void check_bzimage(const struct mapped *file, bool by_transfer)
{
    int memory_fd;
    struct guest_memory *memory = fixture_memory_file(256 * MIB, &memory_fd);
    const struct boot_file kernel = {file->fd, by_transfer ? memory_fd : -1};
    struct boot_state state = load(memory, &kernel);
    struct linux_boot_params params;
    size_t setup;

    assert_int_equal(state.protocol, BOOT_LINUX64);
    assert_int_equal(guest_read(memory, guest_address(state.argument), &params, sizeof(params)), 0);
    setup = (params.header.setup_sects + UINT64_C(1)) * 512;
    assert_guest_bytes(memory, state.entry - 0x200, file->bytes + setup,
                       (size_t)params.header.syssize * 16);
    assert_int_equal(params.header.ramdisk_size, file->size);
    assert_guest_bytes(memory, params.header.ramdisk_image, file->bytes, file->size);
    guest_memory_unmap(memory);
    close(memory_fd);
}

static void bzimage_of_debian_is_loaded(void **unused)
{
    struct mapped file = open_kernel(KERNELS "vmlinuz");

    (void)unused;
    check_bzimage(&file, true);
    check_bzimage(&file, false);
    close_kernel(&file);
}

static void vmlinux_of_debian_is_loaded(void **unused)
{
    struct mapped file = open_kernel(KERNELS "vmlinux");
    int memory_fd;
    struct guest_memory *memory = fixture_memory_file(256 * MIB, &memory_fd);
    const struct boot_file kernel = {file.fd, memory_fd};
    struct boot_state state = load(memory, &kernel);
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
    close(memory_fd);
    close_kernel(&file);
}

// sendfile writes by the file's offsets, which are not guest addresses above the hole.
static void transfers_reach_the_right_region(void **unused)
{
    static const uint64_t targets[] = {2 * MIB, 3 * GIB - 4096, 4 * GIB, 4 * GIB + 8192};
    uint8_t bytes[4096];
    struct boot_failure failure = {{0}};
    struct boot_file file = {.fd = memfd_create("image", MFD_CLOEXEC)};
    struct guest_memory *memory = fixture_memory_file(3 * GIB + 64 * MIB, &file.memory_fd);
    struct boot_image image;

    (void)unused;
    fill_pattern(bytes, sizeof(bytes), 3);
    assert_int_equal(write(file.fd, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(boot_image_of_file(&image, "initrd", &file, &failure), 0);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        assert_int_equal(boot_image_load(&image, 100, memory, guest_address(targets[i] + 16),
                                         4000 - 16, &failure),
                         0);
        assert_guest_bytes(memory, targets[i] + 16, bytes + 100, 4000 - 16);
    }
    assert_int_equal(boot_image_load(&image, 0, memory, guest_address(3 * GIB - 8), 16, &failure),
                     -EFAULT);
    assert_int_equal(boot_image_load(&image, 4090, memory, guest_address(MIB), 7, &failure),
                     -ENODATA);
    guest_memory_unmap(memory);
    close(file.memory_fd);
    close(file.fd);
}

static void what_is_not_a_file_is_refused(void **unused)
{
    struct boot_failure failure = {{0}};
    struct boot_image image;
    int fds[2];

    (void)unused;
    assert_int_equal(pipe(fds), 0);
    struct boot_file file = {fds[0], -1};
    assert_refused("pipe", boot_image_of_file(&image, "kernel", &file, &failure), &failure, -EINVAL,
                   "not a regular file");
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(boot_image_of_file(&image, "kernel", &file, &failure), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bzimage_of_debian_is_loaded),
        cmocka_unit_test(vmlinux_of_debian_is_loaded),
        cmocka_unit_test(transfers_reach_the_right_region),
        cmocka_unit_test(what_is_not_a_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
