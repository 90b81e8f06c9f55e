// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The same facts for programs. All strings in here are names of plain characters (scan_printable)
// or constants, so that nothing has to be escaped.
#include "main/process_list.h"

#include "ipc/cleanup.h"

#include <string.h>

static void print_namespaces(uint32_t set, FILE *out)
{
    const char *comma = "";

    fputc('[', out);
    for (unsigned i = 0; i < JAIL_NAMESPACE_COUNT; i++) {
        if ((set & JAIL_BIT(i)) == 0)
            continue;
        fprintf(out, "%s\"%s\"", comma, process_namespace_name(i));
        comma = ", ";
    }
    fputc(']', out);
}

static void print_capabilities(uint64_t set, FILE *out)
{
    const char *comma = "";

    fputc('[', out);
    for (unsigned i = 0; i < 64; i++) {
        const char *name = process_capability_name(i);

        if ((set >> i & 1) == 0)
            continue;
        if (name != NULL)
            fprintf(out, "%s\"cap_%s\"", comma, name);
        else
            fprintf(out, "%s\"%u\"", comma, i);
        comma = ", ";
    }
    fputc(']', out);
}

static void print_jail(const struct process_row *row, FILE *out)
{
    static const char *const sets[] = {"inheritable", "permitted", "effective", "bounding",
                                       "ambient"};
    static const char *const modes[] = {"off", "strict", "filter"};
    const struct jail_facts *facts = &row->facts;

    fprintf(out, "         \"namespaces\": {\"own\": ");
    print_namespaces(row->own_namespaces, out);
    fprintf(out, ", \"shared\": ");
    print_namespaces(~row->own_namespaces, out);
    fprintf(out, "},\n         \"seccomp\": {\"mode\": \"%s\", \"filters\": %u, ",
            facts->seccomp_mode < array_size(modes) ? modes[facts->seccomp_mode] : "unknown",
            facts->seccomp_filters);
    if (row->calls >= 0)
        fprintf(out, "\"calls\": %d},\n", row->calls);
    else
        fprintf(out, "\"calls\": %s},\n", row->calls == CALLS_ALL ? "\"all\"" : "null");
    fprintf(out, "         \"no_new_privs\": %s, \"capabilities\": {",
            facts->no_new_privs ? "true" : "false");
    for (size_t i = 0; i < array_size(sets); i++) {
        fprintf(out, "%s\"%s\": ", i > 0 ? ", " : "", sets[i]);
        print_capabilities(facts->capabilities[i], out);
    }
    fprintf(out, "}");
}

static void print_process(const struct process_row *row, FILE *out)
{
    const struct jail_facts *facts = &row->facts;

    fprintf(out, "\n        {\"pid\": %d, ", (int)row->pid);
    if (row->thread != 0)
        fprintf(out, "\"thread\": %d, ", (int)row->thread);
    fprintf(out, "\"role\": \"%s\", \"readable\": %s", row->role,
            row->facts_error == 0 ? "true" : "false");
    if (row->facts_error == 0) {
        fprintf(out, ", \"threads\": %u", row->threads);
        if (row->thread == 0)
            fprintf(out,
                    ", \"executable_bytes\": %llu,\n"
                    "         \"memory_kib\": {\"own\": %llu, \"anonymous\": %llu, "
                    "\"file\": %llu, \"shared\": %llu}",
                    (unsigned long long)facts->executable_size,
                    (unsigned long long)process_own_memory(row),
                    (unsigned long long)facts->pss_anonymous, (unsigned long long)facts->pss_file,
                    (unsigned long long)facts->pss_shared);
        fprintf(out, ",\n");
        print_jail(row, out);
    }
    fputc('}', out);
}

void process_print_json(const struct process_vm *vms, size_t count, FILE *out)
{
    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s\n    {\"name\": \"%s\", \"warden\": %d, \"processes\": [",
                i > 0 ? "," : "", vms[i].name, (int)vms[i].warden);
        for (size_t row = 0; row < vms[i].count; row++) {
            if (row > 0)
                fputc(',', out);
            print_process(&vms[i].rows[row], out);
        }
        fprintf(out, "\n    ]}");
    }
    fprintf(out, "%s]\n", count > 0 ? "\n" : "");
}
