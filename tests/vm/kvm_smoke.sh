#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What vcpu/ promises, on a real KVM: runs the micro guests of tests/guest/.
set -eu
cd "$(dirname "$0")/../.."
exec tests/vm/host/run --timeout 300 "${BUILD:-build}/test/guest/kvm_smoke"
