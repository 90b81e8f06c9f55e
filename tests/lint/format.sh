#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Every C file is as clang-format would write it (.clang-format).
. "$(dirname "$0")/files.bash"

needs clang-format
mapfile -t files < <(tree_files '*.c' '*.h')
# One finding for each line that differs, without the text that clang-format quotes.
findings < <(
    clang-format --dry-run -Werror "${files[@]}" 2>&1 | grep -E '^[^ ]+: error:' |
        sed -E 's/:[0-9]+: error: code should be clang-formatted.*/: run clang-format on it/' |
        sort -u
)
