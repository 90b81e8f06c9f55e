#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Executables are built as hard to attack as the toolchain can: position independent, the jailed
# ones static, relocations read-only and done at the start, no memory both writable and
# executable. Our own code is marked for IBT and SHSTK; whole programs are not, since Debian's C
# library is not.
. "$(dirname "$0")/files.bash"

needs readelf
mapfile -t programs < <(find "$B/libexec" "$B/bulkhead" -type f -perm -u+x 2>/dev/null | sort)
if [ ${#programs[@]} -eq 0 ]; then
    echo "nothing is built; run 'make' first"
    exit $SKIPPED
fi

has() { grep -qE "$1" <<<"$facts"; }

check_program() {
    local program=$1 facts
    facts=$(readelf -W -h -l -d "$program")
    has '^ *Type: +DYN' || echo "$program:1: is not position independent"
    has '^ *GNU_RELRO' || echo "$program:1: has no read-only relocations (RELRO)"
    has 'BIND_NOW|Flags:.* NOW' || echo "$program:1: resolves symbols late (no BIND_NOW)"
    has '^ *GNU_STACK .* RW +0x' || echo "$program:1: its stack is executable, or not marked"
    ! has '^ *LOAD .* [R ]WE ' || echo "$program:1: a segment is writable and executable"
    ! has 'TEXTREL' || echo "$program:1: relocations change its code"
    case $program in
    */libexec/*) ! has '^ *INTERP' || echo "$program:1: is not static" ;;
    esac
}

check_object() {
    local object=$1 facts
    facts=$(readelf -W -n "$object")
    has 'x86 feature:.*IBT' || echo "$object:1: is not marked for indirect branch tracking (IBT)"
    has 'x86 feature:.*SHSTK' || echo "$object:1: is not marked for a shadow stack (SHSTK)"
}

findings < <(
    {
        for program in "${programs[@]}"; do
            check_program "$program"
        done
        tree_files '*.c' | sed "s,.*,$B/obj/&,; s,\.c$,.o," | while read -r object; do
            [ ! -e "$object" ] || check_object "$object"
        done
    } 2>&1
)
