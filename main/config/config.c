// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The life of a struct vm_config: from a file's text or from the command line, to its end.
#include "main/config/config.h"

#include "main/config/builder.h"
#include "main/config/options.h"
#include "main/config/values.h"
#include "main/config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "ipc/cleanup.h"

struct vm_config_limits vm_config_host_limits(void)
{
    struct sysinfo info = {.totalram = 0};
    uint64_t bytes = 0;

    if (sysinfo(&info) == 0)
        bytes = (uint64_t)info.totalram * info.mem_unit;
    return (struct vm_config_limits){.memory_max = bytes >> 20 << 20};
}

void vm_config_destroy(struct vm_config *config)
{
    free(config->kernel);
    free(config->initrd);
    free(config->cmdline);
    free(config->policy_dir);
    free(config->serial.path);
    for (uint32_t i = 0; i < config->disk_count; i++)
        free(config->disks[i].path);
    for (uint32_t i = 0; i < config->console_count; i++)
        free(config->consoles[i].path);
    for (uint32_t i = 0; i < config->policy_count; i++)
        free(config->policies[i].path);
    *config = (struct vm_config){.name = ""};
}

int vm_config_parse(struct vm_config *config, const char *file_name, const void *bytes,
                    size_t length, const struct vm_config_limits *limits,
                    struct vm_config_message *message)
{
    struct config_builder builder;
    int error = config_builder_begin(&builder, config, limits, message);

    if (error == 0)
        error = config_read_yaml(&builder, file_name, bytes, length);
    if (error == 0)
        error = config_builder_finish(&builder, file_name);
    if (error != 0)
        vm_config_destroy(config);
    return error;
}

// Up to `size` bytes of the file; the count, or a negative errno.
static ssize_t read_file(const char *name, char *bytes, size_t size)
{
    _cleanup_fd_
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t length = 0;

    if (fd < 0)
        return -errno;
    while (length < size) {
        ssize_t count = read(fd, bytes + length, size - length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        length += (size_t)count;
    }
    return (ssize_t)length;
}

static int load_file(struct config_builder *builder, const char *name)
{
    _cleanup_free_
    char *bytes = malloc(CONFIG_YAML_MAX + 1);
    ssize_t length = bytes == NULL ? -ENOMEM : read_file(name, bytes, CONFIG_YAML_MAX + 1);

    if (length < 0) {
        config_say(builder->message, "cannot read '%.200s': %s; check the name and its permissions",
                   name, strerror((int)-length));
        // -EINVAL means wrong usage to the caller, which this is not.
        return length == -EINVAL ? -EIO : (int)length;
    }
    return config_read_yaml(builder, name, bytes, (size_t)length);
}

int vm_config_load(struct vm_config *config, int argc, char *const argv[],
                   const struct vm_config_limits *limits, struct vm_config_message *message)
{
    _cleanup_(config_options_destroy) struct config_options options = {.count = 0};
    struct config_builder builder;
    int error = config_builder_begin(&builder, config, limits, message);

    if (error == 0)
        error = config_options_scan(&options, &builder, argc, argv);
    if (error == 0 && options.file_name != NULL)
        error = load_file(&builder, options.file_name);
    if (error == 0)
        error = config_options_apply(&options, &builder);
    if (error == 0)
        error = config_builder_finish(&builder, options.file_name);
    if (error != 0)
        vm_config_destroy(config);
    return error;
}
