// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The jail: how the warden starts one executable with nothing around it, and how it then reads
// back from the kernel that this is so. The code behind this header runs with the rights of the
// user who started Bulkhead; it parses nothing but the kernel's own /proc and never sees a byte of
// the guest.
//
//     jail_spawn    clone into new namespaces → stages, in the order of enum jail_stage → exec
//     jail_verify   the same stages, each looked up in the kernel from outside
//     jail_describe the facts about one process, for tables that people read
//
// What is inside a jail once it is closed: one static executable, the descriptors that it was
// given, and an empty read-only directory. The last stage, seccomp, is applied by the process
// itself when it has allocated everything (jail/lockdown.h).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The stages, in the order in which they are applied. jail/stages.c says of each what it should do.
enum jail_stage {
    JAIL_USER_NS,
    JAIL_PID_NS,
    JAIL_MOUNT_NS,
    JAIL_NETWORK_NS,
    JAIL_IPC_NS,
    JAIL_UTS_NS,
    JAIL_CGROUP_NS,
    JAIL_SESSION,
    JAIL_IDENTITY,
    JAIL_NESTING,
    JAIL_ROOT,
    JAIL_CAPABILITIES,
    JAIL_NO_NEW_PRIVS,
    JAIL_LANDLOCK,
    JAIL_DESCRIPTORS,
    JAIL_LIMITS,
    JAIL_DEATH_SIGNAL,
    JAIL_EXEC,
    JAIL_SECCOMP,
    JAIL_STAGE_COUNT,
};

// How many of the first stages are namespaces.
#define JAIL_NAMESPACE_COUNT (JAIL_CGROUP_NS + 1)

// One bit for each stage, for sets of stages.
#define JAIL_BIT(stage) (UINT32_C(1) << (stage))

// Most descriptors that a process can be started with; more can be sent to it later.
enum { JAIL_DESCRIPTORS_MAX = 32 };

// One row of the closed set: after exec, `target` in the jail is `source` of the warden.
struct jail_descriptor {
    int source;
    int target;
};

// Kinds of descriptors that a process may hold beyond those that it was started with, because they
// were sent to it or because it made them before it locked itself down. JAIL_FD_OTHER matches
// nothing that can be allowed.
enum jail_fd_kind {
    JAIL_FD_SOCKET,
    JAIL_FD_PIPE,
    JAIL_FD_EVENTFD,
    JAIL_FD_EPOLL,
    JAIL_FD_TIMERFD,
    JAIL_FD_SIGNALFD,
    JAIL_FD_IO_URING,
    JAIL_FD_KVM, // a virtual machine or a vCPU
    JAIL_FD_MEMFD,
    JAIL_FD_PATH, // a file, disk, terminal or other device that has or had a name
    JAIL_FD_OTHER,
    JAIL_FD_KIND_COUNT,
};

// Upper limits of a process. Each is set as both soft and hard limit. RLIM_INFINITY is spelled
// out by who means it: a zero is a zero.
struct jail_limits {
    uint64_t descriptors;   // RLIMIT_NOFILE: highest descriptor number + 1
    uint64_t tasks;         // RLIMIT_NPROC: threads in all, the first included; at least 1
    uint64_t address_space; // RLIMIT_AS, bytes
    uint64_t locked_memory; // RLIMIT_MEMLOCK, bytes
    uint64_t file_size;     // RLIMIT_FSIZE, bytes: the longest file it may write
};

// Everything that is asked of one jail. The warden keeps one per process it starts; jail_spawn and
// jail_verify only read it and keep no pointer into it.
struct jail_spec {
    const char *role;        // for messages: "block0"
    int executable_fd;       // O_RDONLY or O_PATH, close-on-exec; stays the caller's
    const char *const *argv; // NULL-terminated; the environment is empty
    const struct jail_descriptor *descriptors;
    size_t descriptor_count; // ≤ JAIL_DESCRIPTORS_MAX
    struct jail_limits limits;
    uint32_t allow_missing; // JAIL_BIT of each stage that may fail without ending the start
    uid_t uid;              // started by root: its uid and gid, never 0. Otherwise ignored.
    bool libraries;         // dynamic executable: the system's library directories are in
                            // its root, read-only
    uint16_t later[JAIL_FD_KIND_COUNT]; // jail_verify: how many more of each kind it may hold
};

// One started process. The caller owns `pidfd` (close-on-exec) and must wait for `pid`.
struct jailed {
    pid_t pid;
    int pidfd;
    uint32_t missing; // JAIL_BIT of each stage that failed and was allowed to
};

// What the kernel says about a process. Sizes in bytes, memory in KiB.
struct jail_facts {
    pid_t pid;
    uint64_t namespaces[JAIL_NAMESPACE_COUNT]; // inode numbers: equal means the same namespace
    uint32_t own_namespaces;                   // JAIL_BIT of each that is not the caller's
    unsigned seccomp_mode;                     // 0 off, 2 filter
    unsigned seccomp_filters;
    bool no_new_privs;
    uint64_t capabilities[5]; // inheritable, permitted, effective, bounding, ambient
    uid_t uid[4]; // real, effective, saved, file system; as the caller's namespace sees it
    gid_t gid[4];
    unsigned groups; // number of supplementary groups
    unsigned threads;
    pid_t session; // its leader, as the caller's PID namespace sees it
    mode_t umask;
    uint64_t executable_size; // 0 unless from jail_describe, as all below
    uint64_t pss;             // proportional set size: anonymous + file + shared
    uint64_t pss_anonymous;
    uint64_t pss_file;
    uint64_t pss_shared; // shared memory: what is mapped of the guest's memory is in here
};

// The name of a stage ("user-ns", "landlock", …), as in `--allow-missing STAGE`.
const char *jail_stage_name(enum jail_stage stage);

// The stage of that name; -EINVAL when there is none; -EPERM for a stage that every kernel that
// runs Bulkhead has, so that it cannot be left out.
int jail_stage_from_name(const char *name);

// What the stage does, in a few words for help texts and tables.
const char *jail_stage_purpose(enum jail_stage stage);

// The uid for the process number `index` of a warden that was started by root: no other warden of
// the same PID namespace has it while this one lives, and neither useradd nor systemd gives it out
// (0x70000000 and above). Returns 0, which jail_spawn refuses, when index ≥ JAIL_UIDS_PER_WARDEN.
enum { JAIL_UIDS_PER_WARDEN = 60 };
uid_t jail_uid(pid_t warden, unsigned index);

// Starts spec->executable_fd in a jail. Returns 0 and fills *out when the executable runs there,
// with every stage applied that is not in out->missing. Otherwise returns a negative errno, leaves
// no process and no descriptor, and `reason` (any size, may be NULL with 0) holds one line with
// cause and remedy, without a newline: -EINVAL or -EBADF for a spec that asks nonsense (a doubled
// target, a descriptor that is not open, root without a uid), or the error of the stage that
// failed.
//
// To be called from a thread that lives as long as the warden does: the jailed process is killed
// when that thread ends. The caller needs /proc. Signals that arrive meanwhile stay pending.
int jail_spawn(const struct jail_spec *spec, struct jailed *out, char *reason, size_t reason_size);

// Reads back from the kernel that a process is jailed as spec asks, in every one of its threads.
// To be called when the process says that it has locked itself down, for the seccomp stage to be
// found (or with JAIL_SECCOMP in allow_missing).
//
// Returns 0, with what was read in *facts (may be NULL); -EPERM when something is not as asked, and
// `reason` says what; or another negative errno when it could not be read (-ESRCH: it is dead).
// Landlock cannot be read back: for this stage verification rests on the kernel's answer to the
// process when it was applied.
int jail_verify(const struct jailed *jailed, const struct jail_spec *spec, struct jail_facts *facts,
                char *reason, size_t reason_size);

// The first namespace that two processes share, or JAIL_NAMESPACE_COUNT when they share none.
enum jail_stage jail_shared_namespace(const struct jail_facts *a, const struct jail_facts *b);

// Reads the facts about any process that the caller may look at: its own, those that it jailed, or
// all when it is root. Returns 0 or a negative errno.
int jail_describe(pid_t pid, struct jail_facts *facts);
