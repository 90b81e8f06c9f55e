// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Stages of what a process inherits without asking: session, signals, umask, no_new_privs, and the
// signal that ties its life to the warden's. Runs in the child.
#include "ipc/cleanup.h"
#include "jail/stage.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

// clone3 has reset what had a handler, but a signal that the warden ignores stays ignored. SIGKILL,
// SIGSTOP and the two that the C library keeps for itself refuse, which is what we want of them.
static void default_signals(void)
{
    const struct sigaction action = {.sa_handler = SIG_DFL};

    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &action, NULL);
}

int jail_session_apply(struct jail_child *child)
{
    sigset_t none;

    default_signals();
    umask(077);
    if (setsid() < 0)
        return -errno;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0 ? 0 : -errno;
}

int jail_no_new_privs_apply(struct jail_child *child)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

// After the last change of credentials, since each clears it. A warden that died before this call
// sends no signal, but its end of the socket is closed: nobody else holds one.
int jail_death_signal_apply(struct jail_child *child)
{
    char byte;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return -errno;
    if (recv(child->warden, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0)
        return -EOWNERDEAD;
    return 0;
}
