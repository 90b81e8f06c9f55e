// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// MSI-X of one function: a table that the guest writes, and the connections that follow from it.
// Every change ends in `settle`, which compares what should be connected with what is. Trusted with
// the function's own gsis and eventfds.
#include "main/machine/msix.h"

#include "main/machine/bus.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_MASKED 1u
#define LOCAL_APIC_PAGE 0xfeeu // bits 31..20 of a message to a local APIC (Intel SDM 3A, 11.11.1)
#define NOT_ROUTED UINT32_MAX  // in .control of `routed`
#define CONTROL_WRITABLE (MSIX_CONTROL_ENABLE | MSIX_CONTROL_FUNCTION_MASK)

static_assert(sizeof(struct msix_entry) == MSIX_ENTRY_SIZE, "PCI 3.0, 6.8.2.6");
static_assert(MSIX_VECTORS_MAX <= 64, "pending bits are one quadword");

static bool is_message(const struct msix_entry *entry)
{
    return entry->address_high == 0 && entry->address_low >> 20 == LOCAL_APIC_PAGE;
}

// Whether signals of the source are to reach the guest now.
static bool deliverable(const struct msix *msix, const struct msix_source *source)
{
    if ((msix->control & CONTROL_WRITABLE) != MSIX_CONTROL_ENABLE || source->vector >= msix->count)
        return false;
    return !(msix->table[source->vector].control & ENTRY_MASKED) &&
           is_message(&msix->table[source->vector]);
}

// Moves a signal out of the eventfd into `pending`.
static void collect(struct msix_source *source)
{
    uint64_t count;

    if (read(source->event_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
        source->pending = true;
}

static void signal_source(const struct msix_source *source)
{
    const uint64_t one = 1;

    // A full counter is a signalled one.
    if (write(source->event_fd, &one, sizeof(one)) < 0)
        return;
}

static void disconnect_stale(struct msix *msix)
{
    for (unsigned i = 0; i < msix->count; i++) {
        struct msix_source *source = &msix->sources[i];

        if (!source->connected)
            continue;
        if (source->connected_vector == source->vector && deliverable(msix, source))
            continue;
        // Fails only for a descriptor that is no eventfd, which was never connected.
        hypervisor_interrupt_disconnect(msix->hypervisor, source->event_fd,
                                        msix->gsi_first + source->connected_vector);
        source->connected = false;
    }
}

// Tells the hypervisor the messages of the vectors that are in use, where they changed.
static int route(struct msix *msix)
{
    uint64_t changed = 0;
    int error;

    for (unsigned i = 0; i < msix->count; i++) {
        const struct msix_source *source = &msix->sources[i];
        const struct msix_entry *entry;

        if (!deliverable(msix, source))
            continue;
        entry = &msix->table[source->vector];
        if (memcmp(entry, &msix->routed[source->vector], sizeof(*entry)) == 0)
            continue;
        hypervisor_msi_set(msix->hypervisor, msix->gsi_first + source->vector, entry->address_low,
                           entry->data);
        msix->routed[source->vector] = *entry;
        changed |= UINT64_C(1) << source->vector;
    }
    if (!changed)
        return 0;
    error = hypervisor_msi_commit(msix->hypervisor);
    for (unsigned i = 0; error < 0 && i < msix->count; i++)
        if (changed & UINT64_C(1) << i)
            msix->routed[i].control = NOT_ROUTED;
    return error;
}

// What was signalled before is taken out of the eventfd and signalled again when it is connected:
// so it is raised once, whatever the hypervisor does with old signals.
static int connect_deliverable(struct msix *msix)
{
    int result = 0;

    for (unsigned i = 0; i < msix->count; i++) {
        struct msix_source *source = &msix->sources[i];
        int error;

        if (source->connected || !deliverable(msix, source))
            continue;
        collect(source);
        error = hypervisor_interrupt_connect(msix->hypervisor, source->event_fd,
                                             msix->gsi_first + source->vector);
        if (error < 0) {
            result = error;
            continue;
        }
        source->connected = true;
        source->connected_vector = source->vector;
        if (source->pending)
            signal_source(source);
        source->pending = false;
    }
    return result;
}

static void settle(struct msix *msix)
{
    int error;

    disconnect_stale(msix);
    error = route(msix);
    if (error == 0)
        error = connect_deliverable(msix);
    if (error < 0 && log_limit_allows(&msix->refused))
        log_warning("the hypervisor refused an interrupt (gsi %u..%u): %s", msix->gsi_first,
                    msix->gsi_first + msix->count - 1, strerrorname_np(-error));
}

static void mask_all(struct msix *msix)
{
    for (unsigned i = 0; i < msix->count; i++)
        msix->table[i] = (struct msix_entry){.control = ENTRY_MASKED};
}

int msix_init(struct msix *msix, struct hypervisor *hypervisor, unsigned gsi_first, unsigned count,
              const int *event_fds)
{
    if (count == 0 || count > MSIX_VECTORS_MAX || gsi_first < HYPERVISOR_GSI_MSI_FIRST ||
        gsi_first > HYPERVISOR_GSI_MAX - count)
        return -EINVAL;
    *msix = (struct msix){
        .hypervisor = hypervisor,
        .gsi_first = gsi_first,
        .count = count,
        .refused = {.burst = 3},
    };
    for (unsigned i = 0; i < count; i++) {
        msix->sources[i] = (struct msix_source){.event_fd = event_fds[i], .vector = MSIX_NO_VECTOR};
        msix->routed[i].control = NOT_ROUTED;
    }
    mask_all(msix);
    return 0;
}

void msix_reset(struct msix *msix)
{
    msix->control = 0;
    mask_all(msix);
    msix_sources_unassign(msix);
    for (unsigned i = 0; i < msix->count; i++)
        msix_source_take(msix, i);
}

void msix_control_write(struct msix *msix, uint16_t control)
{
    msix->control = control & CONTROL_WRITABLE;
    settle(msix);
}

bool msix_enabled(const struct msix *msix)
{
    return msix->control & MSIX_CONTROL_ENABLE;
}

uint64_t msix_table_read(const struct msix *msix, uint64_t offset, unsigned length)
{
    return bus_image_read(msix->table, (uint64_t)msix->count * MSIX_ENTRY_SIZE, offset, length);
}

static void entry_write(struct msix_entry *entry, unsigned field, uint32_t value)
{
    switch (field) {
    case 0:
        entry->address_low = value;
        break;
    case 1:
        entry->address_high = value;
        break;
    case 2:
        entry->data = value;
        break;
    default:
        entry->control = value & ENTRY_MASKED;
    }
}

void msix_table_write(struct msix *msix, uint64_t offset, unsigned length, uint64_t value)
{
    if ((length != 4 && length != 8) || offset % length != 0 ||
        offset >= (uint64_t)msix->count * MSIX_ENTRY_SIZE)
        return;
    for (unsigned i = 0; i < length; i += 4) {
        unsigned at = (unsigned)offset + i;

        entry_write(&msix->table[at / MSIX_ENTRY_SIZE], at % MSIX_ENTRY_SIZE / 4,
                    (uint32_t)(value >> (8 * i)));
    }
    settle(msix);
}

uint64_t msix_pending_read(struct msix *msix, uint64_t offset, unsigned length)
{
    uint64_t bits = 0;

    for (unsigned i = 0; msix_enabled(msix) && i < msix->count; i++) {
        struct msix_source *source = &msix->sources[i];

        if (source->connected || source->vector >= msix->count)
            continue;
        collect(source);
        if (source->pending)
            bits |= UINT64_C(1) << source->vector;
    }
    return bus_image_read(&bits, sizeof(bits), offset, length);
}

void msix_source_select(struct msix *msix, unsigned source, uint16_t vector)
{
    msix->sources[source].vector = vector < msix->count ? vector : MSIX_NO_VECTOR;
    settle(msix);
}

uint16_t msix_source_vector(const struct msix *msix, unsigned source)
{
    return msix->sources[source].vector;
}

void msix_sources_unassign(struct msix *msix)
{
    for (unsigned i = 0; i < msix->count; i++)
        msix->sources[i].vector = MSIX_NO_VECTOR;
    settle(msix);
}

void msix_source_raise(struct msix *msix, unsigned source)
{
    signal_source(&msix->sources[source]);
}

bool msix_source_take(struct msix *msix, unsigned source)
{
    struct msix_source *from = &msix->sources[source];
    bool taken;

    if (from->connected)
        return false;
    collect(from);
    taken = from->pending;
    from->pending = false;
    return taken;
}
