#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Every executable but the coordinator is free of KVM code, and none in libexec has a compiler of
# policies: what is not linked cannot be misused.
. "$(dirname "$0")/files.bash"

mapfile -t programs < <(find "$B/libexec" -type f -perm -u+x 2>/dev/null | sort)
if [ ${#programs[@]} -eq 0 ]; then
    echo "nothing is built; run 'make' first"
    exit $SKIPPED
fi
# Functions and objects of vcpu/ that others can link.
vcpu=$(nm --defined-only -g "$B"/lib/vcpu*.a 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
[ -n "$vcpu" ] || { echo "$B/lib/vcpu.a:1: has no symbols"; exit 1; }

check() {
    local program=$1 symbols
    symbols=$(nm --defined-only "$program" | awk 'NF == 3 { print $3 }' | sort -u)
    [ -n "$symbols" ] || echo "$program:1: is stripped, so that nothing can be said about it"
    if [ "$(basename "$program")" != coordinator ]; then
        comm -12 <(echo "$vcpu") <(echo "$symbols") | sed "s,.*,$program:1: links & of vcpu/,"
    fi
    grep -E '^(_?seccomp_|policy_(load|compile))' <<<"$symbols" |
        sed "s,.*,$program:1: links & of the policies' compiler,"
}

findings < <(for program in "${programs[@]}"; do check "$program"; done 2>&1)
