// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The first process of the emulated host, entered by switch_root from the initramfs: starts the one
 * command that the host was made for, as the caller's user, in the caller's working directory and
 * environment, and carries its standard descriptors to the keeper outside. It reaps every orphan,
 * and when the command has ended it sends the exit status; the keeper then ends the machine.
 */
#define _GNU_SOURCE
#include "tests/vm/host/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT "/dev/vport0p1"

struct agent {
    int port;
    int signals;
    int input;  /* where FRAME_INPUT goes, -1 when closed */
    int output; /* where FRAME_OUTPUT comes from, -1 when ended */
    int error;
    pid_t command;
    int status; /* of the command, -1 while it runs */
    bool terminal;
    bool input_ends;
    size_t pending; /* bytes in `buffer` that the command has not read yet */
    char buffer[WIRE_PAYLOAD_MAX];
};

static _Noreturn void stop_machine(void)
{
    (void)reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
    stop_machine();
}

static void drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- counted time --- */

static bool counted(void)
{
    char line[4096] = {0};
    const int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

    (void)!read(fd, line, sizeof(line) - 1);
    close(fd);
    return strstr(line, " host.counted") != NULL;
}

/*
 * Where time is the number of instructions, an idle processor makes it leap to the next timer each
 * time that something outside is waited for, such as a file of the root. So it is never idle: what
 * nobody else wants is spent here, and a wait of some real microseconds costs a few counted ones.
 */
static void start_spinner(void)
{
    const struct sched_param lowest = {0};

    if (fork() != 0)
        return;
    if (sched_setscheduler(0, SCHED_IDLE, &lowest) < 0)
        die("SCHED_IDLE");
    for (;;)
        __asm__ volatile("" ::: "memory");
}

/* --- starting the command --- */

struct launch {
    struct wire_start start;
    const char *directory;
    char **arguments;
    char **variables;
};

static char **take_strings(char **at, const char *end, uint32_t count)
{
    char **list = calloc((size_t)count + 1, sizeof(*list));

    for (uint32_t i = 0; list && i < count && *at < end; i++) {
        list[i] = *at;
        *at += strlen(*at) + 1;
    }
    return list;
}

static void parse_start(struct launch *launch, char *payload, size_t length)
{
    char *at = payload + sizeof(launch->start);

    if (length <= sizeof(launch->start)) {
        errno = EPROTO;
        die("start");
    }
    memcpy(&launch->start, payload, sizeof(launch->start));
    launch->directory = at;
    at += strlen(at) + 1;
    launch->arguments = take_strings(&at, payload + length, launch->start.arguments);
    launch->variables = take_strings(&at, payload + length, launch->start.variables);
    if (!launch->arguments || !launch->arguments[0] || !launch->variables) {
        errno = EPROTO;
        die("start");
    }
}

static _Noreturn void refuse(const char *what, int status)
{
    fprintf(stderr, "run: %s: %s\n", what, strerror(errno));
    _exit(status);
}

static _Noreturn void become(const struct launch *launch)
{
    const struct wire_start *start = &launch->start;

    if (setgroups(start->group_count, start->groups) < 0 || setgid(start->gid) < 0 ||
        setuid(start->uid) < 0)
        refuse("cannot become the caller's user", 125);
    if (chdir(launch->directory) < 0)
        refuse(launch->directory, 125);
    clearenv();
    for (char **variable = launch->variables; *variable; variable++)
        putenv(*variable);
    execvp(launch->arguments[0], launch->arguments);
    refuse(launch->arguments[0], errno == ENOENT ? 127 : 126);
}

static void unblock_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

static void start_on_terminal(struct agent *agent, const struct launch *launch)
{
    const struct winsize size = {.ws_row = launch->start.window.rows,
                                 .ws_col = launch->start.window.columns};
    int master;

    agent->command = forkpty(&master, NULL, NULL, &size);
    if (agent->command < 0)
        die("forkpty");
    if (agent->command == 0) {
        unblock_signals();
        become(launch);
    }
    (void)fcntl(master, F_SETFD, FD_CLOEXEC);
    agent->terminal = true;
    agent->output = master;
    agent->input = fcntl(master, F_DUPFD_CLOEXEC, 3);
}

static void start_on_pipes(struct agent *agent, const struct launch *launch)
{
    const bool merged = launch->start.flags & WIRE_MERGED;
    int input[2], output[2], error[2];

    if (pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC) || pipe2(error, O_CLOEXEC))
        die("pipe");
    agent->command = fork();
    if (agent->command < 0)
        die("fork");
    if (agent->command == 0) {
        setsid();
        dup2(input[0], 0);
        dup2(output[1], 1);
        dup2(merged ? output[1] : error[1], 2);
        unblock_signals();
        become(launch);
    }
    close(input[0]);
    close(output[1]);
    close(error[1]);
    agent->input = input[1];
    agent->output = output[0];
    agent->error = error[0];
}

static void start(struct agent *agent, char *payload, size_t length)
{
    struct launch launch;

    parse_start(&launch, payload, length);
    if (launch.start.flags & WIRE_TERMINAL)
        start_on_terminal(agent, &launch);
    else
        start_on_pipes(agent, &launch);
    (void)fcntl(agent->input, F_SETFL, O_NONBLOCK);
    (void)fcntl(agent->output, F_SETFL, O_NONBLOCK);
    if (agent->error >= 0)
        (void)fcntl(agent->error, F_SETFL, O_NONBLOCK);
    free(launch.arguments);
    free(launch.variables);
}

/* --- carrying its input and output --- */

static void send_frame(const struct agent *agent, enum frame_type type, const void *bytes,
                       size_t length)
{
    if (wire_send(agent->port, type, bytes, length) < 0)
        die("port");
}

static void push_input(struct agent *agent)
{
    ssize_t done = 0;

    if (agent->input >= 0 && agent->pending > 0) {
        done = write(agent->input, agent->buffer, agent->pending);
        if (done < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (done < 0)
            drop(&agent->input); /* the command closed it */
    }
    if (agent->input < 0)
        done = (ssize_t)agent->pending; /* nobody reads: swallow it */
    if (done > 0) {
        const uint32_t credit = (uint32_t)done;

        agent->pending -= (size_t)done;
        memmove(agent->buffer, agent->buffer + done, agent->pending);
        send_frame(agent, FRAME_CREDIT, &credit, sizeof(credit));
    }
    if (agent->input_ends && agent->pending == 0)
        drop(&agent->input);
}

static void take_input(struct agent *agent, const char *bytes, size_t length)
{
    if (length > sizeof(agent->buffer) - agent->pending) {
        errno = EPROTO;
        die("input beyond credit");
    }
    memcpy(agent->buffer + agent->pending, bytes, length);
    agent->pending += length;
    agent->input_ends = agent->input_ends || length == 0;
    push_input(agent);
}

/* Returns false when nothing more can be read now. */
static bool pull_output(const struct agent *agent, int *fd, enum frame_type type)
{
    char chunk[WIRE_PAYLOAD_MAX];
    ssize_t got = read(*fd, chunk, sizeof(chunk));

    if (got > 0) {
        send_frame(agent, type, chunk, (size_t)got);
        return true;
    }
    /* A terminal whose last user went away reads as EIO. */
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        drop(fd);
    return false;
}

static void take_frame(struct agent *agent, struct wire_reader *reader)
{
    const size_t length = reader->header.length;

    if (reader->header.type == FRAME_START && agent->command == 0) {
        start(agent, reader->payload, length);
    } else if (reader->header.type == FRAME_INPUT) {
        take_input(agent, reader->payload, length);
    } else if (reader->header.type == FRAME_WINDOW && length == sizeof(struct wire_window)) {
        struct wire_window window;

        memcpy(&window, reader->payload, sizeof(window));
        const struct winsize size = {.ws_row = window.rows, .ws_col = window.columns};

        if (agent->terminal && agent->output >= 0)
            (void)ioctl(agent->output, TIOCSWINSZ, &size);
    }
}

static void reap(struct agent *agent)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    (void)!read(agent->signals, &info, sizeof(info));
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == agent->command)
            agent->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}

/* What the command wrote before it ended still goes out; what its children hold open does not. */
static void finish(struct agent *agent)
{
    const int32_t status = agent->status;

    while (agent->output >= 0 && pull_output(agent, &agent->output, FRAME_OUTPUT))
        ;
    while (agent->error >= 0 && pull_output(agent, &agent->error, FRAME_ERROR))
        ;
    sync(); /* the shared directory is a file system of the machine outside */
    send_frame(agent, FRAME_EXIT, &status, sizeof(status));
}

static void serve(struct agent *agent)
{
    struct wire_reader reader = {0};

    while (agent->status < 0) {
        struct pollfd set[] = {
            {.fd = agent->port, .events = POLLIN},
            {.fd = agent->signals, .events = POLLIN},
            {.fd = agent->output, .events = POLLIN},
            {.fd = agent->error, .events = POLLIN},
            {.fd = agent->pending ? agent->input : -1, .events = POLLOUT},
        };

        if (poll(set, sizeof(set) / sizeof(set[0]), -1) < 0 && errno != EINTR)
            die("poll");
        if (set[0].revents) {
            int got = wire_receive(&reader, agent->port);

            if (got < 0)
                stop_machine(); /* the keeper is gone */
            if (got > 0) {
                take_frame(agent, &reader);
                wire_next(&reader);
            }
        }
        if (set[2].revents)
            (void)pull_output(agent, &agent->output, FRAME_OUTPUT);
        if (set[3].revents)
            (void)pull_output(agent, &agent->error, FRAME_ERROR);
        if (set[4].revents)
            push_input(agent);
        if (set[1].revents)
            reap(agent);
    }
}

int main(void)
{
    static struct agent agent = {.input = -1, .output = -1, .error = -1, .status = -1};
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signal(SIGPIPE, SIG_IGN);
    agent.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    agent.port = open(PORT, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (agent.signals < 0 || agent.port < 0)
        die(PORT);
    if (counted())
        start_spinner();
    send_frame(&agent, FRAME_HELLO, NULL, 0);
    serve(&agent);
    finish(&agent);
    for (;;)
        pause(); /* the keeper ends the machine */
}
