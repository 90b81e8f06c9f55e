// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Fuzz target: the console's queues against a driver that does anything, terminals that are slow,
// full or gone, and users that type. Whatever happens, the process comes back to its event loop,
// tells each fault once, and answers each reset.
#include "tests/fuzz/device_rig.h"

#include "devices/console/console.h"

#include <fcntl.h>

#define PORTS 3u // two pipes, and one without a back end

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static int keyboards[2]; // ends that the user types into
static int screens[2];

static void open_pipe(int *device_end, int *our_end, bool device_reads)
{
    int fds[2];

    require(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
    // Small, so that a guest can fill it.
    require(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 4096);
    *device_end = fds[device_reads ? 0 : 1];
    *our_end = fds[device_reads ? 1 : 0];
}

static void open_back_ends(struct rig *rig)
{
    for (unsigned i = 0; i < 2; i++) {
        rig->back_ends[2 * i].role = device_DescriptorRole_ROLE_INPUT;
        open_pipe(&rig->back_ends[2 * i].fd, &keyboards[i], true);
        rig->back_ends[2 * i + 1].role = device_DescriptorRole_ROLE_OUTPUT;
        open_pipe(&rig->back_ends[2 * i + 1].fd, &screens[i], false);
    }
}

static void look_at(int screen)
{
    char bytes[1024];

    if (read(screen, bytes, sizeof(bytes)) < 0)
        return; // nothing new
}

static void own(struct rig *rig, const struct rig_step *step)
{
    unsigned port = step->queue & 1;

    if ((step->place & 1) != 0)
        look_at(screens[port]);
    else if (write(keyboards[port], step->bytes, 1 + (step->place >> 1) % sizeof(step->bytes)) < 0)
        return; // the device does not read
    rig_turn(rig);
}

static void settle(struct rig *rig)
{
    look_at(screens[0]);
    look_at(screens[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const device_Attach attach = {
        .which_config = device_Attach_console_tag,
        .config.console =
            {.ports = PORTS, .columns = 80, .rows = 25, .inputs = 3, .outputs = 3, .escapes = 1},
    };

    if (the_rig.device.ops == NULL) {
        open_back_ends(&the_rig);
        rig_attach(&the_rig, 2 * (PORTS + 1), &attach);
    }
    rig_run(&the_rig, bytes, length, own, settle);
    return 0;
}
