// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The checks behind `bulkhead policy check`. They judge what the policy lets through, not how it is
// written: `mmap: arg2 in ~PROT_EXEC` is as good as a list of all other protections.
#include "jail/policy/lint.h"

#include "jail/policy/witness.h"

#include <linux/shm.h>
#include <string.h>
#include <sys/mman.h>

#define REASONED_MAX 256 // conditions of one call that are compared with each other

struct lint {
    const struct policy *policy;
    struct policy_diagnostics *diagnostics;
};

static struct policy_position position_of(const struct rule *rule)
{
    return (struct policy_position){
        .text = rule->text, .line = rule->line, .column = rule->column, .length = rule->length};
}

// The first rule of a call that lets it through.
static const struct rule *permitting_rule(const struct policy *policy, unsigned number)
{
    const struct call *call = policy_find_call(policy, number);

    for (uint32_t i = 0; call && i < call->count; i++) {
        const struct rule *rule = &policy->rules[policy->order[call->first + i]];

        if (policy_action_permits(rule->action))
            return rule;
    }
    if (call && call->last != POLICY_NONE &&
        policy_action_permits(policy->rules[call->last].action))
        return &policy->rules[call->last];
    return NULL;
}

static void warn(struct lint *lint, const struct rule *rule, const char *suggestion,
                 const char *message)
{
    struct policy_position position = position_of(rule);

    policy_report(lint->diagnostics, lint->policy, POLICY_WARNING, &position, NULL, suggestion,
                  "%s", message);
}

static const struct {
    const char *calls, *message, *suggestion;
} dangerous[] = {
    {"open openat openat2 creat open_by_handle_at", "opens files by path",
     "open the file before lock-down and pass its descriptor"},
    {"socket", "makes new sockets", "make the socket before lock-down"},
    {"connect bind", "reaches sockets of its own choice", "connect before lock-down"},
    {"execve execveat", "starts other programs", NULL},
    {"fork vfork", "starts other processes", NULL},
    {"ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise",
     "reaches into other processes", NULL},
    {"io_uring_setup", "makes rings that carry out calls past this filter",
     "make the ring before lock-down, restrict it, and allow only io_uring_enter"},
    {"io_uring_register", "can lift what a ring may do, unless the ring is restricted",
     "register before lock-down"},
    {"mount umount2 pivot_root chroot move_mount open_tree fsopen fsmount fspick mount_setattr",
     "changes what the file system looks like", NULL},
    {"unshare setns", "changes namespaces", NULL},
    {"setuid setgid setresuid setresgid setreuid setregid setgroups capset setfsuid setfsgid",
     "changes identity or capabilities", NULL},
    {"bpf perf_event_open userfaultfd keyctl add_key request_key fanotify_init",
     "opens a large part of the kernel to attack", NULL},
    {"init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff "
     "iopl ioperm settimeofday clock_settime acct quotactl sethostname setdomainname",
     "changes the whole machine", NULL},
    {"seccomp", "adds filters or makes listeners", NULL},
    {"modify_ldt personality", "changes how the process is run", NULL},
};

static void check_dangerous(struct lint *lint, const struct rule *rule, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < array_size(dangerous); i++) {
        const char *at = strstr(dangerous[i].calls, name);

        while (at && ((at != dangerous[i].calls && at[-1] != ' ') ||
                      (at[length] != ' ' && at[length] != '\0')))
            at = strstr(at + 1, name);
        if (at) {
            struct policy_position position = position_of(rule);

            policy_report(lint->diagnostics, lint->policy, POLICY_WARNING, &position, NULL,
                          dangerous[i].suggestion, "dangerous: '%s' %s", name,
                          dangerous[i].message);
        }
    }
}

// Calls that are fine with some arguments and not with others.
static const struct {
    const char *call;
    struct atom atom; // what makes it dangerous
    const char *message, *suggestion;
} conditional[] = {
    {"mmap",
     {2, OP_ANY_BIT, PROT_EXEC},
     "dangerous: allows new executable memory",
     "add '&& arg2 in ~PROT_EXEC'"},
    {"mprotect",
     {2, OP_ANY_BIT, PROT_EXEC},
     "dangerous: allows memory to become executable",
     "add '&& arg2 in ~PROT_EXEC'"},
    {"pkey_mprotect",
     {2, OP_ANY_BIT, PROT_EXEC},
     "dangerous: allows memory to become executable",
     "add '&& arg2 in ~PROT_EXEC'"},
    {"shmat", {2, OP_ANY_BIT, SHM_EXEC}, "dangerous: allows new executable memory", NULL},
    {"clone",
     {0, OP_ANY_BIT, 0x7e020000},
     "dangerous: allows new namespaces",
     "allow threads alone: 'arg0 & CLONE_THREAD && arg0 in …'"},
};

static void check_conditional(struct lint *lint, const struct rule *rule, const char *name)
{
    uint64_t arguments[POLICY_ARGUMENTS];

    for (size_t i = 0; i < array_size(conditional); i++) {
        struct clause clause = {.count = 1, .atoms = {conditional[i].atom}};

        if (strcmp(conditional[i].call, name) == 0 &&
            witness_permitted(lint->policy, rule->call, &clause, arguments) != WITNESS_NONE)
            warn(lint, rule, conditional[i].suggestion, conditional[i].message);
    }
}

static bool tests_argument(const struct policy *policy, uint32_t root, unsigned argument)
{
    const struct node *node = &policy->nodes[root];

    if (node->kind == NODE_ATOM)
        return node->atom.argument == argument;
    for (uint32_t child = node->first_child; child != POLICY_NONE;
         child = policy->nodes[child].next)
        if (tests_argument(policy, child, argument))
            return true;
    return false;
}

static void check_open_commands(struct lint *lint, const struct rule *rule, const char *name)
{
    static const struct {
        const char *call;
        unsigned argument;
    } commands[] = {{"ioctl", 1}, {"prctl", 0}};

    for (size_t i = 0; i < array_size(commands); i++) {
        if (strcmp(commands[i].call, name) != 0 ||
            (rule->root != POLICY_NONE &&
             tests_argument(lint->policy, rule->root, commands[i].argument)))
            continue;
        warn(lint, rule,
             i == 0 ? "list its requests: 'arg1 == …'" : "list its options: 'arg0 == …'",
             i == 0 ? "dangerous: allows every request that a driver knows"
                    : "dangerous: allows every option of the process");
    }
}

static void check_clone3(struct lint *lint)
{
    int clone = policy_call_number("clone"), clone3 = policy_call_number("clone3");
    const struct rule *open = permitting_rule(lint->policy, (unsigned)clone3);
    const struct rule *filtered = permitting_rule(lint->policy, (unsigned)clone);

    if (!open)
        return;
    if (filtered && filtered->root != POLICY_NONE)
        warn(lint, open, "write 'clone3: return ENOSYS', so that the C library falls back to clone",
             "dangerous: clone3 does what the conditions of clone forbid; its flags lie in memory, "
             "where no filter sees them");
    else
        warn(lint, open, "write 'clone3: return ENOSYS' and allow clone with conditions",
             "dangerous: clone3 starts processes and namespaces; its flags lie in memory, where no "
             "filter sees them");
}

static void check_call(struct lint *lint, const struct call *call)
{
    const struct rule *rule = permitting_rule(lint->policy, call->number);
    const char *name = policy_call_name(call->number);

    if (!rule || !name)
        return;
    check_dangerous(lint, rule, name);
    check_conditional(lint, rule, name);
    check_open_commands(lint, rule, name);
}

// ---------------------------------------------------------------------------- rules that do
// nothing

static bool clause_can_decide(const struct rulings *rulings, size_t index)
{
    struct question question _cleanup_(question_clear) = {0};
    uint64_t arguments[POLICY_ARGUMENTS];
    int error = 0;

    question_require(&question, &rulings->list[index].clause);
    for (size_t i = 0; i < index && error == 0; i++)
        if (rulings->list[i].rule != rulings->list[index].rule)
            error = question_exclude(&question, &rulings->list[i].clause);
    return error < 0 || question_answer(&question, arguments) != WITNESS_NONE;
}

static bool clause_can_hold(const struct clause *clause)
{
    struct question question _cleanup_(question_clear) = {0};
    uint64_t arguments[POLICY_ARGUMENTS];

    question_require(&question, clause);
    return question_answer(&question, arguments) != WITNESS_NONE;
}

static void check_rule_of_call(struct lint *lint, const struct rulings *rulings, size_t first,
                               size_t end)
{
    const struct rule *rule = &lint->policy->rules[rulings->list[first].rule];
    bool decides = false, holds = false;

    for (size_t i = first; i < end; i++) {
        bool possible = clause_can_hold(&rulings->list[i].clause);

        holds = holds || possible;
        decides = decides || (possible && clause_can_decide(rulings, i));
        if (!possible && end - first > 1)
            warn(lint, rule, NULL, "one of these conditions can never hold");
    }
    if (!holds && rule->root != POLICY_NONE)
        warn(lint, rule, "a test such as '& O_RDONLY' tests no bit, since O_RDONLY is 0",
             "this condition can never hold");
    else if (!decides)
        warn(lint, rule, "leave the line out",
             "this rule never decides: earlier rules take every call");
}

static void check_unmatched(struct lint *lint, const struct call *call)
{
    struct rulings rulings _cleanup_(rulings_clear) = {0};

    // What is too complex to reason about is not warned of.
    if (rulings_collect(&rulings, lint->policy, call->number) < 0 || rulings.count > REASONED_MAX)
        return;
    for (size_t first = 0, end; first < rulings.count; first = end) {
        for (end = first + 1;
             end < rulings.count && rulings.list[end].rule == rulings.list[first].rule; end++)
            ;
        if (rulings.list[first].rule != POLICY_NONE)
            check_rule_of_call(lint, &rulings, first, end);
    }
}

static void check_unreachable(struct lint *lint)
{
    const struct policy *policy = lint->policy;

    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        struct policy_position position = position_of(rule);
        const struct call *call = policy_find_call(policy, rule->call);
        const struct rule *last =
            call && call->last != POLICY_NONE ? &policy->rules[call->last] : NULL;

        // Saying the same twice does no harm: includes do it.
        if (!rule->unreachable || !last || (rule->root == POLICY_NONE && last->text != rule->text))
            continue;
        policy_report(lint->diagnostics, policy, POLICY_WARNING, &position, NULL,
                      "put conditions first, or leave the unconditional rule out",
                      "this rule never matches: %s:%u decides every call",
                      policy->texts[last->text].name, last->line);
    }
}

// ---------------------------------------------------------------------------- values

static void check_atom(struct lint *lint, const struct rule *rule, const struct atom *atom)
{
    bool compares = atom->op != OP_ANY_BIT && atom->op != OP_INSIDE;
    struct policy_position position = position_of(rule);
    char hint[96];

    if (!compares || atom->value < 0xffffffff80000000ULL)
        return;
    snprintf(hint, sizeof(hint), "for an argument of type int write 0x%x",
             (unsigned)(uint32_t)atom->value);
    policy_report(lint->diagnostics, lint->policy, POLICY_WARNING, &position, NULL, hint,
                  "arg%u is compared with a negative value in all 64 bits", atom->argument);
}

static void check_atoms(struct lint *lint, const struct rule *rule, uint32_t root)
{
    const struct node *node = &lint->policy->nodes[root];

    if (node->kind == NODE_ATOM)
        check_atom(lint, rule, &node->atom);
    else
        for (uint32_t child = node->first_child; child != POLICY_NONE;
             child = lint->policy->nodes[child].next)
            check_atoms(lint, rule, child);
}

static void check_reason(struct lint *lint, const struct rule *rule)
{
    if (policy_action_permits(rule->action) && !rule->unreachable && rule->reason[0] == '\0')
        warn(lint, rule, "put it in a comment behind or above the line",
             "no reason is given for this rule");
}

void policy_lint(const struct policy *policy, bool reasons, struct policy_diagnostics *diagnostics)
{
    struct lint lint = {.policy = policy, .diagnostics = diagnostics};

    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule->root != POLICY_NONE)
            check_atoms(&lint, rule, rule->root);
        if (reasons)
            check_reason(&lint, rule);
    }
    check_unreachable(&lint);
    for (size_t i = 0; i < policy->call_count; i++) {
        check_call(&lint, &policy->calls[i]);
        check_unmatched(&lint, &policy->calls[i]);
    }
    check_clone3(&lint);
    if (policy_action_permits(policy->default_action) && !policy->denylist)
        policy_report(diagnostics, policy, POLICY_WARNING, NULL, NULL, NULL,
                      "dangerous: calls that are not listed are logged and carried out");
    if (policy->denylist)
        policy_report(diagnostics, policy, POLICY_WARNING, NULL, NULL,
                      "list what is needed instead: see bulkhead-policy(1), learn",
                      "dangerous: a deny list allows every call that it does not name");
}
