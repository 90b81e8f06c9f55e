// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The verbs of the `bulkhead` command, one main/cmd_*.c each; main/bulkhead.c has their table.
#pragma once

// Exit statuses that every verb shares.
enum {
    CMD_OK = 0,
    CMD_FAILED = 1,
    CMD_WRONG_USAGE = 2,
};

// Each takes its own arguments, argv[0] being the verb, prints its own messages, and returns the
// exit status of the command.
int cmd_run(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_ps(int argc, char **argv);
