// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// jail_verify: a good jail passes, and a jail that lacks any stage which can be read back does not.
// Also the filter that the prisoner installs itself, and the facts for tables.
#include "tests/unit/jail_fixture.h"

#include <sys/stat.h>

static void assert_found_out(struct prisoner *prisoner, const char *words)
{
    int error = prisoner_verify(prisoner);

    if (error != -EPERM || !strstr(prisoner->reason, words))
        fail_msg("%d: \"%s\", not \"%s\"", error, prisoner->reason, words);
}

static void a_good_jail_passes(void **state)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner_start(&prisoner, theirs, 0, true);
    assert_int_equal(prisoner.jailed.missing & ~JAIL_BIT(JAIL_LANDLOCK), 0);
    if (prisoner_verify(&prisoner) != 0)
        fail_msg("%s", prisoner.reason);
    prisoner_release(&prisoner);
}

// What is said when one stage is switched off. Without the user namespace only root can make the
// others; without the root stage the mounts are the host's.
static const struct {
    enum jail_stage stage;
    const char *words;
    bool needs_root;
} holes[] = {
    {JAIL_USER_NS, "shares our user-ns", true},
    {JAIL_PID_NS, "shares our pid-ns", false},
    {JAIL_NETWORK_NS, "shares our network-ns", false},
    {JAIL_IPC_NS, "shares our ipc-ns", false},
    {JAIL_UTS_NS, "shares our uts-ns", false},
    {JAIL_CGROUP_NS, "shares our cgroup-ns", false},
    {JAIL_SESSION, "session", false},
    {JAIL_IDENTITY, "uid", true},
    {JAIL_ROOT, "root is not", false},
    {JAIL_CAPABILITIES, "bounding capabilities", false},
    {JAIL_NO_NEW_PRIVS, "no_new_privs", false},
    {JAIL_LIMITS, "limit of", false},
};

static void every_missing_stage_is_found_out(void **state)
{
    for (size_t i = 0; i < array_size(holes); i++) {
        struct prisoner prisoner;
        uint32_t skipped = JAIL_BIT(holes[i].stage);
        int theirs;

        if (holes[i].needs_root && geteuid() != 0)
            continue;
        // A user without a uid of its own cannot make directories in a root with libraries.
        if (holes[i].stage == JAIL_IDENTITY)
            skipped |= JAIL_BIT(JAIL_ROOT);
        // Landlock without no_new_privs needs rights that a prisoner has not.
        if (holes[i].stage == JAIL_NO_NEW_PRIVS)
            skipped |= JAIL_BIT(JAIL_LANDLOCK);
        prisoner_prepare(&prisoner, "wait", &theirs);
        prisoner_start(&prisoner, theirs, skipped, true);
        assert_found_out(&prisoner, holes[i].words);
        prisoner_release(&prisoner);
    }
}

static void without_a_mount_namespace_there_is_no_root(void **state)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner_start(&prisoner, theirs, JAIL_BIT(JAIL_MOUNT_NS) | JAIL_BIT(JAIL_ROOT), true);
    assert_found_out(&prisoner, "shares our mount-ns");
    prisoner_release(&prisoner);

    // And the root stage refuses to empty the machine's.
    prisoner_prepare(&prisoner, "wait", &theirs);
    assert_int_equal(jail_spawn_without(&prisoner.spec, JAIL_BIT(JAIL_MOUNT_NS), &prisoner.jailed,
                                        prisoner.reason, sizeof(prisoner.reason)),
                     -ENOSYS);
    close(theirs);
    close(prisoner.socket);
}

// All descriptors that were open here are open there, and the socket is where it was.
static void leaked_descriptors_are_found_out(void **state)
{
    struct prisoner prisoner;
    int theirs, leak = memfd_create("leak", 0);

    prisoner_prepare(&prisoner, "wait", &theirs);
    assert_true(dup2(theirs, PROBE_SOCKET) >= 0);
    prisoner_start(&prisoner, theirs, JAIL_BIT(JAIL_DESCRIPTORS), true);
    close(PROBE_SOCKET);
    assert_found_out(&prisoner, "uninvited");
    close(leak);
    prisoner_release(&prisoner);
}

static void what_came_later_is_counted_by_kind(void **state)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "pipe", &theirs);
    prisoner_start(&prisoner, theirs, 0, false);
    assert_int_equal(prisoner_hear(&prisoner).error, 0);
    assert_string_equal(prisoner_hear(&prisoner).name, PROBE_READY);
    assert_found_out(&prisoner, "pipe:[");
    prisoner.spec.later[JAIL_FD_PIPE] = 1;
    assert_found_out(&prisoner, "pipe:[");
    prisoner.spec.later[JAIL_FD_PIPE] = 2;
    assert_int_equal(prisoner_verify(&prisoner), 0);
    prisoner_release(&prisoner);
}

static void another_executable_is_found_out(void **state)
{
    struct prisoner prisoner;
    int theirs, other = open("/bin/sh", O_RDONLY | O_CLOEXEC);

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner_start(&prisoner, theirs, 0, true);
    prisoner.spec.executable_fd = other;
    assert_found_out(&prisoner, "another executable");
    close(other);
    prisoner_release(&prisoner);
}

#ifndef BULKHEAD_SANITIZE
static void libraries_that_were_not_asked_for_are_found_out(void **state)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner.spec.libraries = true;
    prisoner_start(&prisoner, theirs, 0, true);
    if (prisoner_verify(&prisoner) != 0)
        fail_msg("%s", prisoner.reason);
    prisoner.spec.libraries = false;
    assert_found_out(&prisoner, "more than one mount");
    prisoner_release(&prisoner);
}
#endif

static void two_jails_share_nothing(void **state)
{
    struct prisoner prisoners[2];
    struct jail_facts facts[2];

    for (int i = 0; i < 2; i++) {
        int theirs;

        prisoner_prepare(&prisoners[i], "wait", &theirs);
        prisoners[i].spec.uid += i;
        prisoner_start(&prisoners[i], theirs, 0, true);
        assert_int_equal(jail_verify(&prisoners[i].jailed, &prisoners[i].spec, &facts[i],
                                     prisoners[i].reason, sizeof(prisoners[i].reason)),
                         0);
    }
    assert_int_equal(jail_shared_namespace(&facts[0], &facts[1]), JAIL_NAMESPACE_COUNT);
    assert_int_equal(jail_shared_namespace(&facts[0], &facts[0]), JAIL_USER_NS);
    for (int i = 0; i < 2; i++)
        prisoner_release(&prisoners[i]);
}

static void a_dead_process_is_not_verified(void **state)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner_start(&prisoner, theirs, 0, true);
    close(prisoner.socket);
    waitid(P_PID, prisoner.jailed.pid, &(siginfo_t){0}, WEXITED | WNOWAIT);
    assert_int_equal(prisoner_verify(&prisoner), -ESRCH);
    waitpid(prisoner.jailed.pid, NULL, 0);
    assert_int_equal(prisoner_verify(&prisoner), -ESRCH);
    close(prisoner.jailed.pidfd);
}

// A prisoner whose filter is asked for; `number` is the system call that kills it.
static void start_with_filter(struct prisoner *prisoner, const char *command, int number)
{
    int theirs, filter = filter_memfd(number);

    prisoner_prepare(prisoner, command, &theirs);
    prisoner->descriptors[1] = (struct jail_descriptor){filter, PROBE_FILTER};
    prisoner->spec.descriptor_count = 2;
    prisoner->spec.limits.tasks = 2;
    prisoner->spec.allow_missing = JAIL_BIT(JAIL_LANDLOCK);
    prisoner_start(prisoner, theirs, 0, false);
    close(filter);
}

static void a_locked_down_prisoner_passes(void **state)
{
    struct prisoner prisoner;
    struct jail_facts facts;

    start_with_filter(&prisoner, "lockdown", -1);
    assert_string_equal(prisoner_hear(&prisoner).name, PROBE_READY);
    if (jail_verify(&prisoner.jailed, &prisoner.spec, &facts, prisoner.reason, 512) != 0)
        fail_msg("%s", prisoner.reason);
    assert_int_equal(facts.seccomp_mode, 2);
    assert_int_equal(facts.seccomp_filters, 1);
    prisoner_release(&prisoner);
}

static void the_filter_is_in_force(void **state)
{
    struct prisoner prisoner;
    char byte;
    int status = -1;

    start_with_filter(&prisoner, "lockdown", SYS_sendto);
    assert_int_equal(recv(prisoner.socket, &byte, 1, 0), 0);
    assert_int_equal(waitpid(prisoner.jailed.pid, &status, 0), prisoner.jailed.pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
    assert_false(WCOREDUMP(status));
    close(prisoner.socket);
    close(prisoner.jailed.pidfd);
}

static void a_prisoner_without_filter_is_found_out(void **state)
{
    struct prisoner prisoner;

    start_with_filter(&prisoner, "wait", -1);
    assert_string_equal(prisoner_hear(&prisoner).name, PROBE_READY);
    assert_found_out(&prisoner, "no seccomp filter");
    prisoner_release(&prisoner);
}

static void a_thread_without_filter_is_found_out(void **state)
{
    struct prisoner prisoner;

    start_with_filter(&prisoner, "careless", -1);
    assert_int_equal(prisoner_hear(&prisoner).error, 0);
    assert_string_equal(prisoner_hear(&prisoner).name, PROBE_READY);
    assert_found_out(&prisoner, "no seccomp filter");
    prisoner_release(&prisoner);
}

static void a_filter_file_is_not_trusted(void **state)
{
    struct sock_filter program[4];
    char bytes[sizeof(program) + 8] = {0};
    int fd = memfd_create("filter", MFD_CLOEXEC);

    assert_int_equal(jail_lockdown_read(-1, program, 4), -EBADF);
    assert_int_equal(jail_lockdown_read(fd, program, 4), -EINVAL); // empty
    assert_int_equal(write(fd, bytes, 12), 12);
    assert_int_equal(jail_lockdown_read(fd, program, 4), -EINVAL); // one and a half
    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(jail_lockdown_read(fd, program, 4), -E2BIG);
    assert_int_equal(jail_lockdown_install(program, 0, JAIL_LOCKDOWN_THREAD), -EINVAL);
    assert_int_equal(jail_lockdown_install(program, 5000, JAIL_LOCKDOWN_THREAD), -EINVAL);
    assert_int_equal(ftruncate(fd, 5000 * sizeof(program[0])), 0);
    assert_int_equal(jail_lockdown_filter(fd), -E2BIG);
    assert_int_equal(fcntl(fd, F_GETFD), -1); // taken
}

static void facts_are_told(void **state)
{
    struct prisoner prisoner;
    struct jail_facts facts;
    struct stat executable;

    start_with_filter(&prisoner, "lockdown", -1);
    assert_string_equal(prisoner_hear(&prisoner).name, PROBE_READY);
    assert_int_equal(jail_describe(prisoner.jailed.pid, &facts), 0);
    assert_int_equal(fstat(probe_executable, &executable), 0);
    assert_int_equal(facts.executable_size, executable.st_size);
    assert_int_equal(facts.own_namespaces, JAIL_BIT(JAIL_NAMESPACE_COUNT) - 1);
    assert_int_equal(facts.seccomp_mode, 2);
    assert_int_equal(facts.threads, 1);
    assert_true(facts.no_new_privs);
    assert_in_range(facts.pss, 1, 1 << 16);
    assert_true(facts.pss >= facts.pss_anonymous);
    prisoner_release(&prisoner);
    assert_int_equal(jail_describe(prisoner.jailed.pid, &facts), -ESRCH);

    // And about a process without a jail: ourselves.
    assert_int_equal(jail_describe(getpid(), &facts), 0);
    assert_int_equal(facts.own_namespaces, 0);
    assert_int_equal(facts.seccomp_mode, 0);
    assert_int_equal(facts.uid[0], getuid());
}

static int group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_jail_passes),
        cmocka_unit_test(every_missing_stage_is_found_out),
        cmocka_unit_test(without_a_mount_namespace_there_is_no_root),
        cmocka_unit_test(leaked_descriptors_are_found_out),
        cmocka_unit_test(what_came_later_is_counted_by_kind),
        cmocka_unit_test(another_executable_is_found_out),
#ifndef BULKHEAD_SANITIZE
        cmocka_unit_test(libraries_that_were_not_asked_for_are_found_out),
#endif
        cmocka_unit_test(two_jails_share_nothing),
        cmocka_unit_test(a_dead_process_is_not_verified),
        cmocka_unit_test(a_locked_down_prisoner_passes),
        cmocka_unit_test(the_filter_is_in_force),
        cmocka_unit_test(a_prisoner_without_filter_is_found_out),
        cmocka_unit_test(a_thread_without_filter_is_found_out),
        cmocka_unit_test(a_filter_file_is_not_trusted),
        cmocka_unit_test(facts_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_as_root_and_user(group);
}
