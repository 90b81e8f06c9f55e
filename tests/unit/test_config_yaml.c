// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The YAML file of a VM: what it may say, and the line, column, cause and remedy of what it may
// not.
#include "main/config/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define K "kernel: k\n"

static const struct vm_config_limits limits = {.memory_max = 4096 * MIB};

static int parse(struct vm_config *config, const char *text, struct vm_config_message *message)
{
    return vm_config_parse(config, "vms/demo.yaml", text, strlen(text), &limits, message);
}

static void every_key_reaches_the_model(void **state)
{
    static const char text[] = "name: work\n"
                               "kernel: vmlinuz\n"
                               "initrd: /boot/initrd\n"
                               "cmdline: >\n"
                               "  console=ttyS0\n"
                               "  root=/dev/vda\n"
                               "cpus: 2\n"
                               "memory: 512M\n"
                               "disk:\n"
                               "  - path: root.img\n"
                               "    readonly: true\n"
                               "  - {path: /srv/data.img, id: data, queues: 4, engine: workers}\n"
                               "serial: file=boot.log\n"
                               "console:\n"
                               "  - stdio\n"
                               "  - pty\n"
                               "rng: true\n"
                               "on-reset: exit\n"
                               "policy-dir: policies\n"
                               "policy:\n"
                               "  - data=data.policy\n"
                               "allow-missing: [landlock, cgroup]\n";
    struct vm_config config;
    struct vm_config_message message;

    assert_int_equal(parse(&config, text, &message), 0);
    assert_string_equal(config.name, "work");
    assert_string_equal(config.kernel, "vms/vmlinuz");
    assert_string_equal(config.initrd, "/boot/initrd");
    assert_string_equal(config.cmdline, "console=ttyS0 root=/dev/vda");
    assert_int_equal(config.cpus, 2);
    assert_int_equal(config.memory_bytes, 512 * MIB);
    assert_int_equal(config.disk_count, 2);
    assert_string_equal(config.disks[0].path, "vms/root.img");
    assert_string_equal(config.disks[0].id, "block0");
    assert_true(config.disks[0].readonly);
    assert_int_equal(config.disks[0].queues, 1);
    assert_int_equal(config.disks[0].engine, VM_BLOCK_AUTO);
    assert_string_equal(config.disks[1].path, "/srv/data.img");
    assert_string_equal(config.disks[1].id, "data");
    assert_false(config.disks[1].readonly);
    assert_int_equal(config.disks[1].queues, 4);
    assert_int_equal(config.disks[1].engine, VM_BLOCK_WORKERS);
    assert_int_equal(config.serial.mode, VM_STREAM_FILE);
    assert_string_equal(config.serial.path, "vms/boot.log");
    assert_int_equal(config.console_count, 2);
    assert_int_equal(config.consoles[0].mode, VM_STREAM_STDIO);
    assert_int_equal(config.consoles[1].mode, VM_STREAM_PTY);
    assert_true(config.rng);
    assert_int_equal(config.on_reset, VM_RESET_EXIT);
    assert_string_equal(config.policy_dir, "vms/policies");
    assert_int_equal(config.policy_count, 1);
    assert_string_equal(config.policies[0].id, "data");
    assert_string_equal(config.policies[0].path, "vms/data.policy");
    assert_int_equal(config.allow_missing_count, 2);
    assert_string_equal(config.allow_missing[1].name, "cgroup");
    vm_config_destroy(&config);
    assert_null(config.kernel);
    assert_int_equal(config.disk_count, 0);
}

static void what_is_left_out_has_its_default(void **state)
{
    struct vm_config config;
    struct vm_config_message message;

    assert_int_equal(parse(&config, K, &message), 0);
    assert_string_equal(config.name, "demo");
    assert_null(config.initrd);
    assert_string_equal(config.cmdline, "");
    assert_int_equal(config.cpus, 1);
    assert_int_equal(config.memory_bytes, 1024 * MIB);
    assert_int_equal(config.disk_count, 0);
    assert_int_equal(config.serial.mode, VM_STREAM_STDIO);
    assert_int_equal(config.console_count, 0);
    assert_false(config.rng);
    assert_int_equal(config.on_reset, VM_RESET_RESTART);
    assert_null(config.policy_dir);
    vm_config_destroy(&config);
}

static void a_console_takes_stdio_from_the_serial_port(void **state)
{
    struct vm_config config;
    struct vm_config_message message;

    assert_int_equal(parse(&config, K "console: [pty, stdio]\n", &message), 0);
    assert_int_equal(config.serial.mode, VM_STREAM_NULL);
    vm_config_destroy(&config);
}

static void the_default_name_is_a_name(void **state)
{
    static const struct {
        const char *file, *name;
    } cases[] = {
        {"demo.yaml", "demo"},
        {"/a/b/my vm.yaml", "my_vm"},
        {"a.b.yml", "a.b"},
        {"../.hidden", "vhidden"},
        {"x/-y", "vy"},
        {"plain", "plain"},
        {"\xc3\xa4\n.yaml", "v__"},
    };
    struct vm_config config;
    struct vm_config_message message;
    char long_name[200];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(vm_config_parse(&config, cases[i].file, K, strlen(K), &limits, &message),
                         0);
        assert_string_equal(config.name, cases[i].name);
        vm_config_destroy(&config);
    }
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(vm_config_parse(&config, long_name, K, strlen(K), &limits, &message), 0);
    assert_int_equal(strlen(config.name), VM_NAME_SIZE - 1);
    vm_config_destroy(&config);
}

// Each text, and the start of the one line that it gets.
static const struct {
    const char *text, *message;
} refused[] = {
    // Keys.
    {K "memroy: 1G\n", ":2:1: unknown key 'memroy'; did you mean 'memory'?"},
    {K "colour: red\n", ":2:1: unknown key 'colour'; bulkhead.yaml(5) lists"},
    {K "disk:\n  - path: a\n    read-only: true\n",
     ":4:5: unknown key 'read-only'; did you mean 'readonly'?"},
    {K "cpus: 1\ncpus: 2\n", ":3:1: the key 'cpus' is doubled (first on line 2); keep one"},
    {K "disk: [{path: a, path: b}]\n", ":2:18: the key 'path' is doubled (first on line 2)"},
    {K "cpus: 1\n\"cpus\": 1\n", ":3:1: the key 'cpus' is doubled"},
    {K "<<: {cpus: 2}\n", ":2:1: the key '<<' is not a word"},
    {K "disk[0]: a\n", ":2:1: the key 'disk[0]' is not a word"},
    {K "? [a]\n: b\n", ":2:3: a key must be a word"},
    {K "\"cp\\0us\": 1\n", ":2:1: the key 'cp' is not a word"},
    {K "a123456789b123456789c123456789d123456789e123456789f123456789g123456789h123456789i123456789"
       "j123456789: 1\n",
     ":2:1: the key 'a123456789b123456789c123456789d123456789' is too long"},
    // Forms.
    {"hello\n", ":1:1: must be lines of the form 'key: value'"},
    {"- kernel\n", ":1:1: must be lines of the form"},
    {"kernel: [a]\n", ":1:9: kernel: must be a single value"},
    {"kernel: {a: b}\n", ":1:9: kernel: must be a single value"},
    {K "disk: a.img\n", ":2:7: disk: must be a list"},
    {K "disk: {path: a.img}\n", ":2:7: disk: must be a list"},
    {K "disk:\n  - a.img\n", ":3:5: disk[0]: must be of the form 'key: value'"},
    {K "disk:\n  - path: [a]\n", ":3:11: disk[0].path: must be a single value"},
    {K "console: pty\n", ":2:10: console: must be a list"},
    {K "console:\n  - pty\n  - [pty]\n", ":4:5: console[1]: must be a single value"},
    {K "console:\n", ":2:9: console: must be a list"},
    {K "disk: [[[[[a]]]]]\n", ":2:10: nested deeper"},
    {"kernel: &a k\ninitrd: *a\n", ":2:9: aliases are not known here"},
    {K "---\n" K, ":2:1: a second document begins"},
    {"kernel: \"a\\0b\"\n", ":1:9: the value has a NUL character"},
    {"kernel: [a\n", ":2:1: did not find expected ',' or ']'"},
    {"kernel: a\n\tcpus: 1\n",
     ":2:1: found a tab character that violates indentation; this is not YAML"},
    {"kernel: \xff\n", ": byte 8: invalid leading UTF-8 octet; save the file as UTF-8"},
    // Values.
    {K "cpus: 0\n", ":2:7: cpus: 0 is out of range; say 1 to 16"},
    {K "cpus: 17\n", ":2:7: cpus: 17 is out of range; say 1 to 16"},
    {K "cpus: 18446744073709551617\n", ":2:7: cpus: 18446744073709551617 is out of range"},
    {K "cpus: -1\n", ":2:7: cpus: '-1' is not a number; say 1 to 16"},
    {K "cpus: two\n", ":2:7: cpus: 'two' is not a number"},
    {K "cpus:\n", ":2:6: cpus: '' is not a number"},
    {K "cpus: 1 2\n", ":2:7: cpus: '1 2' is not a number"},
    {K "memory: 63M\n",
     ":2:9: memory: 63M is out of range; say 64M to 4G, which is what this host"},
    {K "memory: 4097M\n", ":2:9: memory: 4097M is out of range; say 64M to 4G"},
    {K "memory: 18014398509481984K\n", ":2:9: memory: 18014398509481984K is out of range"},
    {K "memory: 16777216T\n", ":2:9: memory: 16777216T is out of range"},
    {K "memory: 1.5G\n", ":2:9: memory: '1.5G' is not a size; say 64M to 4G, with K, M, G or T"},
    {K "memory: 1GB\n", ":2:9: memory: '1GB' is not a size"},
    {K "memory: G\n", ":2:9: memory: 'G' is not a size"},
    {K "memory: 100000K\n", ":2:9: memory: 100000K is not a multiple of 1M"},
    {K "rng: yes\n", ":2:6: rng: 'yes' is neither true nor false"},
    {K "on-reset: stop\n", ":2:11: on-reset: 'stop' is not known; say restart|exit"},
    {K "serial: tty\n", ":2:9: serial: 'tty' is not known; say stdio|null|pty|file=FILE"},
    {K "serial: file=\n", ":2:9: serial: the path is empty"},
    {K "console: [nul]\n", ":2:11: console[0]: 'nul' is not known"},
    {K "name: a/b\n", ":2:7: name: 'a/b' is not a name"},
    {K "name: .a\n", ":2:7: name: '.a' is not a name"},
    {K "name: ''\n", ":2:7: name: '' is not a name"},
    {"kernel: ''\n", ":1:9: kernel: the path is empty"},
    {K "cmdline: \"a\\nb\"\n", ":2:10: cmdline: character 2 is a control character"},
    {K "policy: [a.policy]\n", ":2:10: policy[0]: 'a.policy' names no file; say ID=FILE"},
    {K "policy: [=a]\n", ":2:10: policy[0]: '' is not a name"},
    {K "policy: [0123456789012345678901234567890123=a]\n",
     ":2:10: policy[0]: '01234567890123456789"
     "012345678901' is too long; use at most 31"},
    {K "policy: [a=]\n", ":2:10: policy[0]: the path is empty"},
    {K "allow-missing: [a b]\n", ":2:17: allow-missing[0]: 'a b' is not a name"},
    {K "disk:\n  - id: a\n", ":3:5: disk[0]: disk has no path; add path=FILE"},
    {K "disk: [{}]\n", ":2:8: disk[0]: disk has no path"},
    {K "disk: [{path: a, queues: 17}]\n", ":2:26: disk[0].queues: 17 is out of range; say 1 to 16"},
    {K "disk: [{path: a, engine: aio}]\n",
     ":2:26: disk[0].engine: 'aio' is not known; say auto|io_uring|workers"},
    {K "disk: [{path: a, id: a/b}]\n", ":2:22: disk[0].id: 'a/b' is not a name"},
    {K "disk: [{path: a, id: 12345678901234567890123456789012}]\n",
     ":2:22: disk[0].id: '12345678901234567890123456789012' is too long; use at most 31"},
    {K "console: [pty, pty, pty, pty, pty, pty, pty, pty, pty]\n",
     ":2:51: console[8]: there are more than 8; leave some out"},
};

static void each_fault_gets_its_place_cause_and_remedy(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct vm_config config;
        struct vm_config_message message;
        char expected[400];

        snprintf(expected, sizeof(expected), "vms/demo.yaml%s", refused[i].message);
        assert_int_equal(parse(&config, refused[i].text, &message), -EINVAL);
        if (strncmp(message.text, expected, strlen(expected)) != 0)
            fail_msg("%s\n gave: %s\n want: %s", refused[i].text, message.text, expected);
        assert_null(strchr(message.text, '\n'));
        assert_null(config.kernel); // nothing is left in it
    }
}

// Faults between settings have no one place.
static const struct {
    const char *text, *message;
} contradictions[] = {
    {"", "no kernel: name one with --kernel FILE"},
    {"# nothing\n", "no kernel"},
    {"cpus: 1\n", "no kernel"},
    {K "serial: stdio\nconsole: [stdio]\n", "stdio is asked for by more than one"},
    {K "console: [stdio, stdio]\n", "stdio is asked for by more than one"},
    {K "disk: [{path: a, id: x}, {path: b, id: x}]\n",
     "disk vms/b: disk vms/a has the same id 'x'; give one of them another id"},
    {K "disk: [{path: a, id: block1}, {path: b}]\n",
     "disk vms/b: disk vms/a has the same id 'block1'"},
    {K "disk: [{path: a, id: rng0}]\n", "disk vms/a: the id 'rng0' is kept for another process"},
    {K "disk: [{path: a, id: coordinator}]\n", "disk vms/a: the id 'coordinator' is kept"},
    {K "policy: [a=1, b=2, a=3]\n", "policy for 'a' is given twice; keep one of vms/1 and vms/3"},
};

static void settings_that_contradict_are_refused(void **state)
{
    for (size_t i = 0; i < sizeof(contradictions) / sizeof(contradictions[0]); i++) {
        struct vm_config config;
        struct vm_config_message message;

        assert_int_equal(parse(&config, contradictions[i].text, &message), -EINVAL);
        if (strncmp(message.text, contradictions[i].message, strlen(contradictions[i].message)) !=
            0)
            fail_msg("%s\n gave: %s\n want: %s", contradictions[i].text, message.text,
                     contradictions[i].message);
    }
}

static void limits_are_met_exactly(void **state)
{
    static const char *const accepted[] = {
        K "cpus: 16\n",
        K "cpus: \"1\"\n",
        K "memory: 64M\n",
        K "memory: 4G\n",
        K "memory: 4096m\n",
        K "memory: 65536K\n",
        K "memory: 67108864\n",
        K "disk: []\n",
        K "disk: [{path: a, id: 1234567890123456789012345678901, queues: 16}]\n",
        K "console: [pty, pty, pty, pty, pty, pty, pty, pty]\n",
        K "disk: [{path: a, id: fsx}, {path: b, id: rng-a}]\n",
    };

    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        struct vm_config config;
        struct vm_config_message message;

        if (parse(&config, accepted[i], &message) != 0)
            fail_msg("%s\n gave: %s", accepted[i], message.text);
        vm_config_destroy(&config);
    }
}

// kernel: k, then `count` disks.
static int parse_disks(unsigned count, struct vm_config *config, struct vm_config_message *message)
{
    char text[4096] = K "disk:\n";
    size_t length = strlen(text);

    for (unsigned i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "  - path: d%u\n", i);
    return parse(config, text, message);
}

static void sixteen_disks_fit_and_no_more(void **state)
{
    struct vm_config config;
    struct vm_config_message message;

    assert_int_equal(parse_disks(VM_DISKS_MAX, &config, &message), 0);
    assert_string_equal(config.disks[15].id, "block15");
    vm_config_destroy(&config);
    assert_int_equal(parse_disks(VM_DISKS_MAX + 1, &config, &message), -EINVAL);
    assert_string_equal(message.text,
                        "vms/demo.yaml:19:5: disk[16]: there are more than 16; leave some out");
}

static void long_texts_end_at_their_limit(void **state)
{
    static char text[(64 << 10) + 1];
    struct vm_config config;
    struct vm_config_message message;
    const size_t head = strlen(K "cmdline: ");

    memcpy(text, K "cmdline: ", head);
    memset(text + head, 'a', VM_CMDLINE_SIZE);
    text[head + VM_CMDLINE_SIZE] = '\0';
    assert_int_equal(parse(&config, text, &message), -EINVAL);
    assert_string_equal(message.text,
                        "vms/demo.yaml:2:10: cmdline: 2048 characters are too many; use "
                        "at most 2047");
    text[head + VM_CMDLINE_SIZE - 1] = '\0';
    assert_int_equal(parse(&config, text, &message), 0);
    assert_int_equal(strlen(config.cmdline), VM_CMDLINE_SIZE - 1);
    vm_config_destroy(&config);

    memset(text, '#', sizeof(text));
    assert_int_equal(vm_config_parse(&config, "big.yaml", text, sizeof(text), &limits, &message),
                     -EINVAL);
    assert_string_equal(message.text, "big.yaml: larger than 64 KiB; is this a VM's file?");
}

static void a_flood_of_keys_is_cut_short(void **state)
{
    static char text[(64 << 10) + 1];
    struct vm_config config;
    struct vm_config_message message;
    size_t length = (size_t)snprintf(text, sizeof(text), "allow-missing:\n");

    for (unsigned i = 0; i < 600; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "- s%u\n", i);
    assert_int_equal(parse(&config, text, &message), -EINVAL);
    assert_string_equal(message.text,
                        "vms/demo.yaml:512:3: more than 512 keys and values; leave some out");
}

static void messages_stay_on_one_line(void **state)
{
    struct vm_config config;
    struct vm_config_message message;

    assert_int_equal(parse(&config, K "cpus: \"a\\nb\\e[31m\"\n", &message), -EINVAL);
    assert_string_equal(message.text,
                        "vms/demo.yaml:2:7: cpus: 'a?b?[31m' is not a number; say 1 to 16");
}

static void a_small_host_needs_a_choice_of_memory(void **state)
{
    static const struct vm_config_limits small = {.memory_max = 512 * MIB};
    static const char chosen[] = K "memory: 256M\n";
    struct vm_config config;
    struct vm_config_message message;

    assert_int_equal(vm_config_parse(&config, "a", K, strlen(K), &small, &message), -EINVAL);
    assert_string_equal(message.text,
                        "memory: the default is more than the 512M that this host has; "
                        "say how much with --memory SIZE");
    assert_int_equal(vm_config_parse(&config, "a", chosen, strlen(chosen), &small, &message), 0);
    vm_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_reaches_the_model),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(a_console_takes_stdio_from_the_serial_port),
        cmocka_unit_test(the_default_name_is_a_name),
        cmocka_unit_test(each_fault_gets_its_place_cause_and_remedy),
        cmocka_unit_test(settings_that_contradict_are_refused),
        cmocka_unit_test(limits_are_met_exactly),
        cmocka_unit_test(sixteen_disks_fit_and_no_more),
        cmocka_unit_test(long_texts_end_at_their_limit),
        cmocka_unit_test(a_flood_of_keys_is_cut_short),
        cmocka_unit_test(messages_stay_on_one_line),
        cmocka_unit_test(a_small_host_needs_a_choice_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
