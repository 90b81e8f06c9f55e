// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The loader: a jailed process that puts kernel and initrd into guest memory, says where the guest
// begins, and ends. It parses files that may be hostile; when that happens it holds nothing but
// these files, the guest's memory (which the guest owns anyway) and a channel on which the warden
// believes it two kinds of messages.
#include "ipc/channel.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "jail/lockdown.h"
#include "main/boot/boot.h"
#include "memory/guest_memory.h"
#include "proto/warden.pb.h"

#include <assert.h>
#include <string.h>

#define CHANNEL_FD 3 // where the warden puts it

// Positions of descriptors that come with Load; the initrd's only with has_initrd.
enum { LOAD_MEMORY, LOAD_KERNEL, LOAD_INITRD };

struct loader {
    struct channel channel;
    warden_Load load;
    int memory_fd; // owned, as are those below
    int filter_fd;
    struct boot_file kernel_file;
    struct boot_file initrd_file; // .fd -1: none
    struct boot_image kernel;
    struct boot_image initrd;
    struct guest_memory *memory;
};

static void receive(struct loader *loader)
{
    warden_ToLoader message;
    struct channel_descriptors descriptors;
    int result =
        channel_receive(&loader->channel, warden_ToLoader_fields, &message, &descriptors, 0);
    unsigned filter;

    if (result != 1)
        fatal("no Load came: %s", result == 0 ? "the warden is gone" : strerrordesc_np(-result));
    if (message.which_message != warden_ToLoader_load_tag)
        fatal("the first message is not Load");
    loader->load = message.message.load;
    filter = loader->load.has_initrd ? LOAD_INITRD + 1 : LOAD_INITRD;
    if (descriptors.count != filter + 1)
        fatal("Load came with %u descriptors, %u belong to it", descriptors.count, filter + 1);
    loader->memory_fd = channel_take(&descriptors, LOAD_MEMORY);
    loader->kernel_file.fd = channel_take(&descriptors, LOAD_KERNEL);
    loader->initrd_file.fd = loader->load.has_initrd ? channel_take(&descriptors, LOAD_INITRD) : -1;
    loader->kernel_file.memory_fd = loader->memory_fd;
    loader->initrd_file.memory_fd = loader->memory_fd;
    loader->filter_fd = channel_take(&descriptors, filter);
}

static void map(struct loader *loader)
{
    struct guest_region regions[GUEST_REGIONS_MAX];
    int error;

    static_assert(array_size(loader->load.regions) == GUEST_REGIONS_MAX, "warden.options");
    for (unsigned i = 0; i < loader->load.regions_count; i++)
        regions[i] = (struct guest_region){
            .guest_address = loader->load.regions[i].guest_address,
            .size = loader->load.regions[i].size,
            .offset = loader->load.regions[i].offset,
        };
    error =
        guest_memory_map(loader->memory_fd, regions, loader->load.regions_count, &loader->memory);
    if (error < 0)
        fatal("guest memory cannot be mapped: %s", strerrordesc_np(-error));
}

static int examine_files(struct loader *loader, struct boot_failure *failure)
{
    int error = boot_image_of_file(&loader->kernel, "kernel", &loader->kernel_file, failure);

    if (error == 0 && loader->initrd_file.fd >= 0)
        error = boot_image_of_file(&loader->initrd, "initrd", &loader->initrd_file, failure);
    return error;
}

static int parse(const struct loader *loader, struct boot_state *state,
                 struct boot_failure *failure)
{
    const struct boot_request request = {
        .memory = loader->memory,
        .cpus = loader->load.cpus,
        .has_serial = loader->load.has_serial,
        .has_rtc = loader->load.has_rtc,
        .cmdline = loader->load.cmdline,
        .kernel = &loader->kernel,
        .initrd = loader->initrd_file.fd >= 0 ? &loader->initrd : NULL,
    };

    return boot_load(&request, state, failure);
}

// Boot, or LoadFailed when there was an error.
static void answer(const struct loader *loader, int error, const struct boot_state *state,
                   const struct boot_failure *failure)
{
    warden_FromLoader message = {.which_message = warden_FromLoader_boot_tag};

    if (error == 0) {
        message.message.boot = (warden_Boot){
            .protocol = state->protocol == BOOT_PVH ? warden_Boot_Protocol_PVH
                                                    : warden_Boot_Protocol_LINUX64,
            .entry = state->entry,
            .argument = state->argument,
            .page_tables = state->page_tables,
            .gdt = state->gdt,
        };
    } else {
        message.which_message = warden_FromLoader_failed_tag;
        static_assert(sizeof(failure->text) <= sizeof(message.message.failed.reason), "one line");
        memcpy(message.message.failed.reason, failure->text, sizeof(failure->text));
    }
    error = channel_send(&loader->channel, warden_FromLoader_fields, &message, NULL, 0);
    if (error < 0)
        fatal("the answer cannot be sent: %s", strerrordesc_np(-error));
}

int main(void)
{
    static struct loader loader = {.channel = {.fd = CHANNEL_FD}};
    struct boot_failure failure = {0};
    struct boot_state state = {0};
    int error;

    receive(&loader);                         // 1. what to load, and the descriptors
    map(&loader);                             // 2. guest memory
    error = examine_files(&loader, &failure); // 3. sizes; nothing is allocated later
    if (jail_lockdown_filter(steal_fd(&loader.filter_fd)) < 0) // 4. no way back
        fatal("the seccomp filter cannot be installed");
    if (error == 0)
        error = parse(&loader, &state, &failure); // 5. kernel, initrd, boot data
    answer(&loader, error, &state, &failure);     // 6. where the guest begins, or why not
    return 0;
}
