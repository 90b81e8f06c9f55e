// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The facts about a process, as the kernel tells them in /proc. Runs in the warden.
#include "jail/facts.h"
#include "ipc/cleanup.h"
#include "jail/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { STATUS_SIZE = 8192 };

int jail_proc_open(pid_t pid)
{
    char path[32];
    int proc;

    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return proc >= 0 ? proc : errno == ENOENT ? -ESRCH : -errno;
}

ssize_t jail_proc_read(int proc, const char *name, char *text, size_t size)
{
    _cleanup_fd_
    int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
    size_t length = 0;

    if (fd < 0)
        return -errno;
    while (length < size - 1) {
        ssize_t part = read(fd, text + length, size - 1 - length);

        if (part < 0)
            return -errno;
        if (part == 0)
            break;
        length += part;
    }
    text[length] = '\0';
    return length;
}

const char *jail_proc_field(const char *text, const char *key)
{
    size_t length = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            return line + length + 1 + strspn(line + length + 1, " \t");
    }
    return NULL;
}

static uint64_t number(const char *text, const char *key, int base, bool *complete)
{
    const char *value = jail_proc_field(text, key);

    if (!value)
        *complete = false;
    return value ? strtoull(value, NULL, base) : 0;
}

// "Uid:" and "Gid:" have four numbers each.
static void four_numbers(const char *text, const char *key, unsigned numbers[4], bool *complete)
{
    const char *value = jail_proc_field(text, key);

    if (!value ||
        sscanf(value, "%u %u %u %u", &numbers[0], &numbers[1], &numbers[2], &numbers[3]) != 4)
        *complete = false;
}

static unsigned words(const char *line)
{
    unsigned count = 0;

    while (line && *line && *line != '\n') {
        size_t word = strcspn(line, " \t\n");

        count += word > 0;
        line += word + strspn(line + word, " \t");
    }
    return count;
}

int jail_facts_read_status(int proc, const char *name, struct jail_facts *facts)
{
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    char text[STATUS_SIZE];
    bool complete = true;
    ssize_t length = jail_proc_read(proc, name, text, sizeof(text));

    if (length < 0)
        return length;
    facts->seccomp_mode = number(text, "Seccomp", 10, &complete);
    facts->seccomp_filters = number(text, "Seccomp_filters", 10, &complete);
    facts->no_new_privs = number(text, "NoNewPrivs", 10, &complete) == 1;
    facts->threads = number(text, "Threads", 10, &complete);
    facts->session = number(text, "NSsid", 10, &complete);
    facts->umask = number(text, "Umask", 8, &complete);
    for (size_t i = 0; i < array_size(sets); i++)
        facts->capabilities[i] = number(text, sets[i], 16, &complete);
    four_numbers(text, "Uid", facts->uid, &complete);
    four_numbers(text, "Gid", facts->gid, &complete);
    facts->groups = words(jail_proc_field(text, "Groups"));
    return complete ? 0 : -EBADMSG;
}

static int namespace_inode(int proc, enum jail_stage stage, uint64_t *inode)
{
    char path[16], link[32], *open_bracket;
    ssize_t length;

    snprintf(path, sizeof(path), "ns/%s", jail_stages[stage].namespace_file);
    length = readlinkat(proc, path, link, sizeof(link) - 1);
    if (length < 0)
        return -errno;
    link[length] = '\0';
    open_bracket = strchr(link, '[');
    if (!open_bracket)
        return -EBADMSG;
    *inode = strtoull(open_bracket + 1, NULL, 10);
    return 0;
}

// A namespace of a kind that the kernel does not have is nobody's own: it stays 0.
int jail_facts_read_namespaces(int proc, struct jail_facts *facts)
{
    _cleanup_fd_
    int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (self < 0)
        return -errno;
    facts->own_namespaces = 0;
    for (int stage = 0; stage < JAIL_NAMESPACE_COUNT; stage++) {
        uint64_t ours = 0;
        int error = namespace_inode(self, stage, &ours);

        facts->namespaces[stage] = 0;
        if (error == -ENOENT)
            continue;
        if (error == 0)
            error = namespace_inode(proc, stage, &facts->namespaces[stage]);
        if (error < 0)
            return error;
        if (facts->namespaces[stage] != ours)
            facts->own_namespaces |= JAIL_BIT(stage);
    }
    return 0;
}

static int read_memory(int proc, struct jail_facts *facts)
{
    char text[STATUS_SIZE];
    bool complete = true;
    ssize_t length = jail_proc_read(proc, "smaps_rollup", text, sizeof(text));

    if (length < 0)
        return length;
    facts->pss = number(text, "Pss", 10, &complete);
    facts->pss_anonymous = number(text, "Pss_Anon", 10, &complete);
    facts->pss_file = number(text, "Pss_File", 10, &complete);
    facts->pss_shared = number(text, "Pss_Shmem", 10, &complete);
    return complete ? 0 : -EBADMSG;
}

enum jail_stage jail_shared_namespace(const struct jail_facts *a, const struct jail_facts *b)
{
    int stage = 0;

    while (stage < JAIL_NAMESPACE_COUNT && a->namespaces[stage] != b->namespaces[stage])
        stage++;
    return stage;
}

int jail_describe(pid_t pid, struct jail_facts *facts)
{
    _cleanup_fd_
    int proc = jail_proc_open(pid);
    struct stat executable;
    int error;

    if (proc < 0)
        return proc;
    *facts = (struct jail_facts){.pid = pid};
    error = jail_facts_read_status(proc, "status", facts);
    if (error == 0)
        error = jail_facts_read_namespaces(proc, facts);
    if (error == 0)
        error = read_memory(proc, facts);
    if (error == 0 && fstatat(proc, "exe", &executable, 0) != 0)
        error = -errno;
    if (error == 0)
        facts->executable_size = executable.st_size;
    return error;
}
