// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Finds the processes of VMs in /proc. The text there is the kernel's, but for names and arguments,
// which any process on the machine chooses for itself: they are searched with bounds and cleaned
// before they are printed.
#include "main/process_scan.h"

#include "ipc/cleanup.h"
#include "jail/facts.h"
#include "main/config/builder.h"
#include "main/config/schema.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ARGUMENTS_MAX 65536 // bytes that are looked at
#define WORDS_MAX 512       // arguments that are looked at
#define FIELD_PARENT 4      // of /proc/PID/stat, counted from 1

static void close_directory(DIR **directory)
{
    if (*directory != NULL)
        closedir(*directory);
}

void scan_clear(struct scan *scan)
{
    free(scan->processes);
    free(scan->wardens);
    *scan = (struct scan){0};
}

void scan_printable(char *out, size_t size, const char *text)
{
    size_t length = 0;

    for (; length < size - 1 && text[length] != '\0'; length++) {
        bool plain = (text[length] >= '0' && text[length] <= '9') ||
                     (text[length] >= 'A' && text[length] <= 'Z') ||
                     (text[length] >= 'a' && text[length] <= 'z') ||
                     strchr("-_.", text[length]) != NULL;

        out[length] = plain ? text[length] : '?';
    }
    out[length] = '\0';
}

static int open_process(int proc, pid_t pid)
{
    char name[16];
    int fd;

    snprintf(name, sizeof(name), "%d", (int)pid);
    fd = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

// The process's name in stat may hold blanks and brackets: what follows its last bracket counts.
static pid_t parent_in(const char *stat)
{
    const char *rest = strrchr(stat, ')');
    int parent = 0;

    if (rest == NULL || sscanf(rest, ") %*c %d", &parent) != 1)
        return 0;
    return parent;
}

static pid_t parent_of(int process)
{
    char text[1024];

    return jail_proc_read(process, "stat", text, sizeof(text)) > 0 ? parent_in(text) : 0;
}

// The program that the process runs is this one, or one of the same name: another version of it, or
// this one before an upgrade.
static bool runs_bulkhead(int process)
{
    static const char removed[] = " (deleted)";
    char path[VM_PATH_SIZE];
    struct stat theirs, ours;
    const char *base;
    ssize_t length;

    if (fstatat(process, "exe", &theirs, 0) == 0 && stat("/proc/self/exe", &ours) == 0 &&
        theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino)
        return true;
    length = readlinkat(process, "exe", path, sizeof(path) - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    if ((size_t)length > strlen(removed) && strcmp(path + length - strlen(removed), removed) == 0)
        path[(size_t)length - strlen(removed)] = '\0';
    base = strrchr(path, '/');
    return base != NULL && strcmp(base, "/bulkhead") == 0;
}

static bool is_warden(int process)
{
    char text[256];
    ssize_t length;
    const char *verb;

    if (!runs_bulkhead(process))
        return false;
    length = jail_proc_read(process, "cmdline", text, sizeof(text));
    verb = length > 0 ? memchr(text, '\0', (size_t)length) : NULL;
    return verb != NULL && strcmp(verb + 1, "run") == 0;
}

static int append(void **array, size_t *count, size_t element_size, const void *element)
{
    // Grows by halves of powers of two: cheap, and no capacity to keep.
    if ((*count & (*count - 1)) == 0) {
        void *grown = realloc(*array, (*count == 0 ? 1 : 2 * *count) * element_size);

        if (grown == NULL)
            return -ENOMEM;
        *array = grown;
    }
    memcpy((char *)*array + *count * element_size, element, element_size);
    (*count)++;
    return 0;
}

static int read_process(struct scan *scan, int proc, pid_t pid)
{
    _cleanup_fd_
    int process = open_process(proc, pid);
    struct scan_process found = {.pid = pid};
    int error;

    if (process < 0)
        return 0; // it has ended
    found.parent = parent_of(process);
    error = append((void **)&scan->processes, &scan->count, sizeof(found), &found);
    if (error == 0 && is_warden(process))
        error = append((void **)&scan->wardens, &scan->warden_count, sizeof(pid), &pid);
    return error;
}

static pid_t parent_in_scan(const struct scan *scan, pid_t pid)
{
    for (size_t i = 0; i < scan->count; i++)
        if (scan->processes[i].pid == pid)
            return scan->processes[i].parent;
    return 0;
}

static bool is_listed(const struct scan *scan, pid_t pid)
{
    for (size_t i = 0; i < scan->warden_count; i++)
        if (scan->wardens[i] == pid)
            return true;
    return false;
}

// A child of a warden is for a moment a copy of it, before it becomes a jailed process.
static void drop_copies(struct scan *scan)
{
    size_t kept = 0;

    for (size_t i = 0; i < scan->warden_count; i++)
        if (!is_listed(scan, parent_in_scan(scan, scan->wardens[i])))
            scan->wardens[kept++] = scan->wardens[i];
    scan->warden_count = kept;
}

int scan_read(struct scan *scan, int proc)
{
    _cleanup_(close_directory) DIR *directory = NULL;
    int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct dirent *entry;
    int error = 0;

    *scan = (struct scan){0};
    if (fd < 0)
        return -errno;
    directory = fdopendir(fd);
    if (directory == NULL) {
        close(fd);
        return -ENOMEM;
    }
    while (error == 0 && (entry = readdir(directory)) != NULL) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);

        if (*end == '\0' && pid > 0)
            error = read_process(scan, proc, (pid_t)pid);
    }
    if (error < 0)
        scan_clear(scan);
    else
        drop_copies(scan);
    return error;
}

pid_t scan_warden_of(const struct scan *scan, pid_t pid)
{
    if (is_listed(scan, pid))
        return pid;
    pid = parent_in_scan(scan, pid);
    return pid != 0 && is_listed(scan, pid) ? pid : 0;
}

// Finds --name and the file among the arguments behind "run", which have been accepted by
// config_options_scan() when the warden began.
static const char *find_name(char **words, size_t count, const char **file)
{
    bool only_files = false;

    for (size_t i = 2; i < count; i++) {
        const char *word = words[i];
        size_t length = strcspn(word, "=");
        const struct config_field *field;

        if (only_files || strncmp(word, "--", 2) != 0) {
            *file = word;
            continue;
        }
        if (word[2] == '\0') {
            only_files = true;
            continue;
        }
        field = config_field_find(config_fields, word + 2, length - 2);
        if (field != NULL && strcmp(field->key, "name") == 0)
            return word[length] == '=' ? word + length + 1 : i + 1 < count ? words[i + 1] : NULL;
        i += field != NULL && !field->flag && word[length] == '\0';
    }
    return NULL;
}

void scan_name_of_arguments(char *text, size_t length, pid_t warden, char name[VM_NAME_SIZE])
{
    char *words[WORDS_MAX];
    size_t count = 0;
    const char *file = NULL, *given;

    for (size_t at = 0; at < length && count < WORDS_MAX; at += strlen(text + at) + 1)
        words[count++] = text + at;
    given = find_name(words, count, &file);
    if (given != NULL)
        scan_printable(name, VM_NAME_SIZE, given);
    else
        config_default_name(name, file, (int)warden);
}

void scan_vm_name(int proc, pid_t warden, char name[VM_NAME_SIZE])
{
    _cleanup_fd_
    int process = open_process(proc, warden);
    _cleanup_free_
    char *text = malloc(ARGUMENTS_MAX);
    ssize_t length =
        process >= 0 && text ? jail_proc_read(process, "cmdline", text, ARGUMENTS_MAX) : -1;

    scan_name_of_arguments(text, length > 0 ? (size_t)length : 0, warden, name);
}

int scan_role(int proc, pid_t pid, char role[SCAN_ROLE_SIZE])
{
    _cleanup_fd_
    int process = open_process(proc, pid);
    char text[VM_PATH_SIZE];
    ssize_t length;

    if (process < 0)
        return process;
    length = jail_proc_read(process, "cmdline", text, sizeof(text));
    if (length < 0)
        return (int)length;
    if (length == 0)
        return -ESRCH; // it has ended, and waits to be reaped
    scan_printable(role, SCAN_ROLE_SIZE, text);
    return 0;
}
