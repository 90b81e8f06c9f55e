// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// libFuzzer target: any bytes as a VM's file. Whatever they are, the answer is a configuration
// within its limits, or one line that says what is wrong.
#include "main/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(int holds)
{
    if (!holds)
        abort();
}

static void check_config(const struct vm_config *config, const struct vm_config_limits *limits)
{
    check(config->name[0] != '\0' && strlen(config->name) < VM_NAME_SIZE);
    check(strchr(config->name, '/') == NULL && config->name[0] != '.');
    check(config->kernel != NULL && config->kernel[0] != '\0');
    check(config->cmdline != NULL && strlen(config->cmdline) < VM_CMDLINE_SIZE);
    check(config->cpus >= 1 && config->cpus <= VM_CPUS_MAX);
    check(config->memory_bytes >= 64U << 20 && config->memory_bytes <= limits->memory_max);
    check(config->disk_count <= VM_DISKS_MAX && config->console_count <= VM_CONSOLES_MAX);
    for (uint32_t i = 0; i < config->disk_count; i++) {
        check(config->disks[i].path != NULL && config->disks[i].id[0] != '\0');
        check(config->disks[i].queues >= 1 && config->disks[i].queues <= VM_DISK_QUEUES_MAX);
    }
    for (uint32_t i = 0; i < config->console_count; i++)
        check((config->consoles[i].mode == VM_STREAM_FILE) == (config->consoles[i].path != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const struct vm_config_limits limits = {.memory_max = UINT64_C(4) << 30};
    struct vm_config config;
    struct vm_config_message message;
    int error = vm_config_parse(&config, "vms/fuzz.yaml", bytes, length, &limits, &message);

    if (error == 0) {
        check_config(&config, &limits);
        vm_config_destroy(&config);
    } else {
        check(error == -EINVAL && message.text[0] != '\0');
        check(strchr(message.text, '\n') == NULL);
    }
    return 0;
}
