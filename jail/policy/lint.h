// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What a policy says that its author should think about.
#pragma once

#include "jail/policy/policy.h"

// Warns of calls that are dangerous for a device, of rules and conditions that can never match, and
// of values that cannot be what was meant. With `reasons`, also of allowed calls without a comment
// that says why.
void policy_lint(const struct policy *policy, bool reasons, struct policy_diagnostics *diagnostics);
