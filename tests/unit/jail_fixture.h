// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// One prisoner for a test: the probe in a jail that the test may change before it starts, with a
// socket to it. Tests run twice where root started them: as root and as a user without rights.
#pragma once

#include "ipc/cleanup.h"
#include "jail/lockdown.h"
#include "jail/stage.h"
#include "tests/unit/jail_probe.h"

// cmocka.h wants these before it.
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct prisoner {
    struct jail_spec spec;
    struct jail_descriptor descriptors[2];
    const char *argv[3];
    struct jailed jailed;
    int socket; // ours
    char reason[512];
};

static int probe_executable = -1; // opened once, before rights are given up

// The probe lies beside the folder of the test programs.
static inline int probe_open(void)
{
    char path[512];
    ssize_t length = readlink("/proc/self/exe", path, 400);
    _cleanup_fd_
    int fd = -1;

    if (length <= 0)
        return -1;
    path[length] = '\0';
    strcpy(strrchr(path, '/'), "/../jail_probe");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    // Above all numbers that tests put things on.
    return fcntl(fd, F_DUPFD_CLOEXEC, 100);
}

// A spec that every stage accepts; the probe runs `command`.
static inline void prisoner_prepare(struct prisoner *prisoner, const char *command, int *theirs)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    *theirs = pair[1];
    *prisoner = (struct prisoner){.socket = pair[0], .argv = {"probe", command, NULL}};
    prisoner->descriptors[0] = (struct jail_descriptor){pair[1], PROBE_SOCKET};
    prisoner->spec = (struct jail_spec){
        .role = "probe",
        .executable_fd = probe_executable,
        .argv = prisoner->argv,
        .descriptors = prisoner->descriptors,
        .descriptor_count = 1,
        .limits = {.descriptors = 16,
                   .tasks = 1,
                   .address_space = 64 << 20,
                   .locked_memory = 65536,
                   .file_size = 4096},
        // Some kernels that run the tests have no Landlock.
        .allow_missing = JAIL_BIT(JAIL_SECCOMP) | JAIL_BIT(JAIL_LANDLOCK),
        .uid = jail_uid(getpid(), 7),
    };
}

static inline struct probe_result prisoner_hear(struct prisoner *prisoner)
{
    struct probe_result result = {.error = -1};

    assert_int_equal(recv(prisoner->socket, &result, sizeof(result), 0), sizeof(result));
    return result;
}

// Starts it without the stages in `skipped` and waits until it is ready, unless it has more to say.
static inline void prisoner_start(struct prisoner *prisoner, int theirs, uint32_t skipped,
                                  bool until_ready)
{
    int error = jail_spawn_without(&prisoner->spec, skipped, &prisoner->jailed, prisoner->reason,
                                   sizeof(prisoner->reason));

    close(theirs);
    if (error != 0)
        fail_msg("spawn: %d %s", error, prisoner->reason);
    if (until_ready)
        assert_string_equal(prisoner_hear(prisoner).name, PROBE_READY);
}

static inline int prisoner_verify(struct prisoner *prisoner)
{
    return jail_verify(&prisoner->jailed, &prisoner->spec, NULL, prisoner->reason,
                       sizeof(prisoner->reason));
}

// Lets it go; it must end by itself, with status 0.
static inline void prisoner_release(struct prisoner *prisoner)
{
    int status = -1;

    close(prisoner->socket);
    assert_int_equal(waitpid(prisoner->jailed.pid, &status, 0), prisoner->jailed.pid);
    close(prisoner->jailed.pidfd);
    assert_int_equal(status, 0);
}

// A filter that allows everything but `number` (-1: but nothing), in a memfd.
static inline int filter_memfd(int number)
{
    const struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    int fd = memfd_create("filter", MFD_CLOEXEC);

    assert_int_equal(write(fd, program, sizeof(program)), sizeof(program));
    return fd;
}

// Runs a group of tests as we are and, if that is root, once more as a user without any right.
// Returns what main shall return.
static inline int run_as_root_and_user(int (*group)(void))
{
    int failed, status = -1;
    pid_t pid;

    probe_executable = probe_open();
    if (probe_executable < 0) {
        fprintf(stderr, "build/test/jail_probe is not there: make it first\n");
        return 1;
    }
    if (geteuid() != 0)
        return group() != 0;
    // Groups that a prisoner must not inherit.
    if (setgroups(2, (const gid_t[]){1, 2}) != 0)
        return 1;
    failed = group();
    fprintf(stderr, "again as uid 65534\n");
    pid = fork();
    if (pid == 0) {
        // Dumpable, since else its own /proc files belong to root.
        if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
            setresuid(65534, 65534, 65534) != 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
            _exit(1);
        _exit(group() != 0);
    }
    waitpid(pid, &status, 0);
    return failed != 0 || status != 0;
}
