#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The manuals agree with the table of options, with `--help`'s exit statuses and with mandoc's
# rules. `tests/lint/manual.sh` checks; `tests/lint/manual.sh --write` brings the lists in the
# manuals up to date.
set -euo pipefail
cd "$(dirname "$0")/../.."

mode=${1:-check}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -I. tests/lint/manual.c main/config/schema.c \
    main/config/values.c -o "$scratch/manual"

# page, argument of the generator
generated_list() {
    local page=$1 kind=$2
    "$scratch/manual" "$kind" >"$scratch/list"
    if [ "$(grep -c '^\.\\" begin: ' "$page")" != 1 ] ||
        [ "$(grep -c '^\.\\" end$' "$page")" != 1 ]; then
        echo "$page: needs one 'begin:' and one 'end' comment around its list" >&2
        return 1
    fi
    awk -v list="$scratch/list" '
        /^\.\\" end$/ { inside = 0 }
        !inside { print }
        /^\.\\" begin: / { inside = 1; while ((getline line < list) > 0) print line }
    ' "$page" >"$scratch/page"
    if cmp -s "$page" "$scratch/page"; then
        return 0
    fi
    if [ "$mode" = --write ]; then
        cp "$scratch/page" "$page"
        echo "$page: brought up to date"
        return 0
    fi
    echo "$page: differs from main/config/schema.c; run tests/lint/manual.sh --write" >&2
    diff -u "$page" "$scratch/page" | sed -n '3,20p' >&2
    return 1
}

generated_list docs/bulkhead-run.1 run || failed=1
generated_list docs/bulkhead.yaml.5 yaml || failed=1

for page in docs/*.[1-8]; do
    if command -v mandoc >/dev/null; then
        mandoc -T lint -W warning "$page" >&2 || failed=1
    elif groff -mdoc -ww -z "$page" 2>&1 | grep . >&2; then
        failed=1
    fi
done
exit $failed
