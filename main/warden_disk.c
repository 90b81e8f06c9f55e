// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// See warden_disk.h. Reads nothing of the image's content.
#include "main/warden_disk.h"

#include "ipc/cleanup.h"
#include "main/message.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR 512u

// Whether a process without capabilities may make an io_uring here (sysctl
// kernel.io_uring_disabled, seccomp).
static bool io_uring_allowed(void)
{
    _cleanup_fd_
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    char digit = '0';

    if (fd >= 0 && read(fd, &digit, 1) == 1 && digit != '0')
        return false;
    // No entries is invalid: EINVAL or EFAULT comes from an io_uring that is there.
    return syscall(SYS_io_uring_setup, 0, NULL) < 0 && errno != ENOSYS && errno != EPERM;
}

static int choose_engine(const struct vm_disk *disk, device_BlockConfig *config)
{
    bool allowed = io_uring_allowed();

    if (disk->engine == VM_BLOCK_IO_URING && !allowed) {
        user_message("disk %s: this host forbids io_uring; say engine=auto, or set "
                     "kernel.io_uring_disabled to 0",
                     disk->path);
        return -EPERM;
    }
    config->workers = disk->engine == VM_BLOCK_WORKERS || !allowed;
    return 0;
}

static int open_image(const struct vm_disk *disk)
{
    const int access_mode = disk->readonly ? O_RDONLY : O_RDWR;
    // O_NONBLOCK: what turns out to be a pipe must not keep us waiting for its other end. Requests
    // to an image are to wait, though.
    int fd = open(disk->path, access_mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int error = errno;

    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, access_mode);
        return fd;
    }
    if (!disk->readonly && (error == EACCES || error == EROFS || error == EPERM) &&
        access(disk->path, R_OK) == 0)
        user_message("disk %s is read-only; say readonly, or make it writable", disk->path);
    else
        user_message("disk %s cannot be opened: %s; name an image or block device that you may use",
                     disk->path, strerror(error));
    return -error;
}

static int size_of(const struct vm_disk *disk, int fd, device_BlockConfig *config)
{
    uint64_t bytes = 0;
    int block_size = SECTOR;
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISREG(status.st_mode))
        bytes = (uint64_t)status.st_size;
    else if (!S_ISBLK(status.st_mode) || ioctl(fd, BLKGETSIZE64, &bytes) < 0 ||
             ioctl(fd, BLKSSZGET, &block_size) < 0)
        bytes = 0;
    if (bytes == 0 || bytes % (uint64_t)block_size != 0) {
        user_message(
            "disk %s is not a raw image or block device of whole %d-byte sectors; convert or "
            "pad it",
            disk->path, block_size);
        return -EINVAL;
    }
    config->capacity = bytes / SECTOR;
    config->block_size = (uint32_t)block_size;
    config->can_discard = true;
    config->readonly = disk->readonly;
    return 0;
}

static int lock_image(const struct vm_disk *disk, int fd)
{
    struct flock lock = {.l_type = disk->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        user_message(
            "disk %s is in use by another VM; stop that one, or give both the disk readonly",
            disk->path);
    else
        user_message("disk %s cannot be locked: %s", disk->path, strerror(errno));
    return -errno;
}

int warden_disk_open(const struct vm_disk *disk, device_BlockConfig *config)
{
    _cleanup_fd_
    int fd = open_image(disk);
    int error = fd < 0 ? fd : 0;

    error = error ? error : size_of(disk, fd, config);
    error = error ? error : lock_image(disk, fd);
    error = error ? error : choose_engine(disk, config);
    if (error < 0)
        return error;
    snprintf(config->serial, sizeof(config->serial), "%.20s", disk->id);
    return steal_fd(&fd);
}
