// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// From settings to a configuration. Pure: works on the struct and the text that it is given.
#include "main/config/builder.h"

#include "ipc/cleanup.h"
#include "main/config/values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *member_at(void *base, size_t offset)
{
    return (char *)base + offset;
}

// Parses and, on failure, puts the place before the message.
static int set_member(struct config_builder *builder, const struct config_field *field, void *base,
                      size_t offset, const char *where, const char *text)
{
    struct vm_config_message why = {.text = ""};
    int error = field->parse(field, text, member_at(base, offset), &builder->source, &why);

    if (error != 0)
        config_say(builder->message, "%s: %s", where, why.text);
    return error;
}

static int set_initials(struct config_builder *builder, const struct config_field *fields,
                        void *base)
{
    for (; fields->key != NULL; fields++) {
        int error = 0;

        if (fields->initial != NULL)
            error = set_member(builder, fields, base, fields->offset, fields->key, fields->initial);
        if (error != 0)
            return error;
    }
    return 0;
}

int config_builder_begin(struct config_builder *builder, struct vm_config *config,
                         const struct vm_config_limits *limits, struct vm_config_message *message)
{
    // The defaults of the table may be more than a small host has; finish_memory() looks at that,
    // when it is known whether the user chose something else.
    static const struct vm_config_limits no_limits = {.memory_max = UINT64_MAX};
    int error;

    *config = (struct vm_config){.name = ""};
    *message = (struct vm_config_message){.text = ""};
    *builder = (struct config_builder){
        .config = config,
        .source = {.directory = "", .limits = &no_limits},
        .message = message,
    };
    error = set_initials(builder, config_fields, config);
    builder->source.limits = limits;
    return error;
}

void *config_element_begin(struct config_builder *builder, const struct config_field *field,
                           const char *where)
{
    uint32_t *count = member_at(builder->config, field->count_offset);
    void *element;

    if (*count >= field->element_max) {
        config_say(builder->message, "%s: there are more than %u; leave some out", where,
                   field->element_max);
        return NULL;
    }
    element = member_at(builder->config, field->offset + *count * field->element_size);
    memset(element, 0, field->element_size);
    (*count)++;
    if (field->keys != NULL && set_initials(builder, field->keys, element) != 0)
        return NULL;
    return element;
}

int config_set(struct config_builder *builder, const struct config_field *field, const char *where,
               const char *text)
{
    void *element;

    builder->given |= UINT64_C(1) << (field - config_fields);
    if (field->element_size == 0)
        return set_member(builder, field, builder->config, field->offset, where, text);
    element = config_element_begin(builder, field, where);
    if (element == NULL)
        return -EINVAL;
    return set_member(builder, field, element, 0, where, text);
}

int config_set_key(struct config_builder *builder, void *element, const struct config_field *key,
                   const char *where, const char *text)
{
    return set_member(builder, key, element, key->offset, where, text);
}

int config_element_end(struct config_builder *builder, const struct config_field *field,
                       const void *element, const char *where)
{
    for (const struct config_field *key = field->keys; key->key != NULL; key++) {
        char *const *string = (char *const *)((const char *)element + key->offset);

        if (key->required && *string == NULL) {
            config_say(builder->message, "%s: %s has no %s; add %s=%s", where, field->key, key->key,
                       key->key, key->argument);
            return -EINVAL;
        }
    }
    return 0;
}

int config_unknown(struct config_builder *builder, const struct config_unknown *unknown,
                   const char *where, const char *key)
{
    const char *meant = config_field_suggest(unknown->fields, key);

    if (meant != NULL)
        config_say(builder->message, "%s: unknown %s '%s%.80s'; did you mean '%s%s'?", where,
                   unknown->kind, unknown->dashes, key, unknown->dashes, meant);
    else
        config_say(builder->message, "%s: unknown %s '%s%.80s'; %s", where, unknown->kind,
                   unknown->dashes, key, unknown->list);
    return -EINVAL;
}

static bool was_given(const struct config_builder *builder, const char *key)
{
    const struct config_field *field = config_field_find(config_fields, key, strlen(key));

    return (builder->given >> (field - config_fields) & 1) != 0;
}

// The file's name without directory and suffix, with '_' for what a name cannot have.
void config_default_name(char name[VM_NAME_SIZE], const char *file_name, int pid)
{
    const char *slash = file_name == NULL ? NULL : strrchr(file_name, '/');
    const char *base = slash == NULL ? file_name : slash + 1;
    const char *dot;
    size_t length;

    if (base == NULL || base[0] == '\0') {
        snprintf(name, VM_NAME_SIZE, "vm-%d", pid);
        return;
    }
    dot = strrchr(base, '.');
    length = dot == NULL || dot == base ? strlen(base) : (size_t)(dot - base);
    if (length >= VM_NAME_SIZE)
        length = VM_NAME_SIZE - 1;
    for (size_t i = 0; i < length; i++) {
        bool word = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
                           base[i]) != NULL;
        bool inner = i > 0 && strchr("-_.", base[i]) != NULL;

        name[i] = base[i];
        if (!word && !inner)
            name[i] = i > 0 ? '_' : 'v';
    }
    name[length] = '\0';
}

static uint32_t stdio_users(const struct vm_config *config, bool consoles_only)
{
    uint32_t users = !consoles_only && config->serial.mode == VM_STREAM_STDIO;

    for (uint32_t i = 0; i < config->console_count; i++)
        users += config->consoles[i].mode == VM_STREAM_STDIO;
    return users;
}

static int finish_streams(struct config_builder *builder)
{
    struct vm_config *config = builder->config;

    if (!was_given(builder, "serial"))
        config->serial.mode = stdio_users(config, true) > 0 ? VM_STREAM_NULL : VM_STREAM_STDIO;
    if (stdio_users(config, false) > 1) {
        config_say(builder->message, "stdio is asked for by more than one serial port or console; "
                                     "give the others pty, null or file=FILE");
        return -EINVAL;
    }
    return 0;
}

static int finish_memory(struct config_builder *builder)
{
    const uint64_t max = builder->source.limits->memory_max;
    char most[24];

    if (builder->config->memory_bytes <= max)
        return 0;
    config_size_text(max, most, sizeof(most));
    config_say(builder->message,
               "memory: the default is more than the %s that this host has; say "
               "how much with --memory SIZE",
               most);
    return -EINVAL;
}

// Whether `id` is `kind`, or `kind` and a number.
static bool is_numbered(const char *id, const char *kind)
{
    const size_t length = strlen(kind);

    return strncmp(id, kind, length) == 0 && id[length + strspn(id + length, "0123456789")] == '\0';
}

// Names that processes of a VM have or will have: a disk that took one could not be told apart.
static bool is_reserved(const char *id)
{
    static const char *const kinds[] = {
        "warden", "coordinator", "loader", "vcpu", "serial", "console", "rng",
        "net",    "balloon",     "vsock",  "gpu",  "input",  "sound",   "fs",
    };

    for (size_t i = 0; i < array_size(kinds); i++) {
        if (is_numbered(id, kinds[i]))
            return true;
    }
    return false;
}

static int finish_disk(struct config_builder *builder, uint32_t index)
{
    struct vm_disk *disks = builder->config->disks;
    struct vm_disk *disk = &disks[index];

    if (disk->id[0] == '\0')
        snprintf(disk->id, sizeof(disk->id), "block%u", index);
    if (is_reserved(disk->id)) {
        config_say(builder->message,
                   "disk %.150s: the id '%s' is kept for another process of the VM; "
                   "choose another id",
                   disk->path, disk->id);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(disks[i].id, disk->id) == 0) {
            config_say(builder->message,
                       "disk %.150s: disk %.150s has the same id '%s'; give one of "
                       "them another id",
                       disk->path, disks[i].path, disk->id);
            return -EINVAL;
        }
    }
    return 0;
}

// Takes the policy at `index` out of the list.
static void drop_policy(struct vm_config *config, uint32_t index)
{
    free(config->policies[index].path);
    config->policy_count--;
    memmove(&config->policies[index], &config->policies[index + 1],
            (config->policy_count - index) * sizeof(config->policies[0]));
    config->policies[config->policy_count] = (struct vm_policy){.path = NULL};
}

// An option replaces the file's policy for the same process; twice in one place is an error.
static int finish_policies(struct config_builder *builder)
{
    struct vm_config *config = builder->config;
    uint32_t of_file = builder->policies_of_file;

    for (uint32_t i = 1; i < config->policy_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(config->policies[i].id, config->policies[j].id) != 0)
                continue;
            if (i < of_file || j >= of_file) {
                config_say(builder->message,
                           "policy for '%s' is given twice; keep one of %.150s and "
                           "%.150s",
                           config->policies[i].id, config->policies[j].path,
                           config->policies[i].path);
                return -EINVAL;
            }
            drop_policy(config, j);
            of_file--;
            i--;
            break;
        }
    }
    return 0;
}

int config_builder_finish(struct config_builder *builder, const char *file_name)
{
    struct vm_config *config = builder->config;
    int error = 0;

    if (config->name[0] == '\0')
        config_default_name(config->name, file_name, (int)getpid());
    if (config->kernel == NULL) {
        config_say(builder->message,
                   "no kernel: name one with --kernel FILE, or with 'kernel: FILE' "
                   "in the VM's YAML file");
        return -EINVAL;
    }
    if (config->cmdline == NULL)
        config->cmdline = strdup("");
    if (config->cmdline == NULL) {
        config_say(builder->message, "no memory left; free some and try again");
        return -ENOMEM;
    }
    error = finish_memory(builder);
    for (uint32_t i = 0; error == 0 && i < config->disk_count; i++)
        error = finish_disk(builder, i);
    if (error == 0)
        error = finish_policies(builder);
    if (error == 0)
        error = finish_streams(builder);
    return error;
}
