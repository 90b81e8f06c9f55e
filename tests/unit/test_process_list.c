// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The table of `bulkhead ps`, with this program in the warden's place and the jail's prisoner as a
// device: what it says of each jail is what the kernel does, and looking leaves no trace.
#include "tests/unit/jail_fixture.h"

#include "jail/filter_read.h"
#include "jail/policy/reach.h"
#include "main/process_json.c"
#include "main/process_list.c"
#include "main/process_names.c"
#include "main/process_table.c"

// Of main/process_scan.c this test needs what is printed, not what is found.
void scan_printable(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

void scan_vm_name(int proc, pid_t warden, char name[VM_NAME_SIZE])
{
    snprintf(name, VM_NAME_SIZE, "test");
}

int scan_role(int proc, pid_t pid, char role[SCAN_ROLE_SIZE])
{
    snprintf(role, SCAN_ROLE_SIZE, "block0");
    return 0;
}

// --- a prisoner with a filter, and the table with it ---

static void start(struct prisoner *prisoner, const char *command, int number)
{
    int theirs, filter = filter_memfd(number);

    prisoner_prepare(prisoner, command, &theirs);
    prisoner->descriptors[1] = (struct jail_descriptor){filter, PROBE_FILTER};
    prisoner->spec.descriptor_count = 2;
    prisoner->spec.limits.tasks = 2;
    prisoner_start(prisoner, theirs, 0, false);
    close(filter);
    while (strcmp(prisoner_hear(prisoner).name, PROBE_READY) != 0)
        ;
}

static struct process_vm read_vm(const struct prisoner *prisoner)
{
    struct scan_process processes[] = {{.pid = prisoner->jailed.pid, .parent = getpid()},
                                       {.pid = 1, .parent = 0}};
    const struct scan scan = {.processes = processes, .count = array_size(processes)};
    struct process_vm vm;
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(process_vm_read(&vm, &scan, proc, getpid()), 0);
    close(proc);
    return vm;
}

static unsigned all_calls(void)
{
    const struct reach all = reach_all();

    return reach_count(&all);
}

// The kernel's word for what a process does: 'S' for one that waits, 'T' or 't' for a stopped one.
static char state_of(pid_t pid)
{
    char path[32], text[1024];
    _cleanup_fd_
    int fd = -1;
    ssize_t length;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    length = read(fd, text, sizeof(text) - 1);
    assert_true(length > 0);
    text[length] = '\0';
    return strrchr(text, ')')[2];
}

static char settled_state_of(pid_t pid)
{
    for (int i = 0; i < 1000 && state_of(pid) == 'R'; i++)
        usleep(1000);
    return state_of(pid);
}

// --- tests ---

static void a_jail_is_shown_as_it_is(void **state)
{
    struct prisoner prisoner;
    struct process_vm vm;
    const struct process_row *row;

    start(&prisoner, "lockdown", SYS_getpriority);
    vm = read_vm(&prisoner);
    assert_int_equal(vm.count, 2);
    assert_string_equal(vm.rows[0].role, "warden");
    assert_int_equal(vm.rows[0].calls, CALLS_ALL);
    row = &vm.rows[1];
    assert_int_equal(row->pid, prisoner.jailed.pid);
    assert_string_equal(row->role, "block0");
    assert_int_equal(row->facts_error, 0);
    assert_int_equal(row->own_namespaces, (1u << JAIL_NAMESPACE_COUNT) - 1);
    assert_int_equal(row->facts.seccomp_mode, 2);
    assert_int_equal(row->facts.seccomp_filters, 1);
    assert_true(row->facts.no_new_privs);
    assert_int_equal(process_capabilities(row), 0);
    assert_int_equal(row->threads, 1);
    assert_true(row->facts.executable_size > 10000);
    assert_true(process_own_memory(row) > 0);
    if (geteuid() == 0) {
        assert_int_equal(row->calls, all_calls() - 1);
        assert_int_equal(vm.calls_error, 0);
    } else {
        assert_int_equal(row->calls, CALLS_UNKNOWN);
        assert_int_equal(vm.calls_error, -EACCES);
    }
    process_vm_clear(&vm);
    prisoner_release(&prisoner);
}

static void a_shared_namespace_is_not_its_own(void **state)
{
    struct prisoner prisoner;
    struct process_vm vm;
    int theirs;

    prisoner_prepare(&prisoner, "wait", &theirs);
    prisoner_start(&prisoner, theirs, JAIL_BIT(JAIL_NETWORK_NS), true);
    vm = read_vm(&prisoner);
    assert_int_equal(vm.rows[1].own_namespaces,
                     ((1u << JAIL_NAMESPACE_COUNT) - 1) & ~JAIL_BIT(JAIL_NETWORK_NS));
    process_vm_clear(&vm);
    prisoner_release(&prisoner);
}

static void a_thread_with_another_filter_has_its_own_row(void **state)
{
    struct prisoner prisoner;
    struct process_vm vm;

    start(&prisoner, "careless", -1);
    vm = read_vm(&prisoner);
    assert_int_equal(vm.count, 3);
    assert_int_equal(vm.rows[1].threads, 2);
    assert_int_equal(vm.rows[2].pid, prisoner.jailed.pid);
    assert_int_not_equal(vm.rows[2].thread, 0);
    assert_int_equal(vm.rows[1].facts.seccomp_mode, 2);
    assert_int_equal(vm.rows[2].facts.seccomp_mode, 0);
    assert_int_equal(vm.rows[2].calls, CALLS_ALL);
    process_vm_clear(&vm);
    prisoner_release(&prisoner);
}

static void threads_that_are_alike_share_a_row(void **state)
{
    struct prisoner prisoner;
    struct process_vm vm;

    start(&prisoner, "threads", -1);
    vm = read_vm(&prisoner);
    assert_int_equal(vm.count, 2);
    assert_int_equal(vm.rows[1].threads, 2);
    process_vm_clear(&vm);
    prisoner_release(&prisoner);
}

static void looking_stops_nobody(void **state)
{
    struct prisoner prisoner;

    start(&prisoner, "lockdown", -1);
    for (int i = 0; i < 20; i++) {
        struct process_vm vm = read_vm(&prisoner);

        process_vm_clear(&vm);
        assert_int_equal(settled_state_of(prisoner.jailed.pid), 'S');
    }
    prisoner_release(&prisoner);
}

// Somebody else has stopped it: that is not undone, and its filter is read all the same.
static void what_was_stopped_stays_stopped(void **state)
{
    struct prisoner prisoner;
    struct process_vm vm;

    start(&prisoner, "lockdown", -1);
    // From outside of its PID namespace even pid 1 can be stopped.
    kill(prisoner.jailed.pid, SIGSTOP);
    for (int i = 0; i < 1000 && state_of(prisoner.jailed.pid) != 'T'; i++)
        usleep(1000);
    vm = read_vm(&prisoner);
    assert_int_equal(vm.count, 2);
    if (geteuid() == 0)
        assert_int_equal(vm.rows[1].calls, all_calls());
    process_vm_clear(&vm);
    assert_int_equal(settled_state_of(prisoner.jailed.pid), 'T');
    kill(prisoner.jailed.pid, SIGCONT);
    prisoner_release(&prisoner);
}

static void who_has_ended_is_left_out(void **state)
{
    struct scan_process processes[1];
    const struct scan scan = {.processes = processes, .count = 1};
    struct process_vm vm;
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    processes[0] = (struct scan_process){.pid = pid, .parent = getpid()};
    assert_int_equal(process_vm_read(&vm, &scan, proc, getpid()), 0);
    assert_int_equal(vm.count, 1);
    process_vm_clear(&vm);
    assert_int_equal(process_vm_read(&vm, &scan, proc, pid), -ESRCH);
    close(proc);
}

static void a_dead_thread_has_no_filters(void **state)
{
    struct jail_filter filters[2];
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    assert_int_equal(jail_filters_read(pid, filters, 2), geteuid() == 0 ? -ESRCH : -EACCES);
}

// --- what is printed, from facts that are made up ---

static struct process_row made_up_rows[] = {
    {.role = "warden",
     .pid = 100,
     .threads = 1,
     .calls = CALLS_ALL,
     .facts = {.executable_size = 409601,
               .pss_anonymous = 100,
               .pss_file = 20,
               .capabilities = {0, 0, 0, 0x1ffffffffff, 0}}},
    {.role = "coordinator",
     .pid = 101,
     .threads = 2,
     .calls = 12,
     .own_namespaces = 0x7f & ~JAIL_BIT(JAIL_NETWORK_NS),
     .facts = {.executable_size = 1024,
               .pss_anonymous = 30,
               .pss_file = 4,
               .pss_shared = 99999,
               .seccomp_mode = 2,
               .seccomp_filters = 1,
               .no_new_privs = true,
               .capabilities = {0, 1 << 12, 1 << 12, 0, 0}}},
    {.role = "vcpu0",
     .pid = 101,
     .thread = 102,
     .threads = 1,
     .calls = CALLS_UNKNOWN,
     .own_namespaces = 0x7f,
     .facts = {.seccomp_mode = 2, .seccomp_filters = 2, .no_new_privs = true}},
    {.role = "rng0", .pid = 103, .facts_error = -EACCES},
};

static const struct process_vm made_up = {
    .name = "work",
    .warden = 100,
    .rows = made_up_rows,
    .count = array_size(made_up_rows),
    .calls_error = -EACCES,
};

static void the_table_has_a_row_for_each(void **state)
{
    static const char expected[] =
        "VM work\n"
        "  PID  PROCESS       PROGRAM   MEMORY  THREADS  NAMESPACES  SECCOMP    CALLS  NNP  "
        "CAPABILITIES\n"
        "  100  warden        401 KiB  120 KiB        1  0/7         off          all  no   "
        "none, 41 bounding\n"
        "  101  coordinator     1 KiB   34 KiB        2  6/7 -net    1 filter      12  yes  "
        "net_admin\n"
        "  102    vcpu0                                  7/7         2 filters      -  yes  "
        "none\n"
        "  103  rng0                -        -        -  -           -              -  -    "
        "-\n"
        "3 processes; memory beside the guest's own: 154 KiB\n"
        "-: not to be read: Permission denied; root and the VM's user can\n"
        "CALLS -: the kernel shows filters only to root; use 'sudo bulkhead ps'\n";
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    process_print_table(&made_up, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static unsigned times(const char *text, char sought)
{
    unsigned count = 0;

    for (; *text != '\0'; text++)
        count += *text == sought;
    return count;
}

static void json_says_the_same(void **state)
{
    const struct process_vm vms[] = {made_up, made_up};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    process_print_json(vms, 2, out);
    fclose(out);
    assert_int_equal(times(text, '{'), times(text, '}'));
    assert_int_equal(times(text, '['), times(text, ']'));
    assert_int_equal(times(text, '"') % 2, 0);
    assert_non_null(strstr(text, "\"name\": \"work\", \"warden\": 100"));
    assert_non_null(strstr(text, "\"pid\": 101, \"thread\": 102, \"role\": \"vcpu0\""));
    assert_non_null(strstr(text, "\"calls\": 12}"));
    assert_non_null(strstr(text, "\"calls\": \"all\"}"));
    assert_non_null(strstr(text, "\"calls\": null}"));
    assert_non_null(strstr(text, "\"shared\": [\"net\"]"));
    assert_non_null(strstr(text, "\"effective\": [\"cap_net_admin\"]"));
    assert_non_null(strstr(text, "\"role\": \"rng0\", \"readable\": false}"));
    free(text);
}

static int all_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jail_is_shown_as_it_is),
        cmocka_unit_test(a_shared_namespace_is_not_its_own),
        cmocka_unit_test(a_thread_with_another_filter_has_its_own_row),
        cmocka_unit_test(threads_that_are_alike_share_a_row),
        cmocka_unit_test(looking_stops_nobody),
        cmocka_unit_test(what_was_stopped_stays_stopped),
        cmocka_unit_test(who_has_ended_is_left_out),
        cmocka_unit_test(a_dead_thread_has_no_filters),
        cmocka_unit_test(the_table_has_a_row_for_each),
        cmocka_unit_test(json_says_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_as_root_and_user(all_tests);
}
