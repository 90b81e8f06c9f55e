// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Memory that start-up has touched and that is not needed again.
#pragma once

// Unmaps the pages of the program's own read-only segments (and those of its libraries): what runs
// on comes back from the file by itself. Before lock-down, since it needs madvise(2). Cannot fail:
// where the kernel refuses, the pages stay.
void jail_forget_startup_pages(void);
