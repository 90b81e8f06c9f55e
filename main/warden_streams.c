// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Opens what the guest's byte streams lead to: the user's terminal, a pseudo-terminal, a file. The
// warden never reads or writes them; the serial and console processes do.
#include "main/warden_state.h"

#include "ipc/cleanup.h"
#include "main/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

// A description of our own for terminals and pipes, so that making it non-blocking changes nothing
// for the user's shell and for others that hold the same one. What cannot be opened again (sockets,
// files at an offset) is shared.
static int reopen(int fd, int flags)
{
    char path[32];
    struct stat status;
    int again;

    if (fstat(fd, &status) < 0)
        return -errno;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode)) {
        again = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (again >= 0)
            return again;
    }
    again = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return again < 0 ? -errno : again;
}

static void make_raw(struct warden *warden)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &warden->terminal) < 0)
        return;
    raw = warden->terminal;
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST | ONLCR;
    warden->terminal_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void warden_terminal_size(device_ConsoleConfig *console)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        return;
    console->columns = size.ws_col;
    console->rows = size.ws_row;
}

void warden_terminal_restore(struct warden *warden)
{
    if (warden->terminal_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &warden->terminal);
    warden->terminal_raw = false;
}

static int open_stdio(struct warden *warden, struct warden_stream *out)
{
    out->input_fd = reopen(STDIN_FILENO, O_RDONLY);
    out->output_fd = reopen(STDOUT_FILENO, O_WRONLY);
    if (out->output_fd < 0)
        return out->output_fd;
    out->escape = isatty(STDIN_FILENO) == 1;
    if (out->escape)
        make_raw(warden);
    warden->stdio_taken = true;
    return 0;
}

static int open_pty(const char *what, struct warden_stream *out)
{
    _cleanup_fd_
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    struct termios raw;
    char name[64];

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return -errno;
    if (ptsname_r(master, name, sizeof(name)) != 0)
        return -errno;
    if (tcgetattr(master, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(master, TCSANOW, &raw);
    }
    user_message("%s is at %s", what, name);
    out->input_fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
    if (out->input_fd < 0)
        return -errno;
    out->output_fd = steal_fd(&master);
    return 0;
}

static int open_file(const char *path, struct warden_stream *out)
{
    // O_NONBLOCK: neither we nor the device ever wait for the reader of a pipe.
    out->output_fd =
        open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    return out->output_fd < 0 ? -errno : 0;
}

int warden_stream_open(struct warden *warden, const struct vm_stream *stream, const char *what,
                       struct warden_stream *out)
{
    int error = 0;

    *out = (struct warden_stream){.input_fd = -1, .output_fd = -1};
    if (stream->mode == VM_STREAM_STDIO)
        error = open_stdio(warden, out);
    else if (stream->mode == VM_STREAM_PTY)
        error = open_pty(what, out);
    else if (stream->mode == VM_STREAM_FILE)
        error = open_file(stream->path, out);
    if (error == -ENXIO && stream->mode == VM_STREAM_FILE)
        user_message("%s: nobody reads the pipe %s; start its reader first", what, stream->path);
    else if (error < 0 && stream->mode == VM_STREAM_FILE)
        user_message("%s: %s cannot be opened: %s; name a file that you may write", what,
                     stream->path, strerror(-error));
    else if (error < 0)
        user_message("%s: cannot open %s: %s", what,
                     stream->mode == VM_STREAM_PTY ? "a pseudo-terminal" : "standard output",
                     strerror(-error));
    return error;
}
