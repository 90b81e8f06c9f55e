#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# cppcheck finds nothing. Off: what it cannot know of GNU C, and what only concerns taste.
. "$(dirname "$0")/files.bash"

needs cppcheck
mkdir -p "$B/lint/cppcheck"
mapfile -t files < <(tree_files '*.c')
# constStatement: registers that an asm statement takes look unused.
options=(--quiet -j 2 --cppcheck-build-dir="$B/lint/cppcheck"
    --enable=warning,performance,portability
    --std=c11 --platform=unix64 --inline-suppr --template='{file}:{line}: {id}: {message}'
    --suppress=missingInclude --suppress=missingIncludeSystem '--suppress=*:build/*'
    --suppress=constStatement:tests/unit/test_policy_kernel.c
    -D_GNU_SOURCE -D__x86_64__ -D__GNUC__=12 '-DBULKHEAD_VERSION="lint"' -I. "-I$B/gen")
findings < <(cppcheck "${options[@]}" "${files[@]}" 2>&1 | sort -u)
