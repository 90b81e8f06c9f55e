// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The vCPU threads: see vcpu.h for their states. Each thread follows the word `order`, which only
// the main thread writes and which is new with every order. A thread answers the guest's accesses
// under the machine's lock and never waits for a device (rule 2): its only sleeps are in KVM_RUN,
// for the lock, and for an order.
#include "vcpu/vcpu.h"

#include "ipc/cleanup.h"
#include "ipc/log.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifdef BULKHEAD_SANITIZE
#define STACK_SIZE (2u << 20) // sanitizers put their own state there
#else
#define STACK_SIZE (64u << 10) // the deepest call sends a message: about 8 KiB
#endif
#define GUARD_SIZE 4096u

enum command { COMMAND_PARK, COMMAND_START, COMMAND_RESUME, COMMAND_QUIT };

#define COMMAND_BITS 2u
#define COMMAND_OF(order) ((enum command)((order) & ((1u << COMMAND_BITS) - 1)))

struct vcpu_thread {
    struct vcpus *vcpus;
    unsigned index;
    struct vcpu *vcpu;
    pthread_t thread;
    _Atomic int tid;
    uint32_t starts; // those that this vCPU was reset for
    bool able;       // the reset worked
    void *stack;     // mapped, GUARD_SIZE + STACK_SIZE
};

struct vcpus {
    struct vcpus_setup setup;
    struct boot_state boot;     // published with `starts`
    _Atomic uint32_t starts;    // how often the vCPUs were started from power-on
    _Atomic uint32_t order;     // count of orders and command; threads wait for it to change
    _Atomic uint32_t moving;    // vCPUs that do not stand still yet
    _Atomic uint32_t resetting; // vCPUs that are not reset yet; threads wait for 0
    struct vcpu_thread threads[VCPUS_MAX];
};

// --- orders -----------------------------------------------------------------------------------

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, VCPUS_MAX, NULL, NULL, 0);
}

static void give(struct vcpus *vcpus, enum command command)
{
    uint32_t count = (atomic_load(&vcpus->order) >> COMMAND_BITS) + 1;

    atomic_store(&vcpus->order, count << COMMAND_BITS | command);
    futex_wake_all(&vcpus->order);
}

static bool current(const struct vcpu_thread *self, uint32_t order)
{
    return atomic_load(&self->vcpus->order) == order;
}

static void wait_for_order(struct vcpu_thread *self, uint32_t order)
{
    while (current(self, order))
        futex_wait(&self->vcpus->order, order);
}

// --- what a thread does -----------------------------------------------------------------------

static void fail(struct vcpu_thread *self, const char *detail)
{
    const struct vcpus_setup *setup = &self->vcpus->setup;

    setup->failed(setup->failed_context, self->index, detail);
}

static void fail_call(struct vcpu_thread *self, const char *what, int error)
{
    char detail[sizeof((struct vcpu_exit){0}.detail)];

    snprintf(detail, sizeof(detail), "%s: %s", what, strerrordesc_np(-error));
    fail(self, detail);
}

static void answer(struct vcpu_thread *self, const struct exit_access *access)
{
    const struct vcpus_setup *setup = &self->vcpus->setup;

    pthread_mutex_lock(setup->lock);
    bus_access(setup->bus, access);
    pthread_mutex_unlock(setup->lock);
}

static void ask_for_reset(struct vcpu_thread *self)
{
    const struct vcpus_setup *setup = &self->vcpus->setup;

    pthread_mutex_lock(setup->lock);
    setup->host->event(setup->host->context, MACHINE_EVENT_RESET);
    pthread_mutex_unlock(setup->lock);
}

// Runs until something else than an access. Whether the vCPU can go on.
static bool run_until_interrupted(struct vcpu_thread *self)
{
    struct vcpu_exit exit;
    int error;

    while ((error = vcpu_run(self->vcpu, &exit)) == 0 && exit.kind == EXIT_ACCESS)
        answer(self, &exit.access);
    if (error < 0)
        fail_call(self, "KVM_RUN", error);
    else if (exit.kind == EXIT_HALTED)
        ask_for_reset(self);
    else if (exit.kind == EXIT_FAILED)
        fail(self, exit.detail);
    return error == 0 && exit.kind == EXIT_INTERRUPTED;
}

// The main thread changes the order, then kicks. Here the kick is forgotten, then the order read:
// whichever way they meet, the new order is seen or the kick still holds. Returns with a new order,
// and never in the middle of an access.
static void run(struct vcpu_thread *self, uint32_t order)
{
    bool able = self->able;

    while (able) {
        vcpu_unkick(self->vcpu);
        if (!current(self, order))
            return;
        able = run_until_interrupted(self);
    }
    wait_for_order(self, order);
}

// Resets the vCPU, then waits until all are: the first one could otherwise start another before
// that one's reset, which would undo it. A thread does this whatever the order is by now: a start
// that a park overtakes is still a start, and the other threads wait.
static void reset(struct vcpu_thread *self)
{
    struct vcpus *vcpus = self->vcpus;
    int error = vcpu_reset(self->vcpu, &vcpus->boot);
    uint32_t left;

    self->able = error == 0;
    if (atomic_fetch_sub(&vcpus->resetting, 1) == 1)
        futex_wake_all(&vcpus->resetting);
    while ((left = atomic_load(&vcpus->resetting)) != 0)
        futex_wait(&vcpus->resetting, left);
    if (error < 0)
        fail_call(self, "cannot reset the vCPU", error);
}

static void park(struct vcpu_thread *self, uint32_t order)
{
    struct vcpus *vcpus = self->vcpus;
    const uint64_t one = 1;

    if (atomic_fetch_sub(&vcpus->moving, 1) == 1 &&
        write(vcpus->setup.parked_fd, &one, sizeof(one)) < 0)
        fail_call(self, "cannot tell that all vCPUs stand still", -errno);
    wait_for_order(self, order);
}

static void resume(struct vcpu_thread *self, uint32_t order)
{
    vcpu_resumed(self->vcpu);
    run(self, order);
}

static void (*const commands[])(struct vcpu_thread *self, uint32_t order) = {
    [COMMAND_PARK] = park,
    [COMMAND_START] = run,
    [COMMAND_RESUME] = resume,
};

// All signals are for the main thread but kicks and the thread's own faults.
static void mask_signals(void)
{
    static const int own[] = {SIGUSR1, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t mask;

    sigfillset(&mask);
    for (size_t i = 0; i < array_size(own); i++)
        sigdelset(&mask, own[i]);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void follow(struct vcpu_thread *self)
{
    struct vcpus *vcpus = self->vcpus;
    uint32_t order;

    while (COMMAND_OF(order = atomic_load(&vcpus->order)) != COMMAND_QUIT) {
        uint32_t starts = atomic_load(&vcpus->starts);

        if (self->starts != starts) {
            self->starts = starts;
            reset(self);
        }
        commands[COMMAND_OF(order)](self, order);
    }
}

// 1. name and signals, 2. lock down, 3. follow orders.
static void *thread_main(void *context)
{
    struct vcpu_thread *self = context;
    const struct vcpus_setup *setup = &self->vcpus->setup;
    char name[16];
    int error;

    snprintf(name, sizeof(name), "vcpu%u", self->index);
    prctl(PR_SET_NAME, name);
    mask_signals();
    atomic_store(&self->tid, (int)syscall(SYS_gettid));
    error = setup->lock_down ? setup->lock_down(setup->filter_fd) : 0;
    if (error < 0)
        fail_call(self, "cannot lock a vCPU thread down", error);
    else
        follow(self);
    return NULL;
}

// --- for the main thread ----------------------------------------------------------------------

// A small stack of its own, since all that is touched counts, with a guard page below it.
static int map_stack(struct vcpu_thread *thread, pthread_attr_t *attributes)
{
    uint8_t *stack = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

    if (stack == MAP_FAILED)
        return -errno;
    thread->stack = stack;
    if (mprotect(stack + GUARD_SIZE, STACK_SIZE, PROT_READ | PROT_WRITE) < 0)
        return -errno;
    return -pthread_attr_setstack(attributes, stack + GUARD_SIZE, STACK_SIZE);
}

static int start_thread(struct vcpu_thread *thread)
{
    pthread_attr_t attributes;
    int error = -pthread_attr_init(&attributes);

    if (error < 0)
        return error;
    error = map_stack(thread, &attributes);
    if (error == 0)
        error = -pthread_create(&thread->thread, &attributes, thread_main, thread);
    pthread_attr_destroy(&attributes);
    return error;
}

static void unmap_stack(struct vcpu_thread *thread)
{
    if (thread->stack)
        munmap(thread->stack, GUARD_SIZE + STACK_SIZE);
    thread->stack = NULL;
}

// Ends the first `count` threads.
static void end_threads(struct vcpus *vcpus, unsigned count)
{
    give(vcpus, COMMAND_QUIT);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(vcpus->threads[i].thread, NULL);
        unmap_stack(&vcpus->threads[i]);
    }
}

static int create_vcpus(struct vcpus *vcpus)
{
    const struct vcpus_setup *setup = &vcpus->setup;
    int error = 0;

    for (unsigned i = 0; i < setup->count && error == 0; i++) {
        vcpus->threads[i] = (struct vcpu_thread){.vcpus = vcpus, .index = i, .able = true};
        error = hypervisor_vcpu_create(setup->hypervisor, i, setup->count, &vcpus->threads[i].vcpu);
    }
    return error;
}

int vcpus_create(const struct vcpus_setup *setup, struct vcpus **out)
{
    static struct vcpus vcpus;
    int error;

    if (setup->count < 1 || setup->count > VCPUS_MAX)
        return -EINVAL;
    vcpus = (struct vcpus){.setup = *setup, .moving = setup->count};
    error = create_vcpus(&vcpus);
    for (unsigned i = 0; i < setup->count && error == 0; i++) {
        error = start_thread(&vcpus.threads[i]);
        if (error < 0) {
            log_error("cannot start the thread of vCPU %u: %s", i, strerrordesc_np(-error));
            unmap_stack(&vcpus.threads[i]);
            end_threads(&vcpus, i);
        }
    }
    if (error == 0)
        *out = &vcpus;
    return error;
}

bool vcpus_parked(const struct vcpus *vcpus)
{
    return COMMAND_OF(atomic_load(&vcpus->order)) == COMMAND_PARK &&
           atomic_load(&vcpus->moving) == 0;
}

int vcpus_start(struct vcpus *vcpus, const struct boot_state *boot)
{
    int error = vcpus_parked(vcpus) ? hypervisor_reset(vcpus->setup.hypervisor) : -EBUSY;

    if (error < 0)
        return error;
    vcpus->boot = *boot;
    atomic_store(&vcpus->resetting, vcpus->setup.count);
    atomic_fetch_add(&vcpus->starts, 1);
    give(vcpus, COMMAND_START);
    return 0;
}

int vcpus_resume(struct vcpus *vcpus)
{
    if (!vcpus_parked(vcpus))
        return -EBUSY;
    give(vcpus, COMMAND_RESUME);
    return 0;
}

void vcpus_park(struct vcpus *vcpus)
{
    enum command last = COMMAND_OF(atomic_load(&vcpus->order));

    if (last != COMMAND_START && last != COMMAND_RESUME)
        return;
    atomic_store(&vcpus->moving, vcpus->setup.count);
    give(vcpus, COMMAND_PARK);
    for (unsigned i = 0; i < vcpus->setup.count; i++)
        vcpu_kick(vcpus->threads[i].vcpu, atomic_load(&vcpus->threads[i].tid));
}

void vcpus_destroy(struct vcpus *vcpus)
{
    end_threads(vcpus, vcpus->setup.count);
}
