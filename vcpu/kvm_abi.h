// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The kernel's KVM structures. Several of them end in an array without size, behind which vcpu/
// puts the entries: an extension that gcc and clang both have, and that clang remarks on.
// Private to vcpu/.
#pragma once

#include <assert.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif
