// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// Prints the list of options (argument "run") or of keys (argument "yaml") in mdoc(7), from the
// table in main/config/schema.c. tests/lint/manual.sh compares it with the manuals, or puts it
// there.
#include "main/config/schema.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// "path=FILE" as "Cm path Ns No \&= Ns Ar file": capitals stand for something, the rest is literal.
static void print_synopsis(const char *text)
{
    for (const char *glue = ""; *text != '\0'; glue = " Ns") {
        size_t length = 0;

        if (isupper((unsigned char)*text)) {
            while (isupper((unsigned char)text[length]))
                length++;
            printf("%s Ar ", glue);
            for (size_t i = 0; i < length; i++)
                putchar(tolower((unsigned char)text[i]));
        } else if (islower((unsigned char)*text)) {
            while (islower((unsigned char)text[length]) || text[length] == '_')
                length++;
            printf("%s Cm %.*s", glue, (int)length, text);
        } else {
            while (text[length] != '\0' && !isalpha((unsigned char)text[length]))
                length++;
            printf("%s No \\&%.*s", glue, (int)length, text);
        }
        text += length;
    }
}

// "[=true|false]" behind an option or key that may stand alone.
static void print_optional(const struct config_field *field)
{
    printf(" Ns Oo Ns No \\&= Ns");
    print_synopsis(field->argument);
    printf(" Oc");
}

// "=FILE" or ": FILE"
static void print_value(const struct config_field *field, const char *separator)
{
    printf(" Ns No \\&%s%s", separator, separator[0] == '=' ? " Ns" : "");
    print_synopsis(field->argument);
}

static void print_facts(const struct config_field *field, const char *list, const char *elements)
{
    const char *initial = field->initial != NULL ? field->initial : field->initial_rule;
    char range[64];

    config_field_range(field, range, sizeof(range));
    if (field->element_size != 0)
        printf("%s up to %u %s.\n", list, field->element_max, elements);
    else if (range[0] != '\0')
        printf("Range: %s.\n", range);
    if (initial != NULL)
        printf("Default: %s.\n", initial);
}

// The keys of a list's element: "KEY=ARGUMENT" of an option, or "KEY: ARGUMENT" of the file.
static void print_keys(const struct config_field *keys, const char *separator, bool is_option)
{
    printf("The keys are:\n.Bl -tag -width Ds\n");
    for (; keys->key != NULL; keys++) {
        printf(".It Cm %s", keys->key);
        if (is_option && keys->flag)
            print_optional(keys);
        else
            print_value(keys, separator);
        printf("\n%s", keys->manual);
        if (keys->required)
            printf("Always needed.\n");
        print_facts(keys, "", "");
    }
    printf(".El\n");
}

static void print_run(const struct config_field *field)
{
    printf(".It Fl -%s", field->key);
    if (field->flag)
        print_optional(field);
    else
        print_synopsis(field->argument);
    printf("\n%s", field->manual);
    print_facts(field, "The option may be given", "times");
    if (field->keys != NULL)
        print_keys(field->keys, "=", true);
}

static void print_yaml(const struct config_field *field)
{
    printf(".It Cm %s Ns No \\&:", field->key);
    if (field->keys != NULL)
        printf(" list of mappings");
    else if (field->element_size != 0)
        printf(" list of");
    if (field->keys == NULL)
        print_synopsis(field->argument);
    printf("\n%s", field->manual);
    print_facts(field, "The list may have", "elements");
    if (field->keys != NULL)
        print_keys(field->keys, ":", false);
}

int main(int argc, char **argv)
{
    const bool is_run = argc == 2 && strcmp(argv[1], "run") == 0;

    if (!is_run && (argc != 2 || strcmp(argv[1], "yaml") != 0)) {
        fprintf(stderr, "usage: manual run|yaml\n");
        return 2;
    }
    printf(".Bl -tag -width Ds\n");
    for (const struct config_field *field = config_fields; field->key != NULL; field++)
        (is_run ? print_run : print_yaml)(field);
    printf(".El\n");
    return 0;
}
