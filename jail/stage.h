// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the stages of a jail share: the table's row and the state of the child that applies them.
// Private to jail/ and its tests. An `apply` function runs in the cloned child, before exec, alone
// in its copy of the warden's memory; it returns 0 or a negative errno and prints nothing.
#pragma once

#include "jail/jail.h"

// What a child knows while it applies its stages.
struct jail_child {
    const struct jail_spec *spec;
    uint32_t namespaces; // JAIL_BIT of each namespace that it has of its own
    bool privileged;     // the warden was started by root
    uid_t uid;           // what it becomes, in the jail and outside
    gid_t gid;
    int executable; // both close-on-exec; the descriptors stage may give them other numbers
    int warden;     // SOCK_SEQPACKET: one packet "go" from it, struct jail_report to it
};

// The child's only word to the warden: what failed. Sent at most twice: once for the stages that
// were allowed to be missing, once for the one that was not. Silence until exec closes the socket
// means that all is well.
struct jail_report {
    uint32_t missing;
    int32_t stage; // JAIL_STAGE_COUNT: nothing but `missing` to report
    int32_t error; // negative errno
};

struct jail_stage_row {
    const char *name;
    const char *purpose;        // what it should do
    const char *finished_with;  // what no later stage may need, because it is gone afterwards
    const char *remedy;         // what a user can do about its failure
    uint64_t clone_flag;        // namespaces: made by clone3, nothing to apply
    const char *namespace_file; // its name in /proc/PID/ns
    int (*apply)(struct jail_child *child);
    bool may_be_missing; // --allow-missing is meaningful: some kernels lack or forbid it
};

extern const struct jail_stage_row jail_stages[JAIL_STAGE_COUNT];

int jail_session_apply(struct jail_child *child);
int jail_identity_apply(struct jail_child *child);
int jail_nesting_apply(struct jail_child *child);
int jail_root_apply(struct jail_child *child);
int jail_capabilities_apply(struct jail_child *child);
int jail_no_new_privs_apply(struct jail_child *child);
int jail_landlock_apply(struct jail_child *child);
int jail_descriptors_apply(struct jail_child *child);
int jail_limits_apply(struct jail_child *child);
int jail_death_signal_apply(struct jail_child *child);
int jail_exec_apply(struct jail_child *child);

// jail_spawn, with stages left out on purpose: lets the tests see that jail_verify finds it out.
int jail_spawn_without(const struct jail_spec *spec, uint32_t skipped, struct jailed *out,
                       char *reason, size_t reason_size);

// Clones the caller into the namespaces that spec asks for, but those in `skipped`. Returns the pid
// (0 in the child), with *pidfd and the bits of what is missing; or a negative errno with the stage
// that failed in *failed.
pid_t jail_clone(const struct jail_spec *spec, uint32_t skipped, int *pidfd, uint32_t *missing,
                 enum jail_stage *failed);

// The warden's half of the identity stage: writes the uid and gid maps of a child's user namespace,
// its one id standing for itself. Returns 0 or a negative errno.
int jail_identity_map(pid_t pid, uid_t uid, gid_t gid);

// The uid and gid that a process of this spec runs as. -EINVAL when root asks for none.
int jail_identity_choose(const struct jail_spec *spec, uid_t *uid, gid_t *gid);

// What a spec's limits come to: row `index`, until -ENOENT.
int jail_limit_row(const struct jail_spec *spec, size_t index, int *resource, uint64_t *value,
                   const char **name);

// Whether the root holds the system's libraries.
bool jail_root_has_libraries(const struct jail_spec *spec);

// One line that says why a stage failed and what to do, from the kernel's settings where they tell.
void jail_explain(const struct jail_spec *spec, enum jail_stage stage, int error, char *reason,
                  size_t reason_size);
