# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# For the checks in this folder: sourced by each, sets the directory to the tree's root. Not -e: a
# grep that finds nothing is good news here. What fails otherwise writes to standard error, which
# is a finding like any other.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

B=${B:-build}
SKIPPED=77

# The files of the tree whose names fit any of the patterns (all without patterns), one a line:
# those that git tracks or, where there is no git, those that are not below build/.
tree_files() {
    {
        git -c safe.directory='*' ls-files -- "$@" 2>/dev/null ||
            find . -path ./build -prune -o -type f -print | sed 's,^\./,,' | fitting "$@"
    } | while read -r file; do
        if [ -f "$file" ]; then echo "$file"; fi
    done
}

fitting() {
    local name pattern
    while read -r name; do
        for pattern in "${@:-*}"; do
            # shellcheck disable=SC2053
            if [[ $name == $pattern ]]; then
                echo "$name"
                break
            fi
        done
    done
}

# Ends the check as skipped when a program that it needs is missing.
needs() {
    if ! command -v "$1" >/dev/null; then
        echo "$1 is not installed"
        exit $SKIPPED
    fi
}

# Prints what it reads; ends the check with 1 if that is anything.
findings() {
    local found
    found=$(cat)
    if [ -n "$found" ]; then
        echo "$found"
        exit 1
    fi
}
