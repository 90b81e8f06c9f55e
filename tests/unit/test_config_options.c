// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The command line of `bulkhead run`: options alone, options over a file, and each kind of wrong
// usage.
#include "main/config/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define ARGUMENTS_MAX 24

static const struct vm_config_limits limits = {.memory_max = 4096 * MIB};

struct fixture {
    char directory[32];
    char file[48];
};

static int load(struct vm_config *config, struct vm_config_message *message,
                const char *const *arguments)
{
    const char *argv[ARGUMENTS_MAX + 2] = {"run"};
    int argc = 1;

    while (arguments[argc - 1] != NULL) {
        argv[argc] = arguments[argc - 1];
        argc++;
    }
    return vm_config_load(config, argc, (char *const *)argv, &limits, message);
}

#define LOAD(config, message, ...)                                                                 \
    load(config, message, (const char *const[ARGUMENTS_MAX + 1]){__VA_ARGS__})

static void write_file(const struct fixture *fixture, const char *text)
{
    FILE *file = fopen(fixture->file, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (fixture == NULL)
        return -1;
    strcpy(fixture->directory, "/tmp/test-config-XXXXXX");
    if (mkdtemp(fixture->directory) == NULL) {
        free(fixture);
        return -1;
    }
    snprintf(fixture->file, sizeof(fixture->file), "%s/vm.yaml", fixture->directory);
    *state = fixture;
    return 0;
}

static int remove_fixture(void **state)
{
    struct fixture *fixture = *state;

    unlink(fixture->file);
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

static void every_option_reaches_the_model(void **state)
{
    struct vm_config config;
    struct vm_config_message message;

    assert_int_equal(LOAD(&config, &message, "--name=work", "--kernel", "vmlinuz", "--initrd=i",
                          "--cmdline", "console=ttyS0 quiet", "--cpus", "16", "--memory", "2G",
                          "--disk", "path=a=b,,c.img,readonly,id=root,queues=2,engine=io_uring",
                          "--disk=path=d.img", "--serial=file=s.log", "--console", "null",
                          "--console=pty", "--rng", "--on-reset=exit", "--policy-dir=p",
                          "--policy=root=r=1.policy", "--allow-missing=landlock"),
                     0);
    assert_string_equal(config.name, "work");
    assert_string_equal(config.kernel, "vmlinuz");
    assert_string_equal(config.initrd, "i");
    assert_string_equal(config.cmdline, "console=ttyS0 quiet");
    assert_int_equal(config.cpus, 16);
    assert_int_equal(config.memory_bytes, 2048 * MIB);
    assert_int_equal(config.disk_count, 2);
    assert_string_equal(config.disks[0].path, "a=b,c.img");
    assert_string_equal(config.disks[0].id, "root");
    assert_true(config.disks[0].readonly);
    assert_int_equal(config.disks[0].queues, 2);
    assert_int_equal(config.disks[0].engine, VM_BLOCK_IO_URING);
    assert_string_equal(config.disks[1].path, "d.img");
    assert_string_equal(config.disks[1].id, "block1");
    assert_int_equal(config.serial.mode, VM_STREAM_FILE);
    assert_string_equal(config.serial.path, "s.log");
    assert_int_equal(config.console_count, 2);
    assert_int_equal(config.consoles[1].mode, VM_STREAM_PTY);
    assert_true(config.rng);
    assert_int_equal(config.on_reset, VM_RESET_EXIT);
    assert_string_equal(config.policy_dir, "p");
    assert_string_equal(config.policies[0].id, "root");
    assert_string_equal(config.policies[0].path, "r=1.policy");
    assert_string_equal(config.allow_missing[0].name, "landlock");
    vm_config_destroy(&config);
}

static void without_file_the_name_is_made_from_the_pid(void **state)
{
    struct vm_config config;
    struct vm_config_message message;
    char name[32];

    snprintf(name, sizeof(name), "vm-%d", (int)getpid());
    assert_int_equal(LOAD(&config, &message, "--kernel", "k"), 0);
    assert_string_equal(config.name, name);
    vm_config_destroy(&config);
}

static void options_replace_values_and_add_to_lists(void **state)
{
    const struct fixture *fixture = *state;
    struct vm_config config;
    struct vm_config_message message;
    char path[64];

    write_file(fixture, "kernel: k\n"
                        "cpus: 2\n"
                        "memory: 128M\n"
                        "rng: true\n"
                        "serial: file=log\n"
                        "disk: [{path: one}]\n"
                        "policy: [block0=a, rng0=b]\n");
    // The file may stand anywhere: options win over it all the same.
    assert_int_equal(LOAD(&config, &message, "--cpus=4", "--serial=pty", "--rng=false",
                          fixture->file, "--disk=path=two", "--policy=block0=c"),
                     0);
    snprintf(path, sizeof(path), "%s/k", fixture->directory);
    assert_string_equal(config.kernel, path);
    assert_int_equal(config.cpus, 4);
    assert_int_equal(config.memory_bytes, 128 * MIB);
    assert_false(config.rng);
    assert_int_equal(config.serial.mode, VM_STREAM_PTY);
    assert_null(config.serial.path);
    assert_int_equal(config.disk_count, 2);
    assert_string_equal(config.disks[1].path, "two"); // not the file's directory
    assert_int_equal(config.policy_count, 2);
    assert_string_equal(config.policies[0].id, "rng0");
    assert_string_equal(config.policies[1].path, "c");
    assert_string_equal(config.name, "vm");
    vm_config_destroy(&config);
}

static void an_option_can_take_stdio_from_the_file(void **state)
{
    const struct fixture *fixture = *state;
    struct vm_config config;
    struct vm_config_message message;

    write_file(fixture, "kernel: k\nserial: stdio\n");
    assert_int_equal(LOAD(&config, &message, fixture->file, "--console=stdio"), -EINVAL);
    assert_int_equal(LOAD(&config, &message, fixture->file, "--console=stdio", "--serial=null"), 0);
    assert_int_equal(config.consoles[0].mode, VM_STREAM_STDIO);
    assert_int_equal(config.serial.mode, VM_STREAM_NULL);
    vm_config_destroy(&config);
}

static const struct {
    const char *arguments[5];
    const char *message;
} refused[] = {
    {{"--kernal=k"}, "run: unknown option '--kernal'; did you mean '--kernel'?"},
    {{"--colour"}, "run: unknown option '--colour'; 'bulkhead run --help' lists them"},
    {{"-k", "k"}, "run: unknown option '-k'; 'bulkhead run --help' lists them"},
    {{"--"}, "no kernel: name one with --kernel FILE"},
    {{""}, "the name of the VM's file is empty"},
    {{"a.yaml", "b.yaml"}, "'a.yaml' and 'b.yaml' are two files; a VM has one"},
    {{"--", "--cpus", "b.yaml"}, "'--cpus' and 'b.yaml' are two files"},
    {{"--kernel"}, "--kernel: has no value; say --kernel=FILE"},
    {{"--kernel", "--rng"}, "--kernel: has no value; say --kernel=FILE"},
    {{"--kernel="}, "--kernel: the path is empty"},
    {{"--kernel=k", "--kernel=l"}, "--kernel: given twice; keep one"},
    {{"--rng", "--rng"}, "--rng: given twice; keep one"},
    {{"--rng=on"}, "--rng: 'on' is neither true nor false"},
    {{"--cpus=17"}, "--cpus: 17 is out of range; say 1 to 16"},
    {{"--memory", "5G"},
     "--memory: 5G is out of range; say 64M to 4G, which is what this host has"},
    {{"--disk="}, "--disk: disk has no path; add path=FILE"},
    {{"--disk=readonly"}, "--disk: disk has no path; add path=FILE"},
    {{"--disk=a.img"}, "--disk: unknown key 'a.img'; bulkhead-run(1) lists them"},
    {{"--disk=path=a,readony"}, "--disk: unknown key 'readony'; did you mean 'readonly'?"},
    {{"--disk=path=a,path=b"}, "--disk path: given twice; keep one"},
    {{"--disk=path"}, "--disk path: has no value; say path=FILE"},
    {{"--disk=path="}, "--disk path: the path is empty"},
    {{"--disk=path=a,queues=0"}, "--disk queues: 0 is out of range; say 1 to 16"},
    {{"--kernel=k", "--policy=a=1", "--policy=a=2"},
     "policy for 'a' is given twice; keep one of 1 and 2"},
    {{"--kernel=k", "--serial=stdio", "--console=stdio"}, "stdio is asked for by more than one"},
};

static void each_wrong_usage_gets_its_line(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct vm_config config;
        struct vm_config_message message;

        assert_int_equal(load(&config, &message, refused[i].arguments), -EINVAL);
        if (strncmp(message.text, refused[i].message, strlen(refused[i].message)) != 0)
            fail_msg("%s\n gave: %s\n want: %s", refused[i].arguments[0], message.text,
                     refused[i].message);
        assert_null(config.kernel);
    }
}

static void a_file_that_cannot_be_read_is_no_wrong_usage(void **state)
{
    const struct fixture *fixture = *state;
    struct vm_config config;
    struct vm_config_message message;
    char missing[64], expected[200];

    snprintf(missing, sizeof(missing), "%s/none.yaml", fixture->directory);
    assert_int_equal(LOAD(&config, &message, missing), -ENOENT);
    snprintf(expected, sizeof(expected),
             "cannot read '%s': No such file or directory; check the name and its permissions",
             missing);
    assert_string_equal(message.text, expected);
    assert_int_equal(LOAD(&config, &message, fixture->directory), -EISDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_reaches_the_model),
        cmocka_unit_test(without_file_the_name_is_made_from_the_pid),
        cmocka_unit_test(options_replace_values_and_add_to_lists),
        cmocka_unit_test(an_option_can_take_stdio_from_the_file),
        cmocka_unit_test(each_wrong_usage_gets_its_line),
        cmocka_unit_test(a_file_that_cannot_be_read_is_no_wrong_usage),
    };

    return cmocka_run_group_tests(tests, make_fixture, remove_fixture);
}
