// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Finding VMs in /proc: names from command lines of all forms, and wardens among other processes.
// This program, under the name `bulkhead` and with `run` as its verb, stands in for a warden.
#include "main/process_scan.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

// Arguments as /proc/PID/cmdline has them, '|' for their ends.
static void assert_name(const char *arguments, const char *expected)
{
    char text[1024], name[VM_NAME_SIZE];
    size_t length = strlen(arguments);

    memcpy(text, arguments, length + 1);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '|')
            text[i] = '\0';
    scan_name_of_arguments(text, length, 42, name);
    assert_string_equal(name, expected);
}

static void names_are_those_that_the_warden_was_told(void **state)
{
    assert_name("bulkhead|run|--name|work|", "work");
    assert_name("bulkhead|run|--name=work|--kernel|vmlinuz|", "work");
    assert_name("bulkhead|run|--kernel|vmlinuz|--rng|--name|work|other.yaml|", "work");
    assert_name("bulkhead|run|/etc/vms/office.yaml|", "office");
    assert_name("bulkhead|run|--rng|office.yaml|", "office");
    assert_name("bulkhead|run|--kernel|vmlinuz|--cpus=2|office.yaml|", "office");
    assert_name("bulkhead|run|--|--name|", "v-name");
    assert_name("bulkhead|run|--kernel|vmlinuz|", "vm-42");
    assert_name("bulkhead|run|", "vm-42");
    assert_name("", "vm-42");
}

static void names_cannot_write_on_the_terminal(void **state)
{
    assert_name("bulkhead|run|--name|a\033[2Jb\n\"c|", "a??2Jb??c");
    assert_name("bulkhead|run|--name="
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx|",
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void a_parent_is_found_behind_any_name(void **state)
{
    assert_int_equal(parent_in("7 (block0) S 5 7 7"), 5);
    assert_int_equal(parent_in("7 (a) S 1 (b) S 5 7 7"), 5);
    assert_int_equal(parent_in("7 (a)b) c) Z 5 7 7"), 5);
    assert_int_equal(parent_in("7 (block0"), 0);
    assert_int_equal(parent_in(""), 0);
}

static void copy_of_this_program(const char *path)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

    assert_true(from >= 0 && to >= 0);
    while (sendfile(to, from, NULL, 1 << 20) > 0)
        ;
    close(from);
    close(to);
}

// Starts the copy; returns when it and its child run.
static pid_t start_warden(const char *path, const char *verb, pid_t *child)
{
    int ready[2];
    char word[16] = "";
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ready[1], STDOUT_FILENO);
        execl(path, path, verb, "--name", "play", NULL);
        _exit(1);
    }
    close(ready[1]);
    assert_true(read(ready[0], word, sizeof(word) - 1) > 0);
    *child = (pid_t)strtol(word, NULL, 10);
    close(ready[0]);
    return pid;
}

static void end_warden(pid_t pid)
{
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

static void wardens_are_found_among_all(void **state)
{
    char directory[] = "/tmp/test_process_scan-XXXXXX", path[64], name[VM_NAME_SIZE];
    char role[SCAN_ROLE_SIZE];
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    pid_t warden, other, child, child_of_other;
    struct scan scan;

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/bulkhead", directory);
    copy_of_this_program(path);
    warden = start_warden(path, "run", &child);
    other = start_warden(path, "wait", &child_of_other);
    unlink(path); // as after an upgrade
    rmdir(directory);

    assert_int_equal(scan_read(&scan, proc), 0);
    assert_true(is_listed(&scan, warden));
    assert_false(is_listed(&scan, other));
    assert_false(is_listed(&scan, child));
    assert_false(is_listed(&scan, getpid()));
    assert_int_equal(scan_warden_of(&scan, warden), warden);
    assert_int_equal(scan_warden_of(&scan, child), warden);
    assert_int_equal(scan_warden_of(&scan, child_of_other), 0);
    assert_int_equal(scan_warden_of(&scan, getpid()), 0);
    scan_vm_name(proc, warden, name);
    assert_string_equal(name, "play");
    assert_int_equal(scan_role(proc, child, role), 0);
    // Its argv[0] is the path, whose slashes no name has.
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash, '/'))
        *slash = '?';
    path[SCAN_ROLE_SIZE - 1] = '\0';
    assert_string_equal(role, path);
    scan_clear(&scan);
    end_warden(warden);
    end_warden(other);
    close(proc);
}

// The stand-in: a child that is a copy of it, as a jail is for a moment before it runs its own
// program.
static void __attribute__((noreturn)) stand_in(void)
{
    pid_t child = fork();

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    printf("%d\n", (int)child);
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_that_the_warden_was_told),
        cmocka_unit_test(names_cannot_write_on_the_terminal),
        cmocka_unit_test(a_parent_is_found_behind_any_name),
        cmocka_unit_test(wardens_are_found_among_all),
    };

    if (argc > 1)
        stand_in();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
