# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What the tests of bad input share: one clear line on standard error, the right status, nothing left
# behind. Sourced in the project's folder, with $work a folder of the test and $bulkhead the command.

# Locks a file as a VM would, until standard input ends; says "locked", or ends with 1.
lock_file() { # FILE
    perl -e 'use Fcntl; open F, "+<", shift or exit 1;
        my $lock = pack("ssx4qqix4", F_WRLCK, 0, 0, 0, 0);
        fcntl(F, F_SETLK, $lock) or exit 1;
        $| = 1; print "locked\n"; read STDIN, my $end, 1' "$1"
}

# No process has this file locked.
is_free() { # FILE
    [ "$(lock_file "$1" </dev/null)" = locked ]
}

# Device, loader and coordinator processes of this build.
jailed_processes() {
    find /proc -mindepth 2 -maxdepth 2 -name exe -lname "$PWD/$B/libexec/*" 2>/dev/null
}

# refused PROMISE STATUS PATTERN COMMAND...: the command ends with STATUS in time, says nothing on
# standard output and one line with the PATTERN on standard error, and leaves nothing behind.
refused() {
    local promise=$1 status=$2 pattern=$3 got before after why=
    shift 3
    before=$(jailed_processes; ls -A "$work/inputs")
    timeout --kill-after=1 "${patience:-60}" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null
    got=$?
    after=$(jailed_processes; ls -A "$work/inputs")
    [ "$got" = "$status" ] || why="ended with $got, not $status"
    [ ! -s "$work/stdout" ] || why="$why; something on standard output"
    [ "$(wc -l <"$work/stderr")" = 1 ] || why="$why; not one line"
    grep -qE "^bulkhead: .*($pattern)" "$work/stderr" || why="$why; the line does not say '$pattern'"
    [ "$before" = "$after" ] || why="$why; left behind: $after"
    if [ -z "$why" ]; then
        echo "ok $promise"
    else
        echo "not ok $promise"
        echo "    ${why#; }; it said:"
        sed 's/^/    /' "$work/stderr"
        failed=1
    fi
}
