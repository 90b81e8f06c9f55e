# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What the VM tests share. A test sources this first, in the project's folder:
#
#   . tests/vm/vm.bash [OPTION of tests/vm/host/run...]
#
# That makes the guest's parts and starts the test again where /dev/kvm works. There, the test starts
# guests that each run a script of their own, waits for what they say, and prints one line for each
# promise: "ok NAME", "not ok NAME" or "skip NAME: reason". Ends with 1 when one was not kept.
set -u

B=${BUILD:-build}
bulkhead=$B/bulkhead
guest=build/cache/guest
patience=${VM_PATIENCE:-240} # seconds for any one thing: a bound, not a measurement

if [ -z "${BULKHEAD_VM_TEST-}" ]; then
    tests/vm/guest/build kernel test || exit 1
    BULKHEAD_VM_TEST=1 exec tests/vm/host/run --timeout 1400 "$@" "$0"
fi

. tests/vm/refusal.bash
work=$(mktemp -d "${TMPDIR:-/tmp}/bulkhead-vm.XXXXXX")
failed=0
declare -A shown=() vm_pid=() vm_ended=() vm_began=()
vm_status=

vm_finish() {
    local name
    for name in "${!vm_pid[@]}"; do
        [ -n "${vm_ended[$name]-}" ] || kill -KILL "${vm_pid[$name]}" 2>/dev/null
    done
    rm -rf "$work"
}
trap vm_finish EXIT

# --- promises ---------------------------------------------------------------------------------

pass() { # NAME
    echo "ok $1"
}

fail() { # NAME [EVIDENCE-FILE...]: with the last lines of each file, once
    local file
    echo "not ok $1"
    shift
    for file; do
        [ "$(stat -c %s "$file" 2>/dev/null)" != "${shown[$file]-}" ] || continue
        shown[$file]=$(stat -c %s "$file" 2>/dev/null)
        echo "    --- ${file##*/}"
        tail -n 30 "$file" 2>/dev/null | tr -d '\r' | sed 's/^/    /'
    done
    failed=1
}

# check NAME VM COMMAND...: keeps the promise when the command succeeds; VM is whose logs are shown.
check() {
    local promise=$1 name=$2
    shift 2
    if "$@"; then pass "$promise"; else fail "$promise" "$work/$name.err" "$work/$name.log"; fi
}

# --- a VM -------------------------------------------------------------------------------------

# An initrd whose /script is what comes on standard input: a second archive behind the first.
vm_initrd() { # FILE
    mkdir -p "$work/pack"
    cat >"$work/pack/script"
    {
        cat "$guest/test-initrd"
        (cd "$work/pack" && echo script | busybox cpio -o -H newc 2>/dev/null)
    } >"$1"
}

# Starts a VM whose guest runs the script on standard input; its serial port goes to NAME.log, the
# warden's words to NAME.err. An option given again replaces what is said here.
vm_start() { # NAME OPTION...
    local name=$1 kernel=$guest/vmlinux serial="file=$work/$1.log" memory=192M
    shift
    vm_initrd "$work/$name.initrd"
    : >"$work/$name.log"
    chmod 666 "$work/$name.log"
    local argument
    for argument; do
        case $argument in
        --kernel=* | --kernel) kernel= ;;
        --serial=* | --serial) serial= ;;
        --memory=* | --memory) memory= ;;
        esac
    done
    "$bulkhead" run --name "$name" --initrd "$work/$name.initrd" \
        --cmdline="console=ttyS0 quiet loglevel=2 ${vm_cmdline-}" \
        ${kernel:+--kernel "$kernel"} ${serial:+--serial "$serial"} ${memory:+--memory "$memory"} \
        "$@" <"${vm_input:-/dev/null}" >"${vm_output:-$work/$name.out}" 2>"$work/$name.err" &
    vm_pid[$name]=$! vm_began[$name]=$SECONDS
    unset "vm_ended[$name]"
}

# Waits for the end of a VM and leaves its status in vm_status; "timeout" after our patience.
vm_wait() { # NAME [SECONDS]
    local pid=${vm_pid[$1]} end=$((SECONDS + ${2:-$patience}))
    while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do
        sleep 0.5
    done
    vm_status=
    if kill -0 "$pid" 2>/dev/null; then
        vm_status=timeout
        kill -KILL "$pid"
    fi
    wait "$pid" 2>/dev/null
    vm_status=${vm_status:-$?}
    vm_ended[$1]=1
    echo "# $1 ended with $vm_status after $((SECONDS - vm_began[$1])) s"
}

# Waits until a file has a line with the pattern; fails when the VM has ended without it.
vm_await() { # NAME PATTERN [FILE]
    local file=${3:-$work/$1.log} end=$((SECONDS + patience))
    while ! grep -aqE "$2" "$file" 2>/dev/null; do
        if ! kill -0 "${vm_pid[$1]}" 2>/dev/null || [ "$SECONDS" -ge "$end" ]; then
            grep -aqE "$2" "$file" 2>/dev/null
            return
        fi
        sleep 0.5
    done
}

vm_log_has() { # NAME PATTERN
    grep -aqE "$2" "$work/$1.log"
}

vm_error_has() { # NAME PATTERN
    grep -aqE "$2" "$work/$1.err"
}

# One line and no other on the warden's standard error.
vm_error_is() { # NAME PATTERN
    [ "$(wc -l <"$work/$1.err")" -eq 1 ] && vm_error_has "$@"
}

vm_ended_with() { # STATUS
    [ "$vm_status" = "$1" ] || { echo "    ended with $vm_status, not $1" && false; }
}

# What the guest's script said of these promises ("ok NAME"), for each.
vm_said() { # NAME PROMISE...
    local name=$1 promise
    shift
    for promise; do
        check "$promise" "$name" grep -aqE "^ok $promise.?$" "$work/$name.log"
    done
}

# The process with this role (coordinator, block0, ...) of a running VM.
vm_process() { # NAME ROLE
    "$bulkhead" ps "${vm_pid[$1]}" | awk -v role="$2" '$2 == role { print $1; exit }'
}

# Every process of a running VM but the warden.
vm_children() { # NAME
    cat "/proc/${vm_pid[$1]}"/task/*/children 2>/dev/null
}

# None of these processes lives (a process that nobody has reaped yet does not live).
none_alive() { # PID...
    local pid
    for pid; do
        grep -q '^State:.[^ZX]' "/proc/$pid/status" 2>/dev/null && return 1
    done
    return 0
}

within() { # SECONDS COMMAND...: the command succeeds before the time is over
    local end
    end=$(($(date +%s%N) + $1 * 1000000000))
    shift
    while ! "$@"; do
        [ "$(date +%s%N)" -lt "$end" ] || return 1
        sleep 0.05
    done
}
