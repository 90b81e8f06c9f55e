// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the arguments of common system calls are called. Only numbers are looked at: an argument
// that points somewhere is never followed.
#include "jail/policy/arguments.h"

#include "ipc/cleanup.h"

#include <stdio.h>
#include <string.h>

// Patterns are tried in their order; a `*` at the end stands for any rest.
#define IOCTLS                                                                                     \
    "TCGET* TCSET* TIOC* FIO* TCSBRK TCXONC TCFLSH BLK* TUN* SIOC* KVM_* UFFDIO_* "                \
    "USERFAULTFD_IOC* DRM_IOCTL_* DMA_BUF_* FS_IOC_* VHOST_* VFIO_* LOOP_* VIDIOC_* RND* EVIOC* "  \
    "HDIO_* CDROM* SNDRV_* VT_* KD* USBDEVFS_* RTC_* NVME_IOCTL* BTRFS_IOC* FICLONE* "             \
    "FIDEDUPERANGE FITRIM UDMABUF_* LANDLOCK_*"
#define FCNTLS                                                                                     \
    "F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_SETOWN F_GETOWN F_SETSIG " \
    "F_GETSIG F_SETOWN_EX F_GETOWN_EX F_OFD_* F_SETLEASE F_GETLEASE F_NOTIFY F_DUPFD_CLOEXEC "     \
    "F_SETPIPE_SZ F_GETPIPE_SZ F_ADD_SEALS F_GET_SEALS F_GET_RW_HINT F_SET_RW_HINT"
#define PRCTLS                                                                                     \
    "PR_SET_PDEATHSIG PR_GET_PDEATHSIG PR_GET_DUMPABLE PR_SET_DUMPABLE PR_SET_NAME PR_GET_NAME "   \
    "PR_SET_VMA PR_SET_NO_NEW_PRIVS PR_GET_NO_NEW_PRIVS PR_SET_SECCOMP PR_GET_SECCOMP "            \
    "PR_CAPBSET_READ PR_CAPBSET_DROP PR_SET_SECUREBITS PR_GET_SECUREBITS PR_SET_KEEPCAPS "         \
    "PR_GET_KEEPCAPS PR_CAP_AMBIENT PR_SET_TIMERSLACK PR_GET_TIMERSLACK PR_SET_CHILD_SUBREAPER "   \
    "PR_SET_PTRACER PR_SET_MM PR_SET_THP_DISABLE"
#define FUTEXES                                                                                    \
    "FUTEX_WAIT FUTEX_WAKE FUTEX_FD FUTEX_REQUEUE FUTEX_CMP_REQUEUE FUTEX_WAKE_OP FUTEX_LOCK_PI "  \
    "FUTEX_UNLOCK_PI FUTEX_TRYLOCK_PI FUTEX_WAIT_BITSET FUTEX_WAKE_BITSET FUTEX_WAIT_PRIVATE "     \
    "FUTEX_WAKE_PRIVATE FUTEX_REQUEUE_PRIVATE FUTEX_CMP_REQUEUE_PRIVATE FUTEX_WAKE_OP_PRIVATE "    \
    "FUTEX_LOCK_PI_PRIVATE FUTEX_UNLOCK_PI_PRIVATE FUTEX_WAIT_BITSET_PRIVATE "                     \
    "FUTEX_WAKE_BITSET_PRIVATE"
#define SIGNALS                                                                                    \
    "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 "  \
    "SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG "    \
    "SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS"
#define SOCKET_TYPES "SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET SOCK_PACKET"
#define SOCKET_FLAGS "SOCK_CLOEXEC SOCK_NONBLOCK"
#define OPEN_MODES "O_RDONLY O_WRONLY O_RDWR"
#define OPEN_FLAGS                                                                                 \
    "O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_TMPFILE O_DIRECT "       \
    "O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH"
#define CLONES                                                                                     \
    "CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_PIDFD CLONE_PTRACE CLONE_VFORK "            \
    "CLONE_PARENT CLONE_THREAD CLONE_NEWNS CLONE_SYSVSEM CLONE_SETTLS CLONE_PARENT_SETTID "        \
    "CLONE_CHILD_CLEARTID CLONE_DETACHED CLONE_UNTRACED CLONE_CHILD_SETTID CLONE_NEWCGROUP "       \
    "CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET CLONE_IO"
#define PROTECTIONS "PROT_READ PROT_WRITE PROT_EXEC PROT_GROWSDOWN PROT_GROWSUP"
#define MAP_FLAGS                                                                                  \
    "MAP_FIXED MAP_ANONYMOUS MAP_32BIT MAP_GROWSDOWN MAP_DENYWRITE MAP_EXECUTABLE MAP_LOCKED "     \
    "MAP_NORESERVE MAP_POPULATE MAP_NONBLOCK MAP_STACK MAP_HUGETLB MAP_SYNC MAP_FIXED_NOREPLACE"
#define MESSAGE_FLAGS                                                                              \
    "MSG_OOB MSG_PEEK MSG_DONTROUTE MSG_CTRUNC MSG_TRUNC MSG_DONTWAIT MSG_EOR MSG_WAITALL "        \
    "MSG_NOSIGNAL MSG_MORE MSG_WAITFORONE MSG_ZEROCOPY MSG_CMSG_CLOEXEC"

static const struct argument_kind kinds[] = {
    {"ioctl", 1, UINT32_MAX, IOCTLS, ""},
    {"fcntl", 1, UINT32_MAX, FCNTLS, ""},
    {"madvise", 2, UINT32_MAX, "MADV_*", ""},
    {"prctl", 0, UINT32_MAX, PRCTLS, ""},
    {"socket", 0, UINT32_MAX, "AF_UNIX AF_*", ""},
    {"socket", 1, 0xf, SOCKET_TYPES, SOCKET_FLAGS},
    {"socketpair", 0, UINT32_MAX, "AF_UNIX AF_*", ""},
    {"socketpair", 1, 0xf, SOCKET_TYPES, SOCKET_FLAGS},
    {"accept4", 3, 0, "", SOCKET_FLAGS},
    {"clone", 0, 0xff, SIGNALS, CLONES},
    {"unshare", 0, 0, "", CLONES},
    {"setns", 1, 0, "", CLONES},
    {"mmap", 2, 0, "PROT_NONE", PROTECTIONS},
    {"mmap", 3, 0xf, "MAP_SHARED MAP_PRIVATE MAP_SHARED_VALIDATE", MAP_FLAGS},
    {"mprotect", 2, 0, "PROT_NONE", PROTECTIONS},
    {"pkey_mprotect", 2, 0, "PROT_NONE", PROTECTIONS},
    {"mremap", 3, 0, "", "MREMAP_MAYMOVE MREMAP_FIXED MREMAP_DONTUNMAP"},
    {"msync", 2, 0, "", "MS_ASYNC MS_INVALIDATE MS_SYNC"},
    {"open", 1, 3, OPEN_MODES, OPEN_FLAGS},
    {"openat", 2, 3, OPEN_MODES, OPEN_FLAGS},
    {"pipe2", 1, 0, "", "O_CLOEXEC O_NONBLOCK O_DIRECT"},
    {"futex", 1, 0xff, FUTEXES, "FUTEX_CLOCK_REALTIME"},
    {"epoll_ctl", 1, UINT32_MAX, "EPOLL_CTL_*", ""},
    {"epoll_create1", 0, 0, "", "EPOLL_CLOEXEC"},
    {"eventfd2", 1, 0, "", "EFD_SEMAPHORE EFD_CLOEXEC EFD_NONBLOCK"},
    {"timerfd_create", 0, UINT32_MAX, "CLOCK_*", ""},
    {"timerfd_create", 1, 0, "", "TFD_CLOEXEC TFD_NONBLOCK"},
    {"timerfd_settime", 1, 0, "", "TFD_TIMER_ABSTIME TFD_TIMER_CANCEL_ON_SET"},
    {"clock_gettime", 0, UINT32_MAX, "CLOCK_*", ""},
    {"clock_getres", 0, UINT32_MAX, "CLOCK_*", ""},
    {"clock_nanosleep", 0, UINT32_MAX, "CLOCK_*", ""},
    {"memfd_create", 1, 0, "",
     "MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB MFD_NOEXEC_SEAL MFD_EXEC"},
    {"fallocate", 1, 0, "",
     "FALLOC_FL_KEEP_SIZE FALLOC_FL_PUNCH_HOLE FALLOC_FL_COLLAPSE_RANGE FALLOC_FL_ZERO_RANGE "
     "FALLOC_FL_INSERT_RANGE FALLOC_FL_UNSHARE_RANGE"},
    {"preadv2", 5, 0, "", "RWF_HIPRI RWF_DSYNC RWF_SYNC RWF_NOWAIT RWF_APPEND"},
    {"pwritev2", 5, 0, "", "RWF_HIPRI RWF_DSYNC RWF_SYNC RWF_NOWAIT RWF_APPEND"},
    {"sendmsg", 2, 0, "", MESSAGE_FLAGS},
    {"recvmsg", 2, 0, "", MESSAGE_FLAGS},
    {"sendto", 3, 0, "", MESSAGE_FLAGS},
    {"recvfrom", 3, 0, "", MESSAGE_FLAGS},
    {"shutdown", 1, UINT32_MAX, "SHUT_*", ""},
    {"setsockopt", 1, UINT32_MAX, "SOL_SOCKET SOL_* IPPROTO_*", ""},
    {"getsockopt", 1, UINT32_MAX, "SOL_SOCKET SOL_* IPPROTO_*", ""},
    {"kill", 1, UINT32_MAX, SIGNALS, ""},
    {"tkill", 1, UINT32_MAX, SIGNALS, ""},
    {"tgkill", 2, UINT32_MAX, SIGNALS, ""},
    {"rt_sigprocmask", 0, UINT32_MAX, "SIG_BLOCK SIG_UNBLOCK SIG_SETMASK", ""},
    {"rt_sigaction", 0, UINT32_MAX, SIGNALS, ""},
    {"lseek", 2, UINT32_MAX, "SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE", ""},
    {"membarrier", 0, UINT32_MAX, "MEMBARRIER_CMD_*", ""},
    {"sched_setscheduler", 1, UINT32_MAX,
     "SCHED_OTHER SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_IDLE SCHED_DEADLINE", ""},
    {"prlimit64", 1, UINT32_MAX, "RLIMIT_*", ""},
    {"getrandom", 2, 0, "", "GRND_NONBLOCK GRND_RANDOM GRND_INSECURE"},
    {"close_range", 2, 0, "", "CLOSE_RANGE_UNSHARE CLOSE_RANGE_CLOEXEC"},
    {"io_uring_register", 1, UINT32_MAX, "IORING_REGISTER_* IORING_UNREGISTER_*", ""},
    {"io_uring_enter", 3, 0, "",
     "IORING_ENTER_GETEVENTS IORING_ENTER_SQ_WAKEUP IORING_ENTER_SQ_WAIT IORING_ENTER_EXT_ARG "
     "IORING_ENTER_REGISTERED_RING"},
    {"seccomp", 0, UINT32_MAX, "SECCOMP_SET_MODE_* SECCOMP_GET_*", ""},
    {"arch_prctl", 0, UINT32_MAX, "ARCH_*", ""},
};

// How many arguments calls have, where it is not six.
static const struct {
    const char *names;
    unsigned count;
} counts[] = {
    {"getpid gettid getuid geteuid getgid getegid getppid sched_yield restart_syscall "
     "rt_sigreturn fork vfork setsid sync munlockall pause vhangup inotify_init",
     0},
    {"close exit exit_group brk dup chdir fchdir umask uname alarm epoll_create epoll_create1 "
     "eventfd pipe times sysinfo fsync fdatasync unshare time set_tid_address chroot rmdir unlink",
     1},
    {"munmap stat fstat lstat access kill tkill dup2 listen pipe2 gettimeofday clock_gettime "
     "clock_getres nanosleep ftruncate truncate getcwd setrlimit getrlimit getrusage sigaltstack "
     "set_robust_list eventfd2 timerfd_create timerfd_gettime memfd_create shutdown fchmod flock "
     "rename mkdir statfs fstatfs setns arch_prctl creat clone3 inotify_init1",
     2},
    {"read write open lseek readv writev poll ioctl mprotect madvise msync fcntl socket connect "
     "accept bind getsockname getpeername sendmsg recvmsg execve tgkill getrandom fchown getdents "
     "getdents64 readlink close_range seccomp sched_setaffinity sched_getaffinity "
     "sched_setscheduler membarrier dup3 ioprio_set mlock2",
     3},
    {"rt_sigaction rt_sigprocmask epoll_wait epoll_ctl pread64 pwrite64 accept4 socketpair openat "
     "newfstatat readlinkat clock_nanosleep timerfd_settime prlimit64 fallocate fadvise64 "
     "pkey_mprotect wait4 signalfd4 rseq io_uring_register sendfile ptrace openat2",
     4},
    {"clone ppoll preadv pwritev setsockopt getsockopt prctl statx mremap waitid execveat "
     "name_to_handle_at select recvmmsg mount",
     5},
};

static bool list_has(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

unsigned argument_count(unsigned call)
{
    const char *name = policy_call_name(call);

    for (size_t i = 0; name && i < array_size(counts); i++)
        if (list_has(counts[i].names, name))
            return counts[i].count;
    return POLICY_ARGUMENTS;
}

const struct argument_kind *argument_kind_find(unsigned call, unsigned argument)
{
    const char *name = policy_call_name(call);

    for (size_t i = 0; name && i < array_size(kinds); i++)
        if (kinds[i].argument == argument && strcmp(kinds[i].call, name) == 0)
            return &kinds[i];
    return NULL;
}

// A constant of this value whose name a pattern names, or NULL.
static const char *constant_named(const char *patterns, uint64_t value)
{
    while (*patterns) {
        size_t length = strcspn(patterns, " ");
        bool open = length && patterns[length - 1] == '*';
        uint64_t known;

        if (!open && policy_constant_find(patterns, length, &known) && known == value)
            return patterns;
        for (size_t i = 0; open && i < policy_constant_count(); i++) {
            struct policy_constant constant = policy_constant_at(i);

            if (constant.value == value && strncmp(constant.name, patterns, length - 1) == 0)
                return constant.name;
        }
        patterns += length;
        patterns += *patterns == ' ';
    }
    return NULL;
}

// What of a text has been written; text that does not fit makes it fail.
struct writer {
    char *at;
    size_t left;
    bool failed, any;
};

static void write_part(struct writer *writer, const char *name)
{
    int length = snprintf(writer->at, writer->left, "%s%.*s", writer->any ? "|" : "",
                          (int)strcspn(name, " "), name);

    if (length < 0 || (size_t)length >= writer->left) {
        writer->failed = true;
        return;
    }
    writer->at += length;
    writer->left -= (size_t)length;
    writer->any = true;
}

static void write_flags(struct writer *writer, const char *flags, uint64_t *rest)
{
    while (*flags) {
        size_t length = strcspn(flags, " ");
        uint64_t bits;

        if (policy_constant_find(flags, length, &bits) && bits && (*rest & bits) == bits) {
            write_part(writer, flags);
            *rest &= ~bits;
        }
        flags += length;
        flags += flags[0] == ' ';
    }
}

static const char *plain(uint64_t value, char *buffer, size_t size)
{
    snprintf(buffer, size, value < 10 ? "%llu" : "0x%llx", (unsigned long long)value);
    return buffer;
}

const char *policy_argument_text(unsigned call, unsigned argument, uint64_t value, char *buffer,
                                 size_t size)
{
    const struct argument_kind *kind = argument_kind_find(call, argument);
    struct writer writer = {.at = buffer, .left = size};
    uint64_t rest;
    const char *name;
    char number[24];

    if (!kind || size == 0)
        return plain(value, buffer, size);
    rest = kind->choice_mask == UINT32_MAX ? 0 : value & ~(uint64_t)kind->choice_mask;
    name = constant_named(kind->choices, value - rest);
    // A choice of nothing is named only where nothing else is said.
    if (name && (value - rest != 0 || kind->choice_mask == UINT32_MAX || rest == 0 ||
                 kind->choice_mask == 3))
        write_part(&writer, name);
    else if (value != rest)
        rest = value;
    write_flags(&writer, kind->flags, &rest);
    if (rest || !writer.any)
        write_part(&writer, plain(rest, number, sizeof(number)));
    return writer.failed ? plain(value, buffer, size) : buffer;
}
