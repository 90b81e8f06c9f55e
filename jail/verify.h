// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What the checks of jail_verify share. Private to jail/. A check returns 0, or a negative errno
// when it could not look, or what jail_complain returns when it found something not as asked.
#pragma once

#include "jail/facts.h"
#include "jail/stage.h"

#include <dirent.h>

// One verification: what is looked at, and where the complaint goes.
struct look {
    const struct jailed *jailed;
    const struct jail_spec *spec;
    int proc; // of the process
    struct jail_facts facts;
    char *reason;
    size_t reason_size;
};

// Writes what is not as asked. Returns -EPERM, for the check to return.
int jail_complain(struct look *look, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A directory of /proc/PID, or NULL with errno; for _cleanup_(jail_close_directory).
DIR *jail_open_directory(int proc, const char *name);
void jail_close_directory(DIR **directory);

// Its next entry that is neither "." nor "..", or NULL.
const char *jail_next_name(DIR *directory);

int jail_check_root(struct look *look);
int jail_check_threads(struct look *look);
int jail_check_descriptors(struct look *look);

// Whether a stage is to be found in the kernel: not where it is missing by permission.
bool jail_is_looked_for(const struct look *look, enum jail_stage stage);
