#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Lines have at most 100 characters in C and messages, 130 in scripts (a command with its pattern is
# one line), files at most 600 lines.
. "$(dirname "$0")/files.bash"

length=600

# Scripts: by their names, or by "#!" in their first line.
scripts() {
    tree_files '*.sh' '*.bash'
    tree_files | grep -vE '\.[^/]*$' | while read -r file; do
        if [ "$(head -c 2 "$file" | tr -d '\0')" = '#!' ]; then echo "$file"; fi
    done
}

# too_wide WIDTH: of the files on standard input. Characters, not bytes: Debian's awk counts those.
too_wide() {
    LC_ALL=C.UTF-8 xargs grep -nHE ".{$(($1 + 1))}" |
        sed -E "s,^([^:]+:[0-9]+):.*,\\1: has more than $1 characters,"
}

findings < <(
    {
        tree_files '*.c' '*.h' '*.proto' | too_wide 100
        scripts | too_wide 130
        tree_files '*.c' '*.h' '*.sh' '*.bash' '*.proto' '*.policy' '*.md' Makefile |
            xargs awk -v limit=$length 'FNR == limit + 1 {
                print FILENAME ":" FNR ": the file is longer than " limit " lines; split it"
            }'
    } 2>&1
)
