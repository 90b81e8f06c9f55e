// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Verifying the root stage: what a process sees mounted, by its mountinfo, and what is in it.
#include "ipc/cleanup.h"
#include "jail/verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool has_option(const char *options, const char *option)
{
    size_t length = strlen(option);

    for (const char *at = options; at && *at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, option, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

// One line of mountinfo (proc(5)): id parent device root point options [tags] - type source super
static int check_mount(struct look *look, const char *line, bool first)
{
    char point[256], options[256], type[32];
    const char *separator = strstr(line, " - ");

    if (!separator || sscanf(line, "%*s %*s %*s %*s %255s %255s", point, options) != 2 ||
        sscanf(separator, " - %31s", type) != 1)
        return -EBADMSG;
    if (first && (strcmp(point, "/") != 0 || strcmp(type, "tmpfs") != 0))
        return jail_complain(look, "its root is not an empty tmpfs but %s on %s", type, point);
    if (!has_option(options, "ro") || !has_option(options, "nosuid") ||
        !has_option(options, "nodev"))
        return jail_complain(look, "%s is mounted %s in it", point, options);
    return 0;
}

static int check_mounts(struct look *look)
{
    char text[16384], *next;
    ssize_t length = jail_proc_read(look->proc, "mountinfo", text, sizeof(text));
    unsigned count = 0;

    if (length < 0)
        return length;
    for (char *line = text; *line; line = next, count++) {
        int error;

        next = line + strcspn(line, "\n");
        if (*next == '\n')
            *next++ = '\0';
        error = check_mount(look, line, count == 0);
        if (error < 0)
            return error;
        if (count > 0 && !jail_root_has_libraries(look->spec))
            return jail_complain(look, "it sees more than one mount");
    }
    return count > 0 ? 0 : jail_complain(look, "it has no root");
}

int jail_check_root(struct look *look)
{
    _cleanup_(jail_close_directory) DIR *root = NULL;
    const char *name;
    int error = check_mounts(look);

    if (error < 0 || jail_root_has_libraries(look->spec))
        return error;
    root = jail_open_directory(look->proc, "root");
    if (!root)
        return -errno;
    name = jail_next_name(root);
    return name ? jail_complain(look, "its root is not empty: there is %s", name) : 0;
}
