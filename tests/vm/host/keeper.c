// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * keeper LIMIT LOG QEMU [ARGUMENT...] -- COMMAND [ARGUMENT...]
 *
 * The outer half of the emulated host: starts QEMU with one end of a socket as descriptor 3 (the
 * virtio serial port to the agent inside), asks the agent to run COMMAND, carries this process's
 * standard descriptors, and ends with COMMAND's status. QEMU dies with the keeper, whatever ends
 * it. LIMIT is in seconds, 0 for none. LOG is only named in messages: QEMU writes it. A status of
 * its own: 124 for the time limit, 125 where the host did not come up or died.
 */
#define _GNU_SOURCE
#include "tests/vm/host/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define STATUS_TIME_LIMIT 124
#define STATUS_HOST_FAILED 125
#define QEMU_WIRE_FD 3
#define TICK_MILLISECONDS 250
#define ESCAPE_KEY 0x1d /* Ctrl-] three times in a row ends the host */
#define ESCAPE_COUNT 3

struct keeper {
    int wire;
    int signals;
    pid_t qemu;
    const char *log;
    time_t limit;  /* seconds, 0 = none */
    int64_t began; /* milliseconds on the monotonic clock, as all times here */
    int64_t next_tick;
    char **command;
    size_t credit; /* bytes of input that the agent can take now */
    bool up;
    bool input_open;
    bool terminal;
    unsigned escapes;
    struct termios saved; /* the terminal's settings, where `terminal` */
};

static void restore_terminal(struct keeper *keeper)
{
    if (keeper->terminal)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &keeper->saved);
    keeper->terminal = false;
}

static _Noreturn void end(struct keeper *keeper, int status)
{
    restore_terminal(keeper);
    if (keeper->qemu > 0) {
        (void)kill(keeper->qemu, SIGKILL);
        (void)waitpid(keeper->qemu, NULL, 0);
    }
    exit(status);
}

__attribute__((format(printf, 3, 4))) static _Noreturn void fail(struct keeper *keeper, int status,
                                                                 const char *format, ...)
{
    va_list arguments;

    restore_terminal(keeper);
    fputs("run: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (kernel log: %s)\n", keeper->log);
    end(keeper, status);
}

/* --- QEMU --- */

static void start_qemu(struct keeper *keeper, char **arguments)
{
    const pid_t parent = getpid();
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        fail(keeper, STATUS_HOST_FAILED, "socketpair: %s", strerror(errno));
    keeper->qemu = fork();
    if (keeper->qemu < 0)
        fail(keeper, STATUS_HOST_FAILED, "fork: %s", strerror(errno));
    if (keeper->qemu == 0) {
        const int null = open("/dev/null", O_RDWR);
        struct rlimit files;
        sigset_t none;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(STATUS_HOST_FAILED);
        (void)setsid(); /* the terminal's signals are the keeper's business */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
            files.rlim_cur = files.rlim_max; /* 9p holds many files open */
            (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        dup2(null, STDIN_FILENO);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        if (pair[1] == QEMU_WIRE_FD)
            (void)fcntl(pair[1], F_SETFD, 0);
        else
            dup2(pair[1], QEMU_WIRE_FD);
        execvp(arguments[0], arguments);
        fprintf(stderr, "run: %s: %s\n", arguments[0], strerror(errno));
        _exit(STATUS_HOST_FAILED);
    }
    close(pair[1]);
    keeper->wire = pair[0];
}

/* --- what is sent to the agent --- */

static void send_frame(struct keeper *keeper, enum frame_type type, const void *payload,
                       size_t length)
{
    if (wire_send(keeper->wire, type, payload, length) < 0)
        fail(keeper, STATUS_HOST_FAILED, "the emulated host died");
}

static struct wire_window window_size(void)
{
    struct winsize size = {0};

    (void)ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
    return (struct wire_window){.rows = size.ws_row, .columns = size.ws_col};
}

static bool one_output(void)
{
    struct stat output, error;

    return fstat(STDOUT_FILENO, &output) == 0 && fstat(STDERR_FILENO, &error) == 0 &&
           output.st_dev == error.st_dev && output.st_ino == error.st_ino;
}

static uint32_t put_strings(FILE *to, char **strings)
{
    uint32_t count = 0;

    for (; strings[count]; count++)
        fwrite(strings[count], strlen(strings[count]) + 1, 1, to);
    return count;
}

static void send_start(struct keeper *keeper)
{
    gid_t groups[WIRE_GROUPS_MAX];
    const int group_count = getgroups(WIRE_GROUPS_MAX, groups);
    struct wire_start start = {
        .flags = (keeper->terminal ? WIRE_TERMINAL : 0) | (one_output() ? WIRE_MERGED : 0),
        .uid = geteuid(),
        .gid = getegid(),
        .group_count = group_count > 0 ? (uint32_t)group_count : 0,
        .window = window_size(),
    };
    char *directory = getcwd(NULL, 0), *bytes = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&bytes, &length);

    if (!directory || !to)
        fail(keeper, STATUS_HOST_FAILED, "the working directory: %s", strerror(errno));
    for (uint32_t i = 0; i < start.group_count; i++)
        start.groups[i] = groups[i];
    fwrite(&start, sizeof(start), 1, to);
    put_strings(to, (char *[]){directory, NULL});
    start.arguments = put_strings(to, keeper->command);
    start.variables = put_strings(to, environ);
    if (fclose(to) || length > WIRE_START_MAX)
        fail(keeper, STATUS_HOST_FAILED, "arguments and environment are too long");
    memcpy(bytes, &start, sizeof(start));
    send_frame(keeper, FRAME_START, bytes, length);
    free(bytes);
    free(directory);
}

static bool escaped(struct keeper *keeper, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        keeper->escapes = bytes[i] == ESCAPE_KEY ? keeper->escapes + 1 : 0;
        if (keeper->escapes == ESCAPE_COUNT)
            return true;
    }
    return false;
}

static void take_input(struct keeper *keeper)
{
    char chunk[WIRE_PAYLOAD_MAX];
    ssize_t got = read(STDIN_FILENO, chunk, keeper->credit);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0 && keeper->terminal && escaped(keeper, chunk, (size_t)got))
        fail(keeper, STATUS_HOST_FAILED, "ended by the keyboard");
    if (got <= 0) {
        keeper->input_open = false;
        got = 0;
    }
    keeper->credit -= (size_t)got;
    send_frame(keeper, FRAME_INPUT, chunk, (size_t)got);
}

/* --- what comes from it --- */

static void put_output(struct keeper *keeper, int fd, const struct wire_reader *reader)
{
    /* The reader of our output went away: end as the command itself would have. */
    if (wire_write(fd, reader->payload, reader->header.length) < 0)
        end(keeper, 128 + SIGPIPE);
}

static void take_hello(struct keeper *keeper)
{
    keeper->up = true;
    keeper->credit = WIRE_PAYLOAD_MAX;
    send_start(keeper);
    if (!keeper->input_open)
        send_frame(keeper, FRAME_INPUT, NULL, 0);
}

static void take_frame(struct keeper *keeper, const struct wire_reader *reader)
{
    int32_t value = 0;

    if (reader->header.length >= sizeof(value))
        memcpy(&value, reader->payload, sizeof(value));
    switch (reader->header.type) {
    case FRAME_HELLO:
        take_hello(keeper);
        break;
    case FRAME_OUTPUT:
        put_output(keeper, STDOUT_FILENO, reader);
        break;
    case FRAME_ERROR:
        put_output(keeper, STDERR_FILENO, reader);
        break;
    case FRAME_CREDIT:
        keeper->credit += (size_t)value;
        if (keeper->credit > WIRE_PAYLOAD_MAX)
            fail(keeper, STATUS_HOST_FAILED, "the agent gave more credit than it took");
        break;
    case FRAME_EXIT:
        end(keeper, value);
    default:
        fail(keeper, STATUS_HOST_FAILED, "frame %u from the agent", reader->header.type);
    }
}

static void take_signal(struct keeper *keeper)
{
    struct signalfd_siginfo info;

    if (read(keeper->signals, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH) {
        const struct wire_window window = window_size();

        if (keeper->up && keeper->terminal)
            send_frame(keeper, FRAME_WINDOW, &window, sizeof(window));
    } else if (info.ssi_signo != SIGCHLD) {
        end(keeper, 128 + (int)info.ssi_signo);
    } else if (waitpid(keeper->qemu, NULL, WNOHANG) == keeper->qemu) {
        keeper->qemu = 0;
        fail(keeper, STATUS_HOST_FAILED, "the emulated host %s",
             keeper->up ? "died" : "did not start");
    }
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void check_limit(struct keeper *keeper)
{
    if (keeper->limit > 0 && now() >= keeper->began + keeper->limit * 1000)
        fail(keeper, STATUS_TIME_LIMIT, "%s after the limit of %ld s (--timeout)",
             keeper->up ? "the command was stopped" : "the emulated host had not started",
             (long)keeper->limit);
}

/*
 * QEMU's emulation of SVM now and then loses the interrupt of the emulated host's timer while a
 * nested guest runs; the timer is then never armed again, and the host sleeps for ever. Any other
 * interrupt makes it look at the time and go on, so it gets one regularly.
 */
static void tick(struct keeper *keeper)
{
    struct pollfd wire = {.fd = keeper->wire, .events = POLLOUT};

    if (!keeper->up || now() < keeper->next_tick)
        return;
    keeper->next_tick = now() + TICK_MILLISECONDS;
    if (poll(&wire, 1, 0) == 1 && (wire.revents & POLLOUT))
        send_frame(keeper, FRAME_TICK, NULL, 0);
}

static _Noreturn void serve(struct keeper *keeper)
{
    struct wire_reader reader = {0};

    for (;;) {
        const bool reads = keeper->up && keeper->input_open && keeper->credit > 0;
        struct pollfd set[] = {
            {.fd = keeper->wire, .events = POLLIN},
            {.fd = keeper->signals, .events = POLLIN},
            {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
        };

        check_limit(keeper);
        tick(keeper);
        if (poll(set, sizeof(set) / sizeof(set[0]), TICK_MILLISECONDS) < 0 && errno != EINTR)
            fail(keeper, STATUS_HOST_FAILED, "poll: %s", strerror(errno));
        if (set[0].revents) {
            int got = wire_receive(&reader, keeper->wire);

            if (got > 0) {
                take_frame(keeper, &reader);
                wire_next(&reader);
            } else if (got < 0) {
                fail(keeper, STATUS_HOST_FAILED, "the emulated host %s",
                     keeper->up ? "died" : "did not start");
            }
        }
        if (set[2].revents)
            take_input(keeper);
        if (set[1].revents)
            take_signal(keeper);
    }
}

/* --- this process's own descriptors --- */

static void take_terminal(struct keeper *keeper)
{
    const bool tty = isatty(STDIN_FILENO);
    struct termios raw;

    /* A background job must not read its terminal, it would be stopped. */
    keeper->input_open = !tty || tcgetpgrp(STDIN_FILENO) == getpgrp();
    if (!tty || !keeper->input_open || !isatty(STDOUT_FILENO))
        return;
    if (tcgetattr(STDIN_FILENO, &keeper->saved) < 0)
        return;
    raw = keeper->saved;
    cfmakeraw(&raw);
    keeper->terminal = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void take_signals(struct keeper *keeper)
{
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
        sigaddset(&set, watched[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    keeper->signals = signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int count, char **arguments)
{
    struct keeper keeper = {.wire = -1};
    int split = 3;

    while (split < count && strcmp(arguments[split], "--") != 0)
        split++;
    if (split < 4 || split + 1 >= count) {
        fputs("usage: keeper LIMIT LOG QEMU [ARGUMENT...] -- COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    keeper.limit = strtol(arguments[1], NULL, 10);
    keeper.log = arguments[2];
    keeper.command = arguments + split + 1;
    arguments[split] = NULL;
    keeper.began = now();

    take_signals(&keeper);
    take_terminal(&keeper);
    start_qemu(&keeper, arguments + 3);
    serve(&keeper);
}
