// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The table of one VM's processes, for people.
#include "main/process_list.h"

#include <errno.h>
#include <string.h>

#define CAPABILITIES_LISTED 4 // beyond these, only their number

// What one cell holds; `row` is what it is about. A thread leaves out what is its process's.
typedef void cell_fn(char *text, size_t size, const struct process_row *row);

static void cell_pid(char *text, size_t size, const struct process_row *row)
{
    snprintf(text, size, "%d", (int)(row->thread != 0 ? row->thread : row->pid));
}

static void cell_role(char *text, size_t size, const struct process_row *row)
{
    snprintf(text, size, "%s%s", row->thread != 0 ? "  " : "", row->role);
}

static void cell_program(char *text, size_t size, const struct process_row *row)
{
    if (row->thread == 0)
        snprintf(text, size, "%llu KiB",
                 (unsigned long long)(row->facts.executable_size + 1023) / 1024);
}

static void cell_memory(char *text, size_t size, const struct process_row *row)
{
    if (row->thread == 0)
        snprintf(text, size, "%llu KiB", (unsigned long long)process_own_memory(row));
}

static void cell_threads(char *text, size_t size, const struct process_row *row)
{
    if (row->thread == 0 || row->threads > 1)
        snprintf(text, size, "%u", row->threads);
}

// "7/7", or which of them are shared.
static void cell_namespaces(char *text, size_t size, const struct process_row *row)
{
    unsigned own = (unsigned)__builtin_popcount(row->own_namespaces);
    size_t length;

    snprintf(text, size, "%u/%d", own, (int)JAIL_NAMESPACE_COUNT);
    if (own == 0)
        return;
    for (unsigned i = 0; i < JAIL_NAMESPACE_COUNT; i++) {
        length = strlen(text);
        if ((row->own_namespaces & JAIL_BIT(i)) == 0)
            snprintf(text + length, size - length, " -%s", process_namespace_name(i));
    }
}

static void cell_seccomp(char *text, size_t size, const struct process_row *row)
{
    if (row->facts.seccomp_mode == 2)
        snprintf(text, size, "%u filter%s", row->facts.seccomp_filters,
                 row->facts.seccomp_filters == 1 ? "" : "s");
    else
        snprintf(text, size, "%s", row->facts.seccomp_mode == 0 ? "off" : "strict");
}

static void cell_calls(char *text, size_t size, const struct process_row *row)
{
    if (row->calls >= 0)
        snprintf(text, size, "%d", row->calls);
    else
        snprintf(text, size, "%s", row->calls == CALLS_ALL ? "all" : "-");
}

static void cell_no_new_privs(char *text, size_t size, const struct process_row *row)
{
    snprintf(text, size, "%s", row->facts.no_new_privs ? "yes" : "no");
}

static void cell_capabilities(char *text, size_t size, const struct process_row *row)
{
    const uint64_t bounding = row->facts.capabilities[3];
    uint64_t held = row->facts.capabilities[0] | row->facts.capabilities[1] |
                    row->facts.capabilities[2] | row->facts.capabilities[4];

    text[0] = '\0';
    if (held == 0)
        snprintf(text, size, bounding == 0 ? "none" : "none, %d bounding",
                 __builtin_popcountll(bounding));
    else if (__builtin_popcountll(held) > CAPABILITIES_LISTED)
        snprintf(text, size, "%d", __builtin_popcountll(held));
    else
        for (unsigned i = 0; i < 64; i++) {
            const char *name = process_capability_name(i);
            size_t length = strlen(text);

            if ((held >> i & 1) != 0)
                snprintf(text + length, size - length, "%s%s", length > 0 ? " " : "",
                         name != NULL ? name : "?");
        }
}

static const struct column {
    const char *title;
    cell_fn *cell;
    bool right;       // numbers end below each other
    bool always;      // known even where the kernel does not show the rest
    unsigned minimum; // width
} columns[] = {
    {"PID", cell_pid, true, true, 5},
    {"PROCESS", cell_role, false, true, 12},
    {"PROGRAM", cell_program, true, false, 0},
    {"MEMORY", cell_memory, true, false, 0},
    {"THREADS", cell_threads, true, false, 0},
    {"NAMESPACES", cell_namespaces, false, false, 0},
    {"SECCOMP", cell_seccomp, false, false, 0},
    {"CALLS", cell_calls, true, false, 0},
    {"NNP", cell_no_new_privs, false, false, 0},
    {"CAPABILITIES", cell_capabilities, false, false, 0},
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]), CELL_SIZE = 128 };

static void fill(char *text, const struct column *column, const struct process_row *row)
{
    text[0] = '\0';
    if (row->facts_error == 0 || column->always)
        column->cell(text, CELL_SIZE, row);
    else
        snprintf(text, CELL_SIZE, "-");
}

static unsigned width(const struct process_vm *vm, const struct column *column)
{
    size_t widest = strlen(column->title);

    if (widest < column->minimum)
        widest = column->minimum;
    for (size_t i = 0; i < vm->count; i++) {
        char text[CELL_SIZE];

        fill(text, column, &vm->rows[i]);
        if (strlen(text) > widest)
            widest = strlen(text);
    }
    return (unsigned)widest;
}

// The last column is not padded: no blanks at ends of lines.
static void print_cell(FILE *out, unsigned index, unsigned columns_width, const char *text)
{
    const char *gap = index > 0 ? "  " : "";

    if (columns[index].right)
        fprintf(out, "%s%*s", gap, (int)columns_width, text);
    else if (index + 1 < COLUMNS)
        fprintf(out, "%s%-*s", gap, (int)columns_width, text);
    else
        fprintf(out, "%s%s", gap, text);
}

static void print_rows(const struct process_vm *vm, FILE *out)
{
    unsigned widths[COLUMNS];

    for (unsigned i = 0; i < COLUMNS; i++) {
        widths[i] = width(vm, &columns[i]);
        print_cell(out, i, widths[i], columns[i].title);
    }
    fputc('\n', out);
    for (size_t row = 0; row < vm->count; row++) {
        for (unsigned i = 0; i < COLUMNS; i++) {
            char text[CELL_SIZE];

            fill(text, &columns[i], &vm->rows[row]);
            print_cell(out, i, widths[i], text);
        }
        fputc('\n', out);
    }
}

static void print_sum(const struct process_vm *vm, FILE *out)
{
    uint64_t sum = 0;
    unsigned processes = 0;

    for (size_t i = 0; i < vm->count; i++) {
        if (vm->rows[i].thread != 0)
            continue;
        processes++;
        sum += process_own_memory(&vm->rows[i]);
    }
    fprintf(out, "%u processes; memory beside the guest's own: %llu KiB\n", processes,
            (unsigned long long)sum);
}

static void print_what_is_missing(const struct process_vm *vm, FILE *out)
{
    int facts_error = 0;

    for (size_t i = 0; i < vm->count && facts_error == 0; i++)
        facts_error = vm->rows[i].facts_error;
    if (facts_error != 0)
        fprintf(out, "-: not to be read: %s; root and the VM's user can\n", strerror(-facts_error));
    if (vm->calls_error == -EACCES)
        fprintf(out, "CALLS -: the kernel shows filters only to root; use 'sudo bulkhead ps'\n");
    else if (vm->calls_error == -EOPNOTSUPP)
        fprintf(out, "CALLS -: this kernel shows no filters (CONFIG_CHECKPOINT_RESTORE is off)\n");
    else if (vm->calls_error == -EPERM)
        fprintf(out, "CALLS -: a debugger holds the process; end it and try again\n");
    else if (vm->calls_error != 0)
        fprintf(out, "CALLS -: the filter could not be read: %s\n", strerror(-vm->calls_error));
}

void process_print_table(const struct process_vm *vm, FILE *out)
{
    fprintf(out, "VM %s\n", vm->name);
    print_rows(vm, out);
    print_sum(vm, out);
    print_what_is_missing(vm, out);
}
