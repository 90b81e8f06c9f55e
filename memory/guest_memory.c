// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Makes and maps guest memory. The regions come from the coordinator or the warden, which are
// trusted; they are checked all the same, since a mistake here would be an escape.
#include "memory/guest_memory.h"

#include "ipc/cleanup.h"
#include "memory/guest_memory_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define FOUR_GIB (UINT64_C(1) << 32)

int guest_memory_create(uint64_t size)
{
    _cleanup_fd_
    int fd = memfd_create("guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    if (size > INT64_MAX || ftruncate(fd, (off_t)size) < 0)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    return steal_fd(&fd);
}

unsigned guest_memory_layout(uint64_t size, uint64_t hole_start,
                             struct guest_region regions[GUEST_REGIONS_MAX])
{
    regions[0] = (struct guest_region){.size = size < hole_start ? size : hole_start};
    if (size <= hole_start)
        return 1;
    regions[1] = (struct guest_region){
        .guest_address = FOUR_GIB,
        .size = size - hole_start,
        .offset = hole_start,
    };
    return 2;
}

static int check_file(int fd, uint64_t *size)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat status;

    if (seals < 0 || fstat(fd, &status) < 0)
        return -errno;
    if ((seals & F_SEAL_SHRINK) == 0)
        return -EPERM;
    *size = (uint64_t)status.st_size;
    return 0;
}

static bool aligned(uint64_t value)
{
    return value % GUEST_PAGE_SIZE == 0;
}

// Sets *end to where the next region may begin.
static bool region_ok(const struct guest_region *region, uint64_t file_size, uint64_t *end)
{
    uint64_t guest_end;
    uint64_t file_end;

    if (region->size == 0 || !aligned(region->size) || !aligned(region->guest_address) ||
        !aligned(region->offset))
        return false;
    if (__builtin_add_overflow(region->guest_address, region->size, &guest_end) ||
        __builtin_add_overflow(region->offset, region->size, &file_end))
        return false;
    if (region->guest_address < *end || file_end > file_size)
        return false;
    *end = guest_end;
    return true;
}

static int map_region(int fd, const struct guest_region *region, uint8_t **host)
{
    void *at = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                    (off_t)region->offset);

    if (at == MAP_FAILED)
        return -errno;
    madvise(at, region->size, MADV_DONTFORK);
    madvise(at, region->size, MADV_DONTDUMP);
    *host = at;
    return 0;
}

int guest_memory_map(int fd, const struct guest_region *regions, unsigned count,
                     struct guest_memory **out)
{
    static struct guest_memory memory;
    uint64_t file_size;
    uint64_t end = 0;
    int error = check_file(fd, &file_size);

    if (error < 0)
        return error;
    if (count == 0 || count > GUEST_REGIONS_MAX || memory.count != 0)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++)
        if (!region_ok(&regions[i], file_size, &end))
            return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        error = map_region(fd, &regions[i], &memory.regions[i].host);
        if (error < 0) {
            guest_memory_unmap(&memory);
            return error;
        }
        memory.regions[i].guest = regions[i];
        memory.count = i + 1;
    }
    *out = &memory;
    return 0;
}

void guest_memory_unmap(struct guest_memory *memory)
{
    for (unsigned i = 0; i < memory->count; i++)
        munmap(memory->regions[i].host, memory->regions[i].guest.size);
    memory->count = 0;
}

unsigned guest_memory_regions(const struct guest_memory *memory,
                              struct guest_region regions[GUEST_REGIONS_MAX])
{
    for (unsigned i = 0; i < memory->count; i++)
        regions[i] = memory->regions[i].guest;
    return memory->count;
}

void *guest_memory_host_base(const struct guest_memory *memory, unsigned index)
{
    return index < memory->count ? memory->regions[index].host : NULL;
}
