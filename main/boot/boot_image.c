// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Positioned reads of kernel and initrd with preadv(2), into private buffers or guest memory. Looks
// at no byte that it moves.
#include "main/boot/boot_image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

// Bytes of one preadv(2): below both the kernel's limit for one call and that of a guest_vector.
#define LOAD_STEP (UINT32_C(1) << 30)

static ssize_t read_file(const void *context, const struct iovec *pieces, int count,
                         uint64_t offset)
{
    const int *fd = context;
    ssize_t done;

    if (offset > INT64_MAX)
        return -EINVAL;
    do {
        done = preadv(*fd, pieces, count, (off_t)offset);
    } while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

int boot_image_of_file(struct boot_image *image, const char *name, const int *fd,
                       struct boot_failure *failure)
{
    struct stat status;

    if (fstat(*fd, &status) < 0)
        return boot_fail(failure, -errno, "%s cannot be examined: %s", name,
                         strerrordesc_np(errno));
    if (!S_ISREG(status.st_mode))
        return boot_fail(failure, -EINVAL, "%s is not a regular file; give the path of a file",
                         name);
    *image = (struct boot_image){
        .name = name,
        .size = (uint64_t)status.st_size,
        .read = read_file,
        .context = fd,
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

int boot_image_load(const struct boot_image *image, uint64_t offset,
                    const struct guest_memory *memory, guest_addr to, uint64_t length,
                    struct boot_failure *failure)
{
    uint64_t done = 0;

    if (length > 0 && !guest_range_ok(memory, to, length))
        return boot_fail(failure, -EFAULT,
                         "%s does not fit into memory; give the VM more (--memory)", image->name);
    while (done < length) {
        uint64_t left = length - done;
        struct guest_vector vector;
        const struct iovec *pieces;
        ssize_t result;
        int count;

        guest_vector_clear(&vector);
        result = guest_vector_add(&vector, memory, guest_address(to.value + done),
                                  left < LOAD_STEP ? (uint32_t)left : LOAD_STEP);
        if (result < 0)
            return read_failed(image, result, failure);
        pieces = guest_vector_iovecs(&vector, &count);
        result = image->read(image->context, pieces, count, offset + done);
        if (result <= 0)
            return read_failed(image, result, failure);
        done += (uint64_t)result;
    }
    return 0;
}
