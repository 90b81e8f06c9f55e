// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Finds and compiles the policy of one process: the user's file for it, the user's directory, the
// built-in one.
#include "main/warden_state.h"

#include "ipc/cleanup.h"
#include "jail/policy/builtin.h"
#include "jail/policy/policy.h"
#include "main/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *own_file(const struct vm_config *config, const char *id)
{
    for (uint32_t i = 0; i < config->policy_count; i++)
        if (strcmp(config->policies[i].id, id) == 0)
            return config->policies[i].path;
    return NULL;
}

static int load_file(const struct vm_config *config, const char *path, struct policy **policy,
                     struct policy_diagnostics *diagnostics)
{
    const char *directories[] = {config->policy_dir};
    const struct policy_source source = {
        .path = path,
        .directories = directories,
        .directory_count = config->policy_dir != NULL,
    };

    return policy_load(&source, policy, diagnostics);
}

// The file that stands in for the built-in policy, or NULL.
static const char * override(const struct vm_config *config, const char *id, const char *name,
                             char in_directory[VM_PATH_SIZE])
{
    const char *path = own_file(config, id);

    if (path != NULL || config->policy_dir == NULL)
        return path;
    snprintf(in_directory, VM_PATH_SIZE, "%s/%s.policy", config->policy_dir, name);
    return access(in_directory, F_OK) == 0 ? in_directory : NULL;
}

static int program_to_memfd(const struct sock_filter *insns, unsigned count)
{
    size_t bytes = count * sizeof(insns[0]);
    _cleanup_fd_
    int fd = memfd_create("seccomp-program", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    if (write(fd, insns, bytes) != (ssize_t)bytes)
        return -EIO;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return -errno;
    return steal_fd(&fd);
}

static void explain(const char *id, int error, const struct policy_diagnostics *diagnostics)
{
    char summary[512];

    policy_diagnostics_summary(diagnostics, summary, sizeof(summary));
    if (summary[0] != '\0')
        user_message("policy of %s: %s", id, summary);
    else
        user_message("policy of %s cannot be loaded: %s; see bulkhead-policy(1)", id,
                     strerror(-error));
}

static int compile_file(const struct vm_config *config, const char *id, const char *path,
                        const struct policy_options *options)
{
    struct policy_diagnostics diagnostics = {0};
    struct policy_program program = {0};
    struct policy *policy = NULL;
    int result = load_file(config, path, &policy, &diagnostics);

    if (result == 0)
        result = policy_compile(policy, options, &program, &diagnostics);
    if (result == 0)
        result = program_to_memfd(program.insns, program.count);
    if (result < 0)
        explain(id, result, &diagnostics);
    policy_program_destroy(&program);
    policy_destroy(policy);
    policy_diagnostics_clear(&diagnostics);
    return result;
}

#ifdef BULKHEAD_SANITIZE
// Compiled again, since the built-in program stops what it does not allow.
static int builtin_program(const char *name)
{
    const struct policy_options options = {.violation = POLICY_VIOLATION_OF_THIS_BUILD};
    struct policy_program program = {0};
    struct policy *policy = NULL;
    int result = policy_load_builtin(name, &policy, NULL);

    if (result == 0)
        result = policy_compile(policy, &options, &program, NULL);
    if (result == 0)
        result = program_to_memfd(program.insns, program.count);
    policy_program_destroy(&program);
    policy_destroy(policy);
    return result;
}
#else
// Built-in policies were compiled with the program.
static int builtin_program(const char *name)
{
    const struct builtin_policy *policy = builtin_policy_find(name);

    return policy != NULL ? program_to_memfd(policy->insns, policy->count) : -ENOENT;
}
#endif

int warden_policy_compile(const struct vm_config *config, const char *id, const char *name)
{
    static const struct policy_options options = {.violation = POLICY_VIOLATION_OF_THIS_BUILD};
    char in_directory[VM_PATH_SIZE];
    const char *path = override(config, id, name, in_directory);
    int result;

    if (path != NULL)
        return compile_file(config, id, path, &options);
    result = builtin_program(name);
    if (result < 0)
        user_message("the built-in policy of %s is not there: %s; build Bulkhead again", id,
                     strerror(-result));
    return result;
}
