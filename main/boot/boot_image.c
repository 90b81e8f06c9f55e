// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Moves kernel and initrd into private buffers (preadv) and guest memory (sendfile, which needs no
// page of memory mapped here, else preadv). Looks at no byte that it moves.
#include "main/boot/boot_image.h"

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

// Bytes of one call: below both the kernel's limit and that of a guest_vector.
#define LOAD_STEP (UINT32_C(1) << 30)

static ssize_t read_file(const void *context, const struct iovec *pieces, int count,
                         uint64_t offset)
{
    const struct boot_file *file = context;
    ssize_t done;

    if (offset > INT64_MAX)
        return -EINVAL;
    do {
        done = preadv(file->fd, pieces, count, (off_t)offset);
    } while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

// sendfile(2) writes at the file position. EINVAL is how file systems say that they cannot.
static ssize_t transfer_file(const void *context, uint64_t offset, uint64_t memory_offset,
                             uint64_t length)
{
    const struct boot_file *file = context;
    off_t from = (off_t)offset;
    ssize_t done;

    if (offset > INT64_MAX || memory_offset > INT64_MAX)
        return -EINVAL;
    if (lseek(file->memory_fd, (off_t)memory_offset, SEEK_SET) < 0)
        return -errno;
    do {
        done = sendfile(file->memory_fd, file->fd, &from, length);
    } while (done < 0 && errno == EINTR);
    if (done < 0)
        return errno == EINVAL ? -EOPNOTSUPP : -errno;
    return done;
}

int boot_image_of_file(struct boot_image *image, const char *name, const struct boot_file *file,
                       struct boot_failure *failure)
{
    struct stat status;

    if (fstat(file->fd, &status) < 0)
        return boot_fail(failure, -errno, "%s cannot be examined: %s", name,
                         strerrordesc_np(errno));
    if (!S_ISREG(status.st_mode))
        return boot_fail(failure, -EINVAL, "%s is not a regular file; give the path of a file",
                         name);
    *image = (struct boot_image){
        .name = name,
        .size = (uint64_t)status.st_size,
        .read = read_file,
        .transfer = file->memory_fd >= 0 ? transfer_file : NULL,
        .context = file,
    };
    return 0;
}

// What a read that did not deliver means for the user.
static int read_failed(const struct boot_image *image, ssize_t result, struct boot_failure *failure)
{
    if (result == 0)
        return boot_fail(failure, -ENODATA,
                         "%s is truncated: it ends before what its header promises; copy it again",
                         image->name);
    return boot_fail(failure, (int)result, "%s cannot be read: %s; check its file system",
                     image->name, strerrordesc_np((int)-result));
}

int boot_image_read(const struct boot_image *image, uint64_t offset, void *to, size_t length,
                    struct boot_failure *failure)
{
    uint8_t *bytes = to;

    while (length > 0) {
        struct iovec piece = {.iov_base = bytes, .iov_len = length};
        ssize_t done = image->read(image->context, &piece, 1, offset);

        if (done <= 0)
            return read_failed(image, done, failure);
        bytes += done;
        length -= (size_t)done;
        offset += (uint64_t)done;
    }
    return 0;
}

// Where [to, to + length) lies in guest memory's file; it is in one region.
static uint64_t memory_file_offset(const struct guest_memory *memory, guest_addr to)
{
    struct guest_region regions[GUEST_REGIONS_MAX];
    unsigned i = guest_memory_regions(memory, regions) - 1;

    while (i > 0 && to.value < regions[i].guest_address)
        i--;
    return regions[i].offset + (to.value - regions[i].guest_address);
}

// One step of a range that was checked; bytes done, as read() says.
static ssize_t load_step(const struct boot_image *image, uint64_t offset,
                         const struct guest_memory *memory, guest_addr to, uint32_t length)
{
    struct guest_vector vector;
    const struct iovec *pieces;
    ssize_t done = -EOPNOTSUPP;
    int count;

    if (image->transfer != NULL)
        done = image->transfer(image->context, offset, memory_file_offset(memory, to), length);
    if (done != -EOPNOTSUPP)
        return done;
    guest_vector_clear(&vector);
    done = guest_vector_add(&vector, memory, to, length);
    if (done < 0)
        return done;
    pieces = guest_vector_iovecs(&vector, &count);
    return image->read(image->context, pieces, count, offset);
}

int boot_image_load(const struct boot_image *image, uint64_t offset,
                    const struct guest_memory *memory, guest_addr to, uint64_t length,
                    struct boot_failure *failure)
{
    uint64_t done = 0;

    if (length > 0 && !guest_range_ok(memory, to, length))
        return boot_fail(failure, -EFAULT,
                         "%s does not fit into memory; give the VM more (--memory)", image->name);
    while (done < length) {
        uint32_t step = length - done < LOAD_STEP ? (uint32_t)(length - done) : LOAD_STEP;
        ssize_t result =
            load_step(image, offset + done, memory, guest_address(to.value + done), step);

        if (result <= 0)
            return read_failed(image, result, failure);
        done += (uint64_t)result;
    }
    return 0;
}
