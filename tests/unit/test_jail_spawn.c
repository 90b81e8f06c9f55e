// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// jail_spawn: what a process in a jail can do (nothing), what the warden is told when a jail cannot
// be made, and that nothing leaks into it or stays behind.
#include "tests/unit/jail_fixture.h"

#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

// Listens where the prisoner could reach it without its network namespace.
static void listen_outside(struct probe_host *host, int listeners[2])
{
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(inet);

    listeners[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listeners[0], (struct sockaddr *)&inet, sizeof(inet)), 0);
    assert_int_equal(listen(listeners[0], 1), 0);
    assert_int_equal(getsockname(listeners[0], (struct sockaddr *)&inet, &size), 0);
    host->tcp_port = ntohs(inet.sin_port);

    snprintf(host->abstract_name, sizeof(host->abstract_name), "jail-%d", (int)getpid());
    memcpy(local.sun_path + 1, host->abstract_name, sizeof(host->abstract_name));
    listeners[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listeners[1], (struct sockaddr *)&local,
                          offsetof(struct sockaddr_un, sun_path) + 1 + sizeof(host->abstract_name)),
                     0);
    assert_int_equal(listen(listeners[1], 1), 0);
}

static void a_prisoner_can_do_nothing(void **state)
{
    struct prisoner prisoner;
    struct probe_host host = {.warden = getpid()};
    struct probe_result result;
    int theirs, listeners[2], wrong = 0, count = 0;

    listen_outside(&host, listeners);
    prisoner_prepare(&prisoner, "attempts", &theirs);
    host.uid = geteuid() == 0 ? prisoner.spec.uid : geteuid();
    host.descriptors = prisoner.spec.limits.descriptors;
    host.tasks = prisoner.spec.limits.tasks;
    host.address_space = prisoner.spec.limits.address_space;
    host.file_size = prisoner.spec.limits.file_size;
    // The warden's habits must not reach it.
    umask(0);
    signal(SIGPIPE, SIG_IGN);
    prisoner_start(&prisoner, theirs, 0, false);
    signal(SIGPIPE, SIG_DFL);
    umask(022);
    host.landlock = !(prisoner.jailed.missing & JAIL_BIT(JAIL_LANDLOCK));
    assert_int_equal(send(prisoner.socket, &host, sizeof(host), 0), sizeof(host));
    for (result = prisoner_hear(&prisoner); strcmp(result.name, PROBE_READY) != 0;
         result = prisoner_hear(&prisoner), count++)
        if (result.error != result.expected) {
            print_error("%s: %d (%s), expected %d (%s)\n", result.name, result.error,
                        strerror(result.error), result.expected, strerror(result.expected));
            wrong++;
        }
    assert_int_equal(wrong, 0);
    assert_in_range(count, 41, 100);
    prisoner_release(&prisoner);
    close(listeners[0]);
    close(listeners[1]);
}

// The probe's attempts would succeed outside: the test can fail.
static void the_attempts_succeed_without_a_jail(void **state)
{
    struct probe_host host = {0};
    int listeners[2], client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    listen_outside(&host, listeners);
    inet.sin_port = htons(host.tcp_port);
    assert_int_equal(connect(client, (struct sockaddr *)&inet, sizeof(inet)), 0);
    assert_int_equal(access("/etc/passwd", R_OK), 0);
    assert_int_equal(kill(getppid(), 0) == 0 || errno == EPERM, 1);
    close(client);
    close(listeners[0]);
    close(listeners[1]);
}

// Fifty descriptors of all kinds, none of them close-on-exec, and sources that lie on each other's
// targets.
static void no_descriptor_leaks(void **state)
{
    struct prisoner prisoner;
    int theirs, open_ones[50], swapped[2];

    for (size_t i = 0; i < array_size(open_ones); i++)
        open_ones[i] = i % 3 == 0   ? open("/dev/null", O_RDWR)
                       : i % 3 == 1 ? memfd_create("x", 0)
                                    : socket(AF_UNIX, SOCK_STREAM, 0);
    prisoner_prepare(&prisoner, "wait", &theirs);
    // Ours at number 4 is to become 3 and the other way round, whatever was there.
    assert_int_equal(dup2(open_ones[0], PROBE_SOCKET) >= 0, 1);
    swapped[0] = dup2(theirs, PROBE_FILTER);
    swapped[1] = PROBE_SOCKET;
    prisoner.descriptors[0] = (struct jail_descriptor){swapped[0], PROBE_SOCKET};
    prisoner.descriptors[1] = (struct jail_descriptor){swapped[1], PROBE_FILTER};
    prisoner.spec.descriptor_count = 2;
    prisoner_start(&prisoner, theirs, 0, true);
    if (prisoner_verify(&prisoner) != 0)
        fail_msg("%s", prisoner.reason);
    close(swapped[0]);
    prisoner_release(&prisoner);
    for (size_t i = 0; i < array_size(open_ones); i++)
        close(open_ones[i]);
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

// What jail_spawn says to a spec, and that it leaves neither child nor descriptor.
static void assert_refused(struct prisoner *prisoner, int theirs, int error, const char *words)
{
    unsigned before = count_descriptors();
    int got =
        jail_spawn(&prisoner->spec, &prisoner->jailed, prisoner->reason, sizeof(prisoner->reason));

    if (got != error || !strstr(prisoner->reason, words))
        fail_msg("%d: %s", got, prisoner->reason);
    assert_int_equal(strcspn(prisoner->reason, "\n"), strlen(prisoner->reason));
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    close(theirs);
    close(prisoner->socket);
}

static void a_descriptor_that_is_not_open_is_refused(void **state)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner.descriptors[0].source = 999;
    assert_refused(&prisoner, theirs, -EBADF, "probe: ");
}

static void a_doubled_target_is_refused(void **state)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner.descriptors[1] = prisoner.descriptors[0];
    prisoner.spec.descriptor_count = 2;
    assert_refused(&prisoner, theirs, -EINVAL, "probe: ");
}

// For anybody else there is only one uid to have.
static void root_must_say_which_uid(void **state)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner.spec.uid = 0;
    if (geteuid() == 0) {
        assert_refused(&prisoner, theirs, -EINVAL, "uid of its own");
        return;
    }
    prisoner_start(&prisoner, theirs, 0, true);
    assert_int_equal(prisoner_verify(&prisoner), 0);
    prisoner_release(&prisoner);
}

static void a_stage_that_all_kernels_have_cannot_be_left_out(void **state)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner.spec.allow_missing = JAIL_BIT(JAIL_DESCRIPTORS);
    assert_refused(&prisoner, theirs, -EINVAL, "probe: ");
}

static void a_file_that_is_no_executable_is_named(void **state)
{
    struct prisoner prisoner;
    int theirs, text = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner.spec.executable_fd = text;
    assert_refused(&prisoner, theirs, -EACCES, "stage exec failed");
    close(text);
}

static void a_limit_above_our_own_is_told(void **state)
{
    struct prisoner prisoner;
    struct rlimit limit;
    int theirs;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner.spec.limits.descriptors = limit.rlim_max + 1;
    assert_refused(&prisoner, theirs, -EPERM, "ulimit");
}

// Runs a check in a child that has a user namespace of its own, where no further one may be made.
// The child must not fail by assertion, which would go on with the other tests in it.
static void without_user_namespaces(int (*check)(void))
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        uid_t uid = geteuid() ? geteuid() : 65534;
        int limit;

        if (geteuid() == 0 && (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0))
            _exit(1);
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        if (unshare(CLONE_NEWUSER) != 0 || jail_identity_map(getpid(), uid, uid) != 0)
            _exit(2);
        limit = open("/proc/sys/user/max_user_namespaces", O_WRONLY);
        if (write(limit, "0", 1) != 1)
            _exit(3);
        close(limit);
        _exit(check());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int check_forbidden(void)
{
    struct prisoner prisoner;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    if (jail_spawn(&prisoner.spec, &prisoner.jailed, prisoner.reason, 512) != -ENOSPC)
        return 10;
    return strstr(prisoner.reason, "user.max_user_namespaces=0") &&
                   strstr(prisoner.reason, "--allow-missing user-ns")
               ? 0
               : 11;
}

static int check_forbidden_and_allowed(void)
{
    struct prisoner prisoner;
    struct probe_result result;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner.spec.allow_missing |= JAIL_BIT(JAIL_USER_NS);
    if (jail_spawn(&prisoner.spec, &prisoner.jailed, prisoner.reason, 512) != 0 ||
        recv(prisoner.socket, &result, sizeof(result), 0) != sizeof(result))
        return 10;
    if ((prisoner.jailed.missing & ~JAIL_BIT(JAIL_LANDLOCK)) != JAIL_BIT(JAIL_USER_NS))
        return 11;
    if (prisoner_verify(&prisoner) != 0) {
        print_error("%s\n", prisoner.reason);
        return 12;
    }
    // Who did not allow it does not get it past the verification.
    prisoner.spec.allow_missing &= ~JAIL_BIT(JAIL_USER_NS);
    return prisoner_verify(&prisoner) == -EPERM ? 0 : 13;
}

static void forbidden_user_namespaces_are_explained(void **state)
{
    without_user_namespaces(check_forbidden);
}

static void a_missing_stage_can_be_allowed(void **state)
{
    without_user_namespaces(check_forbidden_and_allowed);
}

static void wait_for_exit(int pidfd)
{
    struct pollfd exited = {.fd = pidfd, .events = POLLIN};

    assert_int_equal(poll(&exited, 1, 5000), 1);
}

// The socket stays open here, so that only the signal can end it.
static void a_prisoner_dies_with_its_warden(void **state)
{
    struct prisoner prisoner;
    int theirs, told[2], pidfd, status;
    pid_t warden, pid = -1;

    prisoner_prepare(&prisoner, "wait", &theirs);
    assert_int_equal(pipe(told), 0);
    warden = fork();
    if (warden == 0) {
        if (jail_spawn(&prisoner.spec, &prisoner.jailed, prisoner.reason, 512) != 0)
            _exit(1);
        (void)!write(told[1], &prisoner.jailed.pid, sizeof(pid));
        pause();
    }
    close(theirs);
    assert_string_equal(prisoner_hear(&prisoner).name, PROBE_READY);
    assert_int_equal(read(told[0], &pid, sizeof(pid)), sizeof(pid));
    pidfd = syscall(SYS_pidfd_open, pid, 0);
    assert_true(pidfd >= 0);
    assert_int_equal(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 50), 0);
    kill(warden, SIGKILL);
    assert_int_equal(waitpid(warden, &status, 0), warden);
    wait_for_exit(pidfd);
    close(pidfd);
    close(told[0]);
    close(told[1]);
    close(prisoner.socket);
}

// The race: the warden died before the child could ask for its death signal.
static void a_child_notices_that_its_warden_is_gone(void **state)
{
    struct jail_child child = {0};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    child.warden = pair[0];
    assert_int_equal(jail_death_signal_apply(&child), 0);
    close(pair[1]);
    assert_int_equal(jail_death_signal_apply(&child), -EOWNERDEAD);
    prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    close(pair[0]);
}

static void threads_are_counted(void **state)
{
    struct prisoner prisoner;
    struct probe_result result;
    int theirs;

    prisoner_prepare(&prisoner, "threads", &theirs);
    prisoner.spec.limits.tasks = 2;
    prisoner_start(&prisoner, theirs, 0, false);
    for (result = prisoner_hear(&prisoner); strcmp(result.name, PROBE_READY) != 0;
         result = prisoner_hear(&prisoner))
        assert_int_equal(result.error, result.expected);
    assert_int_equal(prisoner_verify(&prisoner), 0);
    prisoner.spec.limits.tasks = 1;
    assert_int_equal(prisoner_verify(&prisoner), -EPERM);
    prisoner_release(&prisoner);
}

static void a_dynamic_executable_runs_with_libraries(void **state)
{
    struct prisoner prisoner;
    int theirs, status, sh = open("/bin/sh", O_RDONLY | O_CLOEXEC);
    const char *const argv[] = {"sh", "-c", "test ! -e /etc -a -d /usr/lib", NULL};

    prisoner_prepare(&prisoner, "", &theirs);
    prisoner.spec.executable_fd = sh;
    prisoner.spec.argv = argv;
#ifndef BULKHEAD_SANITIZE
    assert_int_equal(jail_spawn(&prisoner.spec, &prisoner.jailed, prisoner.reason, 512), -ENOENT);
    assert_non_null(strstr(prisoner.reason, "link it statically"));
#endif
    prisoner.spec.libraries = true;
    prisoner_start(&prisoner, theirs, 0, false);
    assert_int_equal(waitpid(prisoner.jailed.pid, &status, 0), prisoner.jailed.pid);
    assert_int_equal(status, 0);
    close(prisoner.jailed.pidfd);
    close(prisoner.socket);
    close(sh);
}

static void uids_do_not_collide(void **state)
{
    assert_int_equal(jail_uid(1, 0), 0x70000000 + 60);
    assert_int_equal(jail_uid(4194303, 59), 0x7effffff);
    assert_int_equal(jail_uid(1, 59) + 1, jail_uid(2, 0));
    assert_int_equal(jail_uid(1, 60), 0);
    assert_int_equal(jail_uid(0, 1), 0);
}

static void stages_have_names(void **state)
{
    for (int stage = 0; stage < JAIL_STAGE_COUNT; stage++) {
        int found = jail_stage_from_name(jail_stage_name(stage));

        assert_int_equal(found, jail_stages[stage].may_be_missing ? stage : -EPERM);
        assert_non_null(jail_stage_purpose(stage));
    }
    assert_int_equal(jail_stage_from_name("landlok"), -EINVAL);
}

static int group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prisoner_can_do_nothing),
        cmocka_unit_test(the_attempts_succeed_without_a_jail),
        cmocka_unit_test(no_descriptor_leaks),
        cmocka_unit_test(a_descriptor_that_is_not_open_is_refused),
        cmocka_unit_test(a_doubled_target_is_refused),
        cmocka_unit_test(root_must_say_which_uid),
        cmocka_unit_test(a_stage_that_all_kernels_have_cannot_be_left_out),
        cmocka_unit_test(a_file_that_is_no_executable_is_named),
        cmocka_unit_test(a_limit_above_our_own_is_told),
        cmocka_unit_test(forbidden_user_namespaces_are_explained),
        cmocka_unit_test(a_missing_stage_can_be_allowed),
        cmocka_unit_test(a_prisoner_dies_with_its_warden),
        cmocka_unit_test(a_child_notices_that_its_warden_is_gone),
        cmocka_unit_test(threads_are_counted),
        cmocka_unit_test(a_dynamic_executable_runs_with_libraries),
        cmocka_unit_test(uids_do_not_collide),
        cmocka_unit_test(stages_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_as_root_and_user(group);
}
