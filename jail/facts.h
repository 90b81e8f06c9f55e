// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Reading a process from /proc. Private to jail/ and its tests. The text is the kernel's, but some
// of it (a process's name) is what a jailed process chose, so it is searched by whole lines.
#pragma once

#include "jail/jail.h"

// Opens /proc/PID (O_PATH). What is read through it is this process or, after its death, an error:
// never another one with the same pid. Returns the descriptor or a negative errno.
int jail_proc_open(pid_t pid);

// Reads a file below it as a string, at most size - 1 bytes. Returns the length or a negative
// errno.
ssize_t jail_proc_read(int proc, const char *name, char *text, size_t size);

// What follows "\nKEY:" and blanks in the text of a file like status, or NULL.
const char *jail_proc_field(const char *text, const char *key);

// Reads a status file (of a process or of one thread) into *facts; leaves the rest alone.
int jail_facts_read_status(int proc, const char *name, struct jail_facts *facts);

// Reads which namespaces it is in, and which of these are not the caller's.
int jail_facts_read_namespaces(int proc, struct jail_facts *facts);
