// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// For sanitizer builds only: in a jail there is no /proc, without which the leak check cannot work.
#ifdef BULKHEAD_SANITIZE
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#else
typedef int nothing_to_compile;
#endif
