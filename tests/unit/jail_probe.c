// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The prisoner of tests/unit/test_jail*.c: a small static executable that tries from inside of a
// jail what a jail forbids, and tells over descriptor 3 how each attempt ended. What it does is its
// first argument. Afterwards it stays until its peer closes the socket, to be looked at.
#include "tests/unit/jail_probe.h"
#include "jail/lockdown.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

// How a call that should fail ended: its errno, or 0.
static int ended(long result)
{
    return result < 0 ? errno : 0;
}

static int open_host_file(const struct probe_host *host)
{
    return ended(open("/etc/passwd", O_RDONLY));
}

static int open_proc(const struct probe_host *host)
{
    return ended(open("/proc/self/mem", O_RDWR));
}

static int open_above_root(const struct probe_host *host)
{
    return ended(open("../../../../etc/passwd", O_RDONLY));
}

// The empty root itself: only Landlock forbids to list it.
__attribute__((unused)) static int open_root(const struct probe_host *host)
{
    int fd = open("/", O_RDONLY | O_DIRECTORY);
    int error = ended(fd);

    close(fd);
    return fd >= 0 && !host->landlock ? EACCES : error;
}

static int create_file(const struct probe_host *host)
{
    return ended(open("/new", O_RDWR | O_CREAT, 0600));
}

static int make_directory(const struct probe_host *host)
{
    return ended(mkdir("/new", 0700));
}

static int make_device(const struct probe_host *host)
{
    return ended(mknod("/new", S_IFCHR | 0600, 0x0101));
}

static int execute(const struct probe_host *host)
{
    char *const none[] = {NULL};

    return ended(execve("/bin/sh", none, none));
}

static int connect_tcp(const struct probe_host *host)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(host->tcp_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int error = ended(connect(fd, (struct sockaddr *)&address, sizeof(address)));

    close(fd);
    // Landlock says EACCES before the missing network could say ENETUNREACH.
    return error == EACCES ? ENETUNREACH : error;
}

static int send_udp(const struct probe_host *host)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(host->tcp_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int error = ended(sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)));

    close(fd);
    return error;
}

static int connect_abstract(const struct probe_host *host)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int error;

    memcpy(address.sun_path + 1, host->abstract_name, sizeof(host->abstract_name));
    error =
        ended(connect(fd, (struct sockaddr *)&address,
                      offsetof(struct sockaddr_un, sun_path) + 1 + sizeof(host->abstract_name)));
    close(fd);
    return error;
}

static int raw_socket(const struct probe_host *host)
{
    return ended(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int mount_something(const struct probe_host *host)
{
    return ended(mount("x", "/", "tmpfs", 0, NULL));
}

static int remount_writable(const struct probe_host *host)
{
    return ended(mount(NULL, "/", NULL, MS_REMOUNT, NULL));
}

static int unmount_root(const struct probe_host *host)
{
    return ended(umount2("/", MNT_DETACH));
}

static int change_root(const struct probe_host *host)
{
    return ended(chroot("/"));
}

static int trace_warden(const struct probe_host *host)
{
    return ended(ptrace(PTRACE_ATTACH, host->warden, NULL, NULL));
}

static int kill_warden(const struct probe_host *host)
{
    return ended(kill(host->warden, 0));
}

static int kill_all(const struct probe_host *host)
{
    return ended(kill(-1, 0));
}

static int look_at_warden(const struct probe_host *host)
{
    return ended(syscall(SYS_pidfd_open, host->warden, 0));
}

static int read_warden_memory(const struct probe_host *host)
{
    char byte;
    struct iovec to = {&byte, 1}, from = {&byte, 1};

    return ended(syscall(SYS_process_vm_readv, host->warden, &to, 1UL, &from, 1UL, 0UL));
}

static int become_root(const struct probe_host *host)
{
    return ended(setuid(0));
}

static int become_neighbour(const struct probe_host *host)
{
    return ended(setuid(getuid() + 1));
}

static int join_group(const struct probe_host *host)
{
    gid_t group = getgid();

    return ended(syscall(SYS_setgroups, 1, &group));
}

static int set_host_name(const struct probe_host *host)
{
    return ended(sethostname("x", 1));
}

static int new_user_namespace(const struct probe_host *host)
{
    return ended(unshare(CLONE_NEWUSER));
}

static int new_network(const struct probe_host *host)
{
    return ended(unshare(CLONE_NEWNET));
}

static int unlock_securebits(const struct probe_host *host)
{
    return ended(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0));
}

static int raise_ambient(const struct probe_host *host)
{
    return ended(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0));
}

static int fork_beyond(const struct probe_host *host)
{
    pid_t pid = -1;

    for (unsigned i = 0; i < host->tasks; i++) {
        pid = syscall(SYS_fork);
        if (pid == 0)
            pause();
    }
    return ended(pid);
}

// EMFILE must come, and not before as many are open as were allowed.
static int open_too_many(const struct probe_host *host)
{
    int fds[256], count = 0, error = 0;

    while (count < 256 && (fds[count] = dup(PROBE_SOCKET)) >= 0)
        count++;
    if (count < 256)
        error = errno;
    if (count == 0 || fds[count - 1] != (int)host->descriptors - 1)
        error = ERANGE;
    while (count > 0)
        close(fds[--count]);
    return error;
}

__attribute__((unused)) static int map_too_much(const struct probe_host *host)
{
    void *map = mmap(NULL, host->address_space, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return map == MAP_FAILED ? errno : 0;
}

__attribute__((unused)) static int lock_too_much(const struct probe_host *host)
{
    void *map = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return map == MAP_FAILED ? ERANGE : ended(mlock(map, 1 << 20));
}

static int write_too_long(const struct probe_host *host)
{
    int fd = syscall(SYS_memfd_create, "x", 0U), error;

    signal(SIGXFSZ, SIG_IGN);
    error = fd < 0 ? ERANGE : ended(ftruncate(fd, host->file_size + 1));
    close(fd);
    signal(SIGXFSZ, SIG_DFL);
    return error;
}

static int raise_limit(const struct probe_host *host)
{
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};

    return ended(setrlimit(RLIMIT_NOFILE, &limit));
}

static int queue_message(const struct probe_host *host)
{
    return ended(syscall(SYS_mq_open, "x", O_RDWR | O_CREAT, 0600, NULL));
}

// What is as it should be: 0. Anything else is a number that names the fault.
__attribute__((unused)) static int signals_are_default(const struct probe_host *host)
{
    sigset_t blocked;

    if (sigprocmask(SIG_SETMASK, NULL, &blocked) != 0 || !sigisemptyset(&blocked))
        return 1000;
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction action = {0};

        if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            return signal;
    }
    return 0;
}

static int leads_session(const struct probe_host *host)
{
    return getpid() == 1 && getsid(0) == 1 ? 0 : 1000;
}

static int has_private_umask(const struct probe_host *host)
{
    mode_t mask = umask(077);

    return mask == 077 ? 0 : (int)mask + 1000;
}

static int has_empty_environment(const struct probe_host *host)
{
    return environ[0] == NULL ? 0 : 1000;
}

static int is_the_user_asked_for(const struct probe_host *host)
{
    return getuid() == host->uid && geteuid() == host->uid ? 0 : 1000;
}

static int cannot_gain_by_exec(const struct probe_host *host)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1000;
}

// Every bit that there is to lock (capabilities(7)), but KEEP_CAPS, which is locked as off.
static int has_locked_securebits(const struct probe_host *host)
{
    const int bits = SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_CAP_AMBIENT_RAISE;

    return prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == (bits | SECURE_ALL_LOCKS) ? 0 : 1000;
}

// core(5): less than a page keeps a file from being written, and exactly 1 the pipe of
// core_pattern.
static int leaves_no_core(const struct probe_host *host)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 1 ? 0 : 1000;
}

static int stands_in_its_root(const struct probe_host *host)
{
    char path[64] = "";

    return syscall(SYS_getcwd, path, sizeof(path)) > 0 && strcmp(path, "/") == 0 ? 0 : 1000;
}

static const struct {
    const char *name;
    int (*attempt)(const struct probe_host *host);
    int expected;
} attempts[] = {
    {"open a file of the host", open_host_file, ENOENT},
    {"open /proc", open_proc, ENOENT},
    {"open above the root", open_above_root, ENOENT},
    {"create a file", create_file, EROFS},
    {"make a directory", make_directory, EROFS},
    {"make a device", make_device, EROFS},
    {"execute a shell", execute, ENOENT},
    {"connect by TCP", connect_tcp, ENETUNREACH},
    {"send by UDP", send_udp, ENETUNREACH},
    {"connect to an abstract socket", connect_abstract, ECONNREFUSED},
    {"make a raw socket", raw_socket, EPERM},
    {"mount", mount_something, EPERM},
    {"remount writable", remount_writable, EPERM},
    {"unmount the root", unmount_root, EPERM},
    {"change the root", change_root, EPERM},
    {"trace the warden", trace_warden, ESRCH},
    {"kill the warden", kill_warden, ESRCH},
    {"kill everything", kill_all, ESRCH},
    {"look at the warden", look_at_warden, ESRCH},
    {"read the warden's memory", read_warden_memory, ESRCH},
    {"become root", become_root, EINVAL},
    {"become another user", become_neighbour, EINVAL},
    {"join a group", join_group, EPERM},
    {"set the host name", set_host_name, EPERM},
    {"make a user namespace", new_user_namespace, ENOSPC},
    {"make a network namespace", new_network, EPERM},
    {"unlock securebits", unlock_securebits, EPERM},
    {"raise an ambient capability", raise_ambient, EPERM},
    {"fork beyond the limit", fork_beyond, EAGAIN},
    {"open too many descriptors", open_too_many, EMFILE},
    {"write too long a file", write_too_long, EFBIG},
    {"raise a limit", raise_limit, EPERM},
    {"make a message queue", queue_message, EMFILE},
    {"it leads a session as pid 1", leads_session, 0},
    {"its umask is private", has_private_umask, 0},
    {"its environment is empty", has_empty_environment, 0},
    {"its uid is the one asked for", is_the_user_asked_for, 0},
    {"no_new_privs is set", cannot_gain_by_exec, 0},
    {"its securebits are locked", has_locked_securebits, 0},
    {"it leaves no core", leaves_no_core, 0},
    {"it stands in its root", stands_in_its_root, 0},
#ifndef BULKHEAD_SANITIZE // the runtime needs libraries and memory, and handles signals
    {"list the root", open_root, EACCES},
    {"map too much", map_too_much, ENOMEM},
    {"lock too much", lock_too_much, ENOMEM},
    {"signals are default and unblocked", signals_are_default, 0},
#endif
};

static void tell(const char *name, int error, int expected)
{
    struct probe_result result = {.error = error, .expected = expected};

    strncpy(result.name, name, sizeof(result.name) - 1);
    (void)!send(PROBE_SOCKET, &result, sizeof(result), MSG_NOSIGNAL);
}

// Until the test closes its end.
static void stay(void)
{
    char byte;

    tell(PROBE_READY, 0, 0);
    while (recv(PROBE_SOCKET, &byte, sizeof(byte), 0) > 0)
        ;
    _exit(0);
}

static void do_attempts(void)
{
    struct probe_host host;

    if (recv(PROBE_SOCKET, &host, sizeof(host), 0) != sizeof(host))
        _exit(1);
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
        tell(attempts[i].name, attempts[i].attempt(&host), attempts[i].expected);
}

static void do_lockdown(void)
{
    int error = jail_lockdown_filter(PROBE_FILTER);

    if (error < 0)
        tell("lockdown", -error, 0);
}

static void *idle(void *unused)
{
    for (;;)
        pause();
    return unused;
}

// A thread that was there before the filter, and a filter for the first thread only.
static void do_careless_lockdown(void)
{
    struct sock_filter program[64];
    ssize_t count = jail_lockdown_read(PROBE_FILTER, program, 64);
    pthread_t thread;
    int error = pthread_create(&thread, NULL, idle, NULL);

    close(PROBE_FILTER);
    if (error == 0 && count > 0)
        error = -jail_lockdown_install(program, count, JAIL_LOCKDOWN_THREAD);
    tell("careless lockdown", count < 0 ? (int)-count : error, 0);
}

static void do_threads(void)
{
    pthread_t thread;

    tell("first thread", pthread_create(&thread, NULL, idle, NULL), 0);
    tell("second thread", pthread_create(&thread, NULL, idle, NULL), EAGAIN);
}

static void do_pipe(void)
{
    int ends[2];

    tell("pipe", ended(pipe(ends)), 0);
}

static void do_nothing(void)
{
}

static const struct {
    const char *name;
    void (*run)(void);
} commands[] = {
    {"attempts", do_attempts}, {"lockdown", do_lockdown}, {"careless", do_careless_lockdown},
    {"threads", do_threads},   {"pipe", do_pipe},         {"wait", do_nothing},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, argv[1]) == 0) {
            commands[i].run();
            stay();
        }
    return 2;
}
