#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Rule 8: guest memory has one door. Host addresses of guest memory exist in memory/ only, and in
# vcpu/ where they are given to the hypervisor. Tests are excepted: they play the guest.
. "$(dirname "$0")/files.bash"

# The code without its comments, as file:line:text, of C files outside the folders that are named.
code_outside() {
    tree_files '*.c' '*.h' | grep -vE "^($1)/" |
        xargs awk '{ sub(/\/\/.*/, ""); print FILENAME ":" FNR ":" $0 }'
}

# Members that end in "_" are private to memory/: their names, from the headers themselves.
members=$(sed -E 's,//.*,,' memory/*.h | grep -oE '\b[a-z][a-z_]*_(\[[^]]*\])?;' |
    sed -E 's/_(\[[^]]*\])?;//' | sort -u | paste -sd '|')
[ -n "$members" ] || { echo "memory: has no private members; this check is blind"; exit 1; }

report() { # what it means, pattern; reads file:line:text
    grep -E "^[^:]+:[0-9]+:.*($2)" | sed -E "s#^([^:]+:[0-9]+):.*#\1: $1#"
}

findings < <(
    {
        code_outside 'memory|tests' | report 'a raw pointer to guest memory' 'guest_memory_host\b'
        code_outside 'memory|tests' | report 'a header that is private to memory/' \
            '"memory/(guest_memory_private|chain|ring_layout)\.h"'
        code_outside 'memory|tests' | report 'a member that is private to memory/' \
            "(\.|->)($members)_\b"
        code_outside 'memory|tests' | report 'looks into a piece of guest memory' \
            '([])A-Za-z0-9_]\.|->)iov_base'
        code_outside 'memory|vcpu|tests' | report 'is for vcpu/ alone' 'guest_memory_host_base'
    } 2>&1
)
