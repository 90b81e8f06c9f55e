// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// `bulkhead policy diff [--json] OLD NEW`: what becomes allowed and what becomes forbidden. Ends 1
// when NEW allows more, 2 when a policy cannot be read, as diff(1) does.
#include "main/policy/commands.h"

#include "ipc/cleanup.h"
#include "jail/policy/diff.h"
#include "main/cmd.h"
#include "main/message.h"

#include <getopt.h>
#include <string.h>

static const char signs[] = {[DIFFERENCE_ALLOWED] = '+',
                             [DIFFERENCE_FORBIDDEN] = '-',
                             [DIFFERENCE_OTHER] = '~',
                             [DIFFERENCE_UNKNOWN] = '?'};
static const char *const words[] = {[DIFFERENCE_ALLOWED] = "allowed",
                                    [DIFFERENCE_FORBIDDEN] = "forbidden",
                                    [DIFFERENCE_OTHER] = "changed",
                                    [DIFFERENCE_UNKNOWN] = "unknown"};

static const char *call_text(const struct difference *difference, char *buffer, size_t size)
{
    const char *name = policy_call_name(difference->call);

    if (difference->call == DIFFERENCE_ALL_OTHERS)
        return "every other call";
    if (name)
        return name;
    snprintf(buffer, size, "%u", difference->call);
    return buffer;
}

static void print_example(const struct difference *difference)
{
    const char *before = " for example with ";
    char value[256];

    for (unsigned i = 0; i < POLICY_ARGUMENTS; i++) {
        if (!(difference->tested & 1U << i))
            continue;
        printf("%sarg%u == %s", before, i,
               policy_argument_text(difference->call, i, difference->arguments[i], value,
                                    sizeof(value)));
        before = ", ";
    }
}

static void print_difference(const struct difference *difference)
{
    char name[16], then[64], now[64];

    printf("%c %s: ", signs[difference->kind], call_text(difference, name, sizeof(name)));
    if (difference->kind == DIFFERENCE_UNKNOWN) {
        puts("too complex to compare; to be taken as allowing more");
        return;
    }
    printf("%s, was %s", policy_action_text(difference->after, now, sizeof(now)),
           policy_action_text(difference->before, then, sizeof(then)));
    if (!difference->always)
        print_example(difference);
    putchar('\n');
}

static void print_json(const struct differences *differences)
{
    char name[16], then[64], now[64], value[256];

    putchar('[');
    for (size_t i = 0; i < differences->count; i++) {
        const struct difference *difference = &differences->list[i];
        const char *before = "";

        printf("%s{\"kind\": \"%s\", \"call\": ", i ? ",\n " : "", words[difference->kind]);
        json_string(stdout, call_text(difference, name, sizeof(name)));
        printf(", \"before\": \"%s\", \"after\": \"%s\", \"example\": {",
               policy_action_text(difference->before, then, sizeof(then)),
               policy_action_text(difference->after, now, sizeof(now)));
        for (unsigned k = 0; k < POLICY_ARGUMENTS; k++) {
            if (!(difference->tested & 1U << k))
                continue;
            printf("%s\"arg%u\": ", before, k);
            json_string(stdout, policy_argument_text(difference->call, k, difference->arguments[k],
                                                     value, sizeof(value)));
            before = ", ";
        }
        fputs("}}", stdout);
    }
    puts("]");
}

static int compare(const struct policy *before, const struct policy *after, bool json)
{
    struct differences differences _cleanup_(differences_clear) = {0};
    bool wider = false;
    int error = policy_compare(before, after, &differences);

    if (error < 0) {
        user_message("cannot compare the policies: %s", strerror(-error));
        return CMD_WRONG_USAGE;
    }
    if (json)
        print_json(&differences);
    for (size_t i = 0; i < differences.count; i++) {
        enum difference_kind kind = differences.list[i].kind;

        wider = wider || kind == DIFFERENCE_ALLOWED || kind == DIFFERENCE_UNKNOWN;
        if (!json)
            print_difference(&differences.list[i]);
    }
    return wider ? CMD_FAILED : CMD_OK;
}

int policy_diff(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"policy-dir", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct policy_paths paths = {0};
    struct policy *before = NULL, *after = NULL;
    bool json = false;
    int option, status = CMD_WRONG_USAGE;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'j')
            json = true;
        else if (option != 'd' || !policy_paths_add(&paths, optarg))
            return CMD_WRONG_USAGE;
    }
    if (optind != argc - 2)
        return policy_usage("diff", "give OLD and NEW");
    if (policy_open_or_say(argv[optind], &paths, &before) == 0 &&
        policy_open_or_say(argv[optind + 1], &paths, &after) == 0)
        status = compare(before, after, json);
    policy_destroy(before);
    policy_destroy(after);
    return status;
}
