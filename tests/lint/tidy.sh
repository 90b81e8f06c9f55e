#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# clang-tidy finds nothing (.clang-tidy has what it looks for). A file that was clean stays so
# until it or a header that it includes changes: results are kept below build/lint/.
. "$(dirname "$0")/files.bash"

needs clang-tidy
needs clang
cache=$B/lint/tidy
mkdir -p "$cache"
flags=(-std=gnu11 -D_GNU_SOURCE -I. "-I$B/gen" '-DBULKHEAD_VERSION="lint"'
    '-DBULKHEAD_LIBEXEC="/lint"' -include tests/lint/errno_model.h -Wno-unused-function)
rules=$(
    {
        clang-tidy --version
        cat .clang-tidy tests/.clang-tidy
        echo "${flags[@]}"
    } | sha256sum | cut -c1-16
)

# One file; prints its findings.
check() {
    local file=$1 preprocessed key
    preprocessed=$(clang "${flags[@]}" -E "$file" 2>/dev/null | sha256sum | cut -c1-32)
    key=$cache/$rules-$preprocessed
    if [ ! -e "$key" ]; then
        if ! clang-tidy --quiet "$file" -- "${flags[@]}" >"$key.new.$$" 2>/dev/null &&
            [ ! -s "$key.new.$$" ]; then
            echo "$file:1:1: error: clang-tidy cannot read it" >"$key.new.$$"
        fi
        mv "$key.new.$$" "$key"
    fi
    grep -E '^[^ ]+:[0-9]+:[0-9]+: (warning|error):' "$key" | sed "s,^$PWD/,," || true
}

if [ "${1:-}" = --one ]; then
    check "$2"
    exit
fi
# What has not been asked for in two weeks belongs to files that are no more.
find "$cache" -type f -mtime +14 -delete
findings < <(tree_files '*.c' | xargs -P 2 -n 1 tests/lint/tidy.sh --one 2>&1 | sort -u)
