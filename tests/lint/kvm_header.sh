#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# <linux/kvm.h> is known in vcpu/ only, and what others include of vcpu/ does not bring it along.
# Excepted are tests, and the list from which policies learn the kernel's names.
. "$(dirname "$0")/files.bash"

public='vcpu/(hypervisor|vcpu)\.h' # what the rest of the tree may include

others() {
    tree_files '*.c' '*.h' | grep -vE '^(vcpu|tests)/'
}

findings < <(
    {
        others | xargs grep -nHE '#\s*include\s*[<"]linux/kvm' |
            sed -E 's,^([^:]+:[0-9]+):.*,\1: KVM is known in vcpu/ only,'
        others | xargs grep -nHE '#\s*include "vcpu/' | grep -vE "\"$public\"" |
            sed -E 's,^([^:]+:[0-9]+):.*,\1: a header that is private to vcpu/,'
        for header in vcpu/hypervisor.h vcpu/vcpu.h; do
            "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -I. -M -x c "$header" | grep -q 'linux/kvm\.h' &&
                echo "$header:1: includes <linux/kvm.h>, which its users must not see"
        done
    } 2>&1
)
