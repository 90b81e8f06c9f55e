#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Every allowed system call of every policy has its reason, and each policy keeps to its number of
# calls.
. "$(dirname "$0")/files.bash"

if [ ! -e "$B/lib/jail_policy.a" ]; then
    echo "nothing is built; run 'make' first"
    exit $SKIPPED
fi
mkdir -p "$B/lint"
"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -I. tests/lint/policies.c \
    "$B/lib/jail_policy.a" -lseccomp -o "$B/lint/policies" || exit 1
mapfile -t policies < <(tree_files 'policies/*/*.policy')
"$B/lint/policies" "${policies[@]}"
