// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Runs at build time: `embed OUTPUT POLICY…` compiles each policy as it is written and writes the
// table of built-in policies (builtin.h) as C. A policy with an error stops the build.
#include "ipc/cleanup.h"
#include "jail/policy/builtin.h"
#include "jail/policy/policy.h"

#include <stdio.h>
#include <string.h>

// While the table is made there is none; included files are found beside the including one.
const struct builtin_policy *builtin_policy_find(const char *name)
{
    return NULL;
}

static void cleanup_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

static int write_text(FILE *out, const char *path, unsigned index, size_t *length)
{
    FILE *in _cleanup_(cleanup_file) = fopen(path, "re");
    int c;

    if (!in) {
        perror(path);
        return -1;
    }
    *length = 0;
    fprintf(out, "static const char text_%u[] = {", index);
    while ((c = fgetc(in)) != EOF) {
        fprintf(out, "%s%d,", *length % 24 ? "" : "\n", (signed char)c);
        (*length)++;
    }
    fprintf(out, "0};\n");
    return ferror(in) ? -1 : 0;
}

static int compile_file(const char *path, struct policy_program *program)
{
    struct policy_source source = {.path = path};
    struct policy_diagnostics diagnostics = {0};
    struct policy *policy = NULL;
    int error = policy_load(&source, &policy, &diagnostics);

    if (error == 0)
        error = policy_compile(policy, NULL, program, &diagnostics);
    policy_diagnostics_print(&diagnostics, stderr);
    policy_diagnostics_clear(&diagnostics);
    policy_destroy(policy);
    return error;
}

static void write_program(FILE *out, unsigned index, const struct policy_program *program)
{
    fprintf(out, "static const struct sock_filter insns_%u[] = {\n", index);
    for (unsigned i = 0; i < program->count; i++)
        fprintf(out, "{0x%02x, %u, %u, 0x%08x},\n", program->insns[i].code, program->insns[i].jt,
                program->insns[i].jf, program->insns[i].k);
    fprintf(out, "};\n");
}

static int write_row(FILE *out, FILE *rows, const char *path, unsigned index)
{
    struct policy_program program _cleanup_(policy_program_destroy) = {0};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = 0;

    if (compile_file(path, &program) < 0 || write_text(out, path, index, &length) < 0)
        return -1;
    write_program(out, index, &program);
    fprintf(rows,
            "{.name = \"%.*s\", .path = \"%s\", .text = text_%u, .length = %zu,\n"
            " .insns = insns_%u, .count = %u, .syscalls_allowed = %u},\n",
            (int)strcspn(name, "."), name, path, index, length, index, program.count,
            program.syscalls_allowed);
    return 0;
}

int main(int argc, char **argv)
{
    FILE *out _cleanup_(cleanup_file) = argc > 1 ? fopen(argv[1], "we") : NULL;
    char *rows_text _cleanup_free_
    = NULL;
    size_t rows_size = 0;
    FILE *rows = open_memstream(&rows_text, &rows_size);
    int failed = !out || !rows;

    for (int i = 2; i < argc && !failed; i++)
        failed = write_row(out, rows, argv[i], (unsigned)i) < 0;
    if (!rows || fclose(rows) != 0 || failed) {
        fprintf(stderr, "embed: no table of built-in policies was made\n");
        return 1;
    }
    fprintf(out, "static const struct builtin_policy builtin_table[] = {\n%s{.name = NULL}};\n",
            rows_text);
    return fflush(out) == 0 ? 0 : 1;
}
