// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The warden: opens what the configuration names, starts every process of a VM in its jail, and
// reaps it. It is the only process of a VM that can open a path; it sees no guest data.
#pragma once

struct vm_config;

// Runs one VM to its end. *config stays the caller's. Returns the exit status of `bulkhead run`: 0
// power off, 10 reset under --on-reset exit, 11 panic, 1 could not start or failed.
int warden_run(struct vm_config *config);
