// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// libFuzzer target: any bytes as a kernel file. Whatever they are, the answer is a place inside
// guest memory where the guest begins, or one line that says what is wrong. The same bytes are
// searched for notes, so that the search is reached without a whole ELF file.
#include "main/boot/boot.h"
#include "main/boot/elf_kernel.h"
#include "main/machine/layout.h"
#include "memory/guest_access.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FUZZ_MEMORY (UINT64_C(64) << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct fuzz_file {
    const uint8_t *bytes;
    size_t length;
};

static void check(int holds)
{
    if (!holds)
        abort();
}

static ssize_t fuzz_read(const void *context, const struct iovec *pieces, int count,
                         uint64_t offset)
{
    const struct fuzz_file *file = context;
    ssize_t done = 0;

    for (int i = 0; i < count && offset < file->length; i++) {
        size_t left = file->length - offset;
        size_t run = pieces[i].iov_len < left ? pieces[i].iov_len : left;

        memcpy(pieces[i].iov_base, file->bytes + offset, run);
        offset += run;
        done += (ssize_t)run;
    }
    return done;
}

static const struct guest_memory *fuzz_memory(void)
{
    static struct guest_memory *memory;
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned count = guest_memory_layout(FUZZ_MEMORY, MACHINE_HOLE_START, regions);
    int fd;

    if (memory != NULL)
        return memory;
    fd = guest_memory_create(FUZZ_MEMORY);
    check(fd >= 0 && guest_memory_map(fd, regions, count, &memory) == 0);
    close(fd);
    return memory;
}

static void check_state(const struct guest_memory *memory, const struct boot_state *state)
{
    check(state->protocol == BOOT_LINUX64 || state->protocol == BOOT_PVH);
    check(state->entry >= 1u << 20 && guest_range_ok(memory, guest_address(state->entry), 1));
    check(guest_range_ok(memory, guest_address(state->argument), 56));
    if (state->protocol == BOOT_PVH)
        return;
    check(guest_range_ok(memory, guest_address(state->page_tables), UINT64_C(6) * GUEST_PAGE_SIZE));
    check(guest_range_ok(memory, guest_address(state->gdt), 32));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const struct fuzz_file file = {.bytes = bytes, .length = length};
    const struct boot_image kernel = {
        .name = "kernel", .size = length, .read = fuzz_read, .context = &file};
    struct boot_image initrd = kernel;
    const struct boot_request request = {
        .memory = fuzz_memory(),
        .cpus = 1,
        .cmdline = "quiet",
        .kernel = &kernel,
        .initrd = &initrd,
    };
    struct boot_failure failure = {{0}};
    struct boot_state state;
    uint32_t entry;

    initrd.name = "initrd";
    if (boot_load(&request, &state, &failure) == 0)
        check_state(request.memory, &state);
    else
        check(failure.text[0] != '\0' && memchr(failure.text, '\0', sizeof(failure.text)) != NULL);
    elf_find_pvh_entry(bytes, length, 4, &entry);
    elf_find_pvh_entry(bytes, length, 8, &entry);
    return 0;
}
