// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The table of keys and options. A new setting is a new row here and a member in struct vm_config;
// then `tests/lint/manual.sh --write` brings the manuals up to date.
#include "main/config/schema.h"

#include "main/config/values.h"

#include <stdio.h>
#include <string.h>

#define MEMBER(name) .offset = offsetof(struct vm_config, name)
#define LIST(array, count)                                                                         \
    .offset = offsetof(struct vm_config, array),                                                   \
    .count_offset = offsetof(struct vm_config, count),                                             \
    .element_size = sizeof(((struct vm_config *)NULL)->array[0]),                                  \
    .element_max =                                                                                 \
        sizeof(((struct vm_config *)NULL)->array) / sizeof(((struct vm_config *)NULL)->array[0])

static const struct config_word engines[] = {
    {"auto", VM_BLOCK_AUTO},
    {"io_uring", VM_BLOCK_IO_URING},
    {"workers", VM_BLOCK_WORKERS},
    {NULL, 0},
};

static const struct config_word resets[] = {
    {"restart", VM_RESET_RESTART},
    {"exit", VM_RESET_EXIT},
    {NULL, 0},
};

static const struct config_field disk_keys[] = {
    {
        .key = "path",
        .argument = "FILE",
        .parse = config_parse_path,
        .offset = offsetof(struct vm_disk, path),
        .required = true,
        .manual = "The image: a raw file whose size is a multiple of 512 bytes, or a block device "
                  "of the host.\n",
    },
    {
        .key = "id",
        .argument = "ID",
        .parse = config_parse_id,
        .offset = offsetof(struct vm_disk, id),
        .max = VM_ID_SIZE,
        .initial_rule = "block0 for the first disk, block1 for the second, and so on",
        .manual = "The name of the device and of its process: up to 31 letters, digits,\n"
                  ".Sq -\nand\n.Sq _ ,\nunique in the VM.\n",
    },
    {
        .key = "readonly",
        .argument = "true|false",
        .parse = config_parse_flag,
        .offset = offsetof(struct vm_disk, readonly),
        .flag = true,
        .initial = "false",
        .manual = "The guest cannot write, and the image is opened for reading only.\n",
    },
    {
        .key = "queues",
        .argument = "NUMBER",
        .parse = config_parse_number,
        .offset = offsetof(struct vm_disk, queues),
        .min = 1,
        .max = VM_DISK_QUEUES_MAX,
        .initial = "1",
        .manual = "Request queues.\n"
                  "More than one helps when several virtual CPUs wait for the same disk.\n",
    },
    {
        .key = "engine",
        .argument = "auto|io_uring|workers",
        .parse = config_parse_choice,
        .offset = offsetof(struct vm_disk, engine),
        .words = engines,
        .initial = "auto",
        .manual = "How the device reaches the image: by\n.Xr io_uring 7 ,\n"
                  "by a few worker threads, or\n.Pq Cm auto\n"
                  "by io_uring where the host allows it and by worker threads elsewhere.\n",
    },
    {.key = NULL},
};

const struct config_field config_fields[] = {
    {
        .key = "name",
        .argument = "NAME",
        .parse = config_parse_name,
        MEMBER(name),
        .max = VM_NAME_SIZE,
        .initial_rule = "the file's name without its suffix, or vm-PID",
        .help = "name of the VM",
        .manual = "Name of the VM: up to 63 letters, digits,\n.Sq - ,\n.Sq _\nand\n.Sq \\&. .\n",
    },
    {
        .key = "kernel",
        .argument = "FILE",
        .parse = config_parse_path,
        MEMBER(kernel),
        .help = "Linux kernel (bzImage or vmlinux); always needed",
        .manual = "Kernel to start: a Linux\n.Pa bzImage ,\nor an ELF\n.Pa vmlinux\n"
                  "with a PVH entry.\nThis is the one setting that every VM needs.\n",
    },
    {
        .key = "initrd",
        .argument = "FILE",
        .parse = config_parse_path,
        MEMBER(initrd),
        .help = "initial RAM file system",
        .manual = "Initial RAM file system.\n",
    },
    {
        .key = "cmdline",
        .argument = "TEXT",
        .parse = config_parse_text,
        MEMBER(cmdline),
        .max = VM_CMDLINE_SIZE,
        .initial_rule = "empty",
        .help = "command line of the kernel",
        .manual = "Command line of the kernel, at most 2047 bytes.\n",
    },
    {
        .key = "cpus",
        .argument = "NUMBER",
        .parse = config_parse_number,
        MEMBER(cpus),
        .min = 1,
        .max = VM_CPUS_MAX,
        .initial = "1",
        .help = "virtual CPUs",
        .manual = "Number of virtual CPUs.\n",
    },
    {
        .key = "memory",
        .argument = "SIZE",
        .parse = config_parse_size,
        MEMBER(memory_bytes),
        .min = UINT64_C(64) << 20,
        .initial = "1G",
        .help = "memory of the guest",
        .manual = "Memory of the guest: a number of bytes, or with\n.Cm K , M , G\nor\n.Cm T\n"
                  "behind it, of binary units; a multiple of 1M.\n",
    },
    {
        .key = "disk",
        .argument = "path=FILE[,KEY=VALUE...]",
        LIST(disks, disk_count),
        .keys = disk_keys,
        .help = "virtio disk; keys: id=ID readonly queues=N engine=...",
        .manual = "A virtio block device.\n",
    },
    {
        .key = "serial",
        .argument = "stdio|null|pty|file=FILE",
        .parse = config_parse_stream,
        MEMBER(serial),
        .initial_rule = "stdio, or null when a console has stdio",
        .help = "where the serial port goes",
        .manual = "Where the serial port\n.Pq Pa ttyS0\ngoes:\n.Cm stdio\n"
                  "is the terminal that started the VM,\n.Cm null\nis nowhere,\n.Cm pty\n"
                  "is a new pseudo-terminal, whose name is printed, and\n.Cm file\n"
                  "appends the output to a file.\n"
                  "Only one serial port or console can have\n.Cm stdio .\n",
    },
    {
        .key = "console",
        .argument = "stdio|null|pty|file=FILE",
        .parse = config_parse_stream,
        LIST(consoles, console_count),
        .help = "port of a virtio console",
        .manual = "A port of the virtio console, with the same words as\n.Cm serial .\n"
                  "The first one is the guest's\n.Pa hvc0 .\n"
                  "Without any there is no virtio console.\n",
    },
    {
        .key = "rng",
        .argument = "true|false",
        .parse = config_parse_flag,
        MEMBER(rng),
        .flag = true,
        .initial = "false",
        .help = "virtio source of random numbers",
        .manual = "Whether there is a virtio source of random numbers.\n",
    },
    {
        .key = "on-reset",
        .argument = "restart|exit",
        .parse = config_parse_choice,
        MEMBER(on_reset),
        .words = resets,
        .initial = "restart",
        .help = "what a guest's reset does",
        .manual = "When the guest resets the machine, start it again in place, or end with status "
                  "10.\n",
    },
    {
        .key = "policy-dir",
        .argument = "DIR",
        .parse = config_parse_path,
        MEMBER(policy_dir),
        .initial_rule = "the installed policies",
        .help = "directory of the sandbox policies",
        .manual = "Directory with the system call policies, one for each kind of process.\n",
    },
    {
        .key = "policy",
        .argument = "ID=FILE",
        .parse = config_parse_policy,
        LIST(policies, policy_count),
        .help = "sandbox policy of one process",
        .manual = "The system call policy of one process, by its name\n"
                  ".Pq for example Li block0=my.policy ,\n"
                  "in place of the one in the directory of policies.\n"
                  "An option takes the place of a line with the same name in the file.\n",
    },
    {
        .key = "allow-missing",
        .argument = "STAGE",
        .parse = config_parse_id,
        LIST(allow_missing, allow_missing_count),
        .max = VM_ID_SIZE,
        .help = "start although the host lacks this jail stage",
        .manual = "Start although the host's kernel lacks this stage of the jail:\n"
                  ".Cm user-ns , pid-ns , mount-ns , network-ns , ipc-ns , uts-ns , cgroup-ns ,\n"
                  ".Cm nesting , root , capabilities , landlock\nor\n.Cm seccomp .\n"
                  "Without it a missing stage is an error that names the stage.\n",
    },
    {.key = NULL},
};

const struct config_field *config_field_find(const struct config_field *fields, const char *key,
                                             size_t length)
{
    for (; fields->key != NULL; fields++) {
        if (strlen(fields->key) == length && memcmp(fields->key, key, length) == 0)
            return fields;
    }
    return NULL;
}

enum { WORD_MAX = 24 }; // longest word that config_field_suggest() compares

// Edits (Levenshtein) between two words; both at most WORD_MAX long.
static size_t edits(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    const size_t width = strlen(b);

    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[width];
}

const char *config_field_suggest(const struct config_field *fields, const char *key)
{
    const char *best = NULL;
    size_t fewest = 3; // more edits than two are another word

    if (strlen(key) > WORD_MAX)
        return NULL;
    for (; fields->key != NULL; fields++) {
        size_t count = edits(key, fields->key);

        if (count < fewest && count < strlen(fields->key)) {
            fewest = count;
            best = fields->key;
        }
    }
    return best;
}

void config_field_range(const struct config_field *field, char *text, size_t size)
{
    text[0] = '\0';
    if (field->parse == config_parse_number) {
        snprintf(text, size, "%llu to %llu", (unsigned long long)field->min,
                 (unsigned long long)field->max);
    } else if (field->parse == config_parse_size) {
        char least[24];

        config_size_text(field->min, least, sizeof(least));
        snprintf(text, size, "%s to what the host has", least);
    } else if (field->element_size != 0) {
        snprintf(text, size, "up to %u", field->element_max);
    }
}
