// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Names of system calls (a table that constants.sh makes from what libseccomp knows) and of groups
// of calls, and what a misspelt word was perhaps meant to be.
#include "jail/policy/model.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 48 // longest word for which suggestions are sought

// Sorted by name. Names stand in the table itself: nothing to relocate at start.
static const struct {
    char name[30];
    uint16_t number;
} table[] = {
#include "policy_calls.inc"
};

int policy_call_number(const char *name)
{
    size_t low = 0, high = array_size(table);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, table[middle].name);

        if (order == 0)
            return table[middle].number;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -ENOENT;
}

const char *policy_call_name(unsigned call)
{
    for (size_t i = 0; i < array_size(table); i++)
        if (table[i].number == call)
            return table[i].name;
    return NULL;
}

// Edit distance with neighbours swapped counted as one step, letters' case as none.
static unsigned distance_between(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned rows[3][WORD_MAX + 1] = {0};

    for (unsigned k = 0; k <= b_length; k++)
        rows[0][k] = k;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];

        now[0] = i;
        for (unsigned k = 1; k <= b_length; k++) {
            bool same = strncasecmp(&a[i - 1], &b[k - 1], 1) == 0;
            unsigned best = before[k - 1] + !same;

            best = before[k] + 1 < best ? before[k] + 1 : best;
            best = now[k - 1] + 1 < best ? now[k - 1] + 1 : best;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
                earlier[k - 2] + 1 < best)
                best = earlier[k - 2] + 1;
            now[k] = best;
        }
    }
    return rows[a_length % 3][b_length];
}

// Which letters occur in a word, case aside: a quick sieve before the distance is counted.
static uint64_t letters_of(const char *word, size_t length)
{
    uint64_t letters = 0;

    for (size_t i = 0; i < length; i++)
        letters |= 1ULL << (word[i] & 0x1f);
    return letters;
}

// One step brings in one new letter at most.
static unsigned letters_apart(uint64_t a, uint64_t b)
{
    unsigned more = (unsigned)__builtin_popcountll(a & ~b);
    unsigned fewer = (unsigned)__builtin_popcountll(b & ~a);

    return more > fewer ? more : fewer;
}

const char *policy_suggest(const char *word, size_t length, const char *best, unsigned *distance,
                           const char *candidate)
{
    size_t other = strlen(candidate), apart = other > length ? other - length : length - other;
    unsigned allowed = length < 9 ? (unsigned)(length + 1) / 3 : 3, steps;

    // A third of the word may be wrong, no more than three letters, and only if that is nearer.
    if (length > WORD_MAX || other > WORD_MAX || apart > allowed || apart >= *distance ||
        letters_apart(letters_of(word, length), letters_of(candidate, other)) > allowed)
        return best;
    steps = distance_between(word, length, candidate, other);
    if (steps > allowed || steps >= *distance)
        return best;
    *distance = steps;
    return candidate;
}

const char *policy_call_suggestion(const char *word, size_t length)
{
    const char *best = NULL;
    unsigned distance = UINT32_MAX;

    for (size_t i = 0; i < array_size(table); i++)
        best = policy_suggest(word, length, best, &distance, table[i].name);
    return best;
}

static const char *const group_memory[] = {"brk",      "mmap",    "munmap",        "mremap",
                                           "mprotect", "madvise", "pkey_mprotect", NULL};
static const char *const group_events[] = {
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2", "poll",
    "ppoll",         "select",    "pselect6",   NULL};
static const char *const group_read_write[] = {"read",  "readv",  "pread64",  "preadv",  "preadv2",
                                               "write", "writev", "pwrite64", "pwritev", "pwritev2",
                                               "close", "lseek",  NULL};
static const char *const group_time[] = {
    "clock_gettime", "clock_getres", "clock_nanosleep", "gettimeofday", "nanosleep", "time", NULL};
static const char *const group_signals[] = {"rt_sigaction", "rt_sigprocmask",  "rt_sigreturn",
                                            "sigaltstack",  "restart_syscall", NULL};
static const char *const group_threads[] = {"futex",       "set_robust_list", "rseq",
                                            "sched_yield", "gettid",          NULL};
static const char *const group_exit[] = {"exit", "exit_group", NULL};
static const char *const group_messages[] = {"sendmsg",  "recvmsg",  "sendto", "recvfrom",
                                             "sendmmsg", "recvmmsg", NULL};

static const struct call_group groups[] = {
    {"events", group_events},         {"exit", group_exit},
    {"memory", group_memory},         {"messages", group_messages},
    {"read-write", group_read_write}, {"signals", group_signals},
    {"threads", group_threads},       {"time", group_time},
};

const struct call_group *policy_group_find(const char *name, size_t length, const char *space,
                                           size_t space_length, bool *space_known)
{
    static const char ours[] = "bulkhead";

    *space_known = space_length == sizeof(ours) - 1 && memcmp(space, ours, space_length) == 0;
    for (size_t i = 0; *space_known && i < array_size(groups); i++)
        if (strlen(groups[i].name) == length && memcmp(groups[i].name, name, length) == 0)
            return &groups[i];
    return NULL;
}
