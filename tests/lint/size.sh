#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Lines have at most 100 characters in code and scripts, files at most 600 lines.
. "$(dirname "$0")/files.bash"

width=100
length=600

# Files that are code: by their names, or by "#!" in their first line.
code() {
    tree_files '*.c' '*.h' '*.sh' '*.bash' '*.proto'
    tree_files | grep -vE '\.[^/]*$' | while read -r file; do
        if [ "$(head -c 2 "$file" | tr -d '\0')" = '#!' ]; then echo "$file"; fi
    done
}

findings < <(
    {
        # Characters, not bytes: awk of Debian would count the latter.
        code | LC_ALL=C.UTF-8 xargs grep -nHE ".{$((width + 1))}" |
            sed -E "s,^([^:]+:[0-9]+):.*,\1: has more than $width characters,"
        tree_files '*.c' '*.h' '*.sh' '*.bash' '*.proto' '*.policy' '*.md' Makefile |
            xargs awk -v limit=$length 'FNR == limit + 1 {
                print FILENAME ":" FNR ": the file is longer than " limit " lines; split it"
            }'
    } 2>&1
)
