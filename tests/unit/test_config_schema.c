// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
// The table itself: what every row must have, so that a new one cannot be half a row.
#include "main/config/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char key_characters[] = "abcdefghijklmnopqrstuvwxyz-";

static void check_row(const struct config_field *fields, const struct config_field *field)
{
    assert_int_equal(strspn(field->key, key_characters), strlen(field->key));
    assert_ptr_equal(config_field_find(fields, field->key, strlen(field->key)), field);
    assert_non_null(field->argument);
    assert_non_null(field->manual);
    assert_int_equal(field->manual[strlen(field->manual) - 1], '\n');
    assert_true((field->parse != NULL) != (field->keys != NULL));
    assert_true(field->initial == NULL || field->initial_rule == NULL);
    assert_true(field->min <= field->max || field->max == 0);
}

static void each_row_is_whole_and_its_key_unique(void **state)
{
    size_t count = 0;

    for (const struct config_field *field = config_fields; field->key != NULL; field++, count++) {
        check_row(config_fields, field);
        assert_non_null(field->help);
        assert_true((field->element_size != 0) == (field->element_max != 0));
        assert_true(field->keys == NULL || field->element_size != 0);
        for (const struct config_field *key = field->keys; key != NULL && key->key != NULL; key++)
            check_row(field->keys, key);
    }
    assert_in_range(count, 1, 64);
}

// `run --help` and the parser agree on what --key is; "help" is not a row, so none may take the
// word.
static void no_row_takes_the_word_help(void **state)
{
    assert_null(config_field_find(config_fields, "help", 4));
}

static void a_slip_of_the_finger_is_understood(void **state)
{
    static const struct {
        const char *typed, *meant;
    } cases[] = {
        {"kernal", "kernel"},
        {"cpu", "cpus"},
        {"mem", NULL},
        {"disks", "disk"},
        {"policydir", "policy-dir"},
        {"", NULL},
        {"x", NULL},
        {"onreset", "on-reset"},
        {"a-word-that-is-far-too-long-for-any-key", NULL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *meant = config_field_suggest(config_fields, cases[i].typed);

        if (cases[i].meant == NULL)
            assert_null(meant);
        else
            assert_string_equal(meant, cases[i].meant);
    }
}

static void a_prefix_of_a_key_is_not_the_key(void **state)
{
    assert_null(config_field_find(config_fields, "polic", 5));
    assert_null(config_field_find(config_fields, "policy-dirx", 11));
    assert_string_equal(config_field_find(config_fields, "policy-dir", 6)->key, "policy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_whole_and_its_key_unique),
        cmocka_unit_test(no_row_takes_the_word_help),
        cmocka_unit_test(a_slip_of_the_finger_is_understood),
        cmocka_unit_test(a_prefix_of_a_key_is_not_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
