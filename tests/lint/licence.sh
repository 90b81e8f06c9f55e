#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Every source file says its licence in its first line, or in the second below "#!".
. "$(dirname "$0")/files.bash"

line='SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause'

# Texts and inputs of tests are no sources.
sources() {
    tree_files | grep -vE '^(LICENSE-|tests/fuzz/corpus/)|\.(md|bin|png)$|(^|/)\.gitignore$'
}

check() {
    local file=$1 number=1 first
    IFS= read -r first <"$file" || true
    if [[ $first == '#!'* ]]; then
        first=$(sed -n 2p "$file")
        number=2
    fi
    [[ $first == *"$line"* ]] || echo "$file:$number: the line '$line' is missing"
}

findings < <(sources | while read -r file; do check "$file"; done 2>&1)
