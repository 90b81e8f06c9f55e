#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Writes the tables of names that policies may use, from the headers of this machine:
#   constants.sh OUTPUT_DIRECTORY [COMPILER]
# makes OUTPUT_DIRECTORY/policy_constants.inc (every integer macro and enumerator of the headers
# that
# constants.list names, sorted) and OUTPUT_DIRECTORY/policy_calls.inc (system calls of x86_64, from
# libseccomp and the kernel's headers).
#
# A macro is a constant if the compiler takes it for an integer constant expression; so the compiler
# is asked, and what it refuses is dropped.
set -euo pipefail
export LC_ALL=C

out=$1
cc=${2:-gcc}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

# The headers of one group, as far as this machine has them.
includes() {
    sed -n "s/^$1:[[:space:]]*//p" "$here/constants.list" | tr -s ' ' '\n' |
        sed 's/.*/#if __has_include(<&>)\n#include <&>\n#endif/'
}

# Names of object-like macros and of enumerators.
candidates() {
    {
        "$cc" -D_GNU_SOURCE -E -dM "$1" | sed -n 's/^#define \([A-Z][A-Za-z0-9_]*\) ..*/\1/p'
        "$cc" -D_GNU_SOURCE -E -P "$1" | tr '\n' ' ' | grep -oE 'enum( [A-Za-z0-9_]+)? *\{[^}]*\}' |
            sed -e 's/^[^{]*{//' -e 's/}$//' | tr ',' '\n' |
            sed -n 's/^ *\([A-Z][A-Z0-9_]*\)\( .*\|=.*\)\?$/\1/p'
    } | grep -vE '^(SYS_|UINT|INT[0-9_]|PRI|SCN|SIZE_MAX|WCHAR_|WINT_|SIG_ATOMIC|PTRDIFF_)' |
        sort -u
}

# Prints "NAME VALUE" for those candidates that are integer constants.
evaluate() {
    local group=$1 bad
    includes "$group" >"$work/head.c"
    candidates "$work/head.c" >"$work/names"
    while :; do
        {
            cat "$work/head.c"
            echo '#include <stdio.h>'
            echo 'static const struct { const char *name; unsigned long long value; } values[] = {'
            # `| 0` refuses floating point and pointers.
            sed 's/.*/{ "&", (unsigned long long)((&) | 0) },/' "$work/names"
            echo '};'
            echo 'int main(void) {'
            echo 'for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)'
            echo 'printf("%s %llu\n", values[i].name, values[i].value); }'
        } >"$work/probe.c"
        first=$(($(wc -l <"$work/head.c") + 2))
        if "$cc" -D_GNU_SOURCE -w -O0 "$work/probe.c" -o "$work/probe" 2>"$work/errors"; then
            "$work/probe"
            return
        fi
        bad=$(sed -n 's/.*probe\.c:\([0-9]*\):.*/\1/p' "$work/errors" | sort -un |
            awk -v first="$first" '$1 > first { printf "%dd;", $1 - first }')
        if [ -z "$bad" ]; then
            echo "constants.sh: headers of group $group contradict each other:" >&2
            head -n 20 "$work/errors" >&2
            exit 1
        fi
        sed -i "$bad" "$work/names"
    done
}

for group in $(sed -n 's/^\([a-z0-9]*\):.*/\1/p' "$here/constants.list" | sort -u); do
    evaluate "$group"
done >"$work/all"
# Newer than the headers of some machines; a header's own value goes first.
sed -n 's/^=\([A-Z0-9_]*\) \(.*\)$/\1 \2/p' "$here/constants.list" >>"$work/all"

awk '!seen[$1]++ { print $1, $2 }' "$work/all" | sort -k1,1 >"$work/sorted"
# Offsets instead of pointers: a table of pointers would be relocated at each start of the program.
{
    echo 'static const char constant_names[] ='
    awk '{ printf "\"%s\\0\"\n", $1 }' "$work/sorted"
    echo ';'
    echo 'static const uint32_t constant_offsets[] = {'
    awk '{ printf "%d,\n", at; at += length($1) + 1 }' "$work/sorted"
    echo '};'
    echo 'static const uint64_t constant_values[] = {'
    awk '{ printf "%sULL,\n", $2 }' "$work/sorted"
    echo '};'
} >"$out/policy_constants.inc.new"

cat >"$work/calls.c" <<'PROBE'
#include <seccomp.h>
#include <stdio.h>
int main(void)
{
    for (int number = 0; number < 1024; number++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
        if (name)
            printf("%s %d\n", name, number);
    }
}
PROBE
"$cc" "$work/calls.c" -o "$work/calls" -lseccomp
{
    "$work/calls"
    echo '#include <asm/unistd_64.h>' | "$cc" -E -dM - |
        sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/\1 \2/p'
} | sort -u -k1,1 | awk '{ printf "{\"%s\", %s},\n", $1, $2 }' >"$out/policy_calls.inc.new"

for file in policy_constants policy_calls; do
    mv "$out/$file.inc.new" "$out/$file.inc"
done
