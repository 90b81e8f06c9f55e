// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Promises of the log pipes: a process speaks under its own name, in plain characters, within
// limits; one that floods is not read any more, and costs the warden nothing.
#include "main/process_log.c" // in no archive: the warden is a program, not a library

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char said[65536];
static unsigned lines;

void user_message(const char *format, ...)
{
    size_t used = strlen(said);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(said + used, sizeof(said) - used, format, arguments);
    va_end(arguments);
    used = strlen(said);
    snprintf(said + used, sizeof(said) - used, "\n");
    lines++;
}

static struct event_loop loop;
static struct process_log process_log;
static int writer;

static int set_up(void **state)
{
    said[0] = '\0';
    lines = 0;
    assert_int_equal(event_loop_init(&loop), 0);
    return process_log_open(&process_log, &loop, "block0", &writer);
}

static int tear_down(void **state)
{
    process_log_close(&process_log);
    event_loop_destroy(&loop);
    if (writer >= 0)
        close(writer);
    return 0;
}

static void put(const char *text)
{
    assert_int_equal(write(writer, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(event_loop_turn(&loop, 0), 0);
}

static void a_line_is_printed_under_the_name_of_its_process(void **state)
{
    put("<0>the image is gone\n");
    assert_string_equal(said, "block0: the image is gone\n");
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    put("\033[2Jboo\r\n");
    assert_string_equal(said, "block0: ?[2Jboo?\n");
}

static void nobody_speaks_in_anothers_name(void **state)
{
    put("a\nrng0: b\n");
    assert_string_equal(said, "block0: a\nblock0: rng0: b\n");
}

static void a_line_without_end_is_cut(void **state)
{
    char text[3000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    put(text);
    put("\n");
    assert_int_equal(strlen(said), strlen("block0: \n") + LOG_LINE_MAX - 1);
}

static void lines_are_limited(void **state)
{
    for (int i = 0; i < 200; i++)
        put("again\n");
    assert_true(lines >= 1 && lines <= 80); // a window may end in between
}

static void a_flood_is_not_read_for_ever(void **state)
{
    for (int i = 0; i < 2000 && process_log.fd >= 0; i++)
        put("x");
    assert_int_equal(process_log.fd, -1);
    assert_non_null(strstr(said, "floods its log"));
}

static void what_is_left_is_printed_at_the_end(void **state)
{
    put("half a line");
    assert_int_equal(lines, 0);
    close(writer);
    writer = -1;
    assert_int_equal(event_loop_turn(&loop, 0), 0);
    assert_string_equal(said, "block0: half a line\n");
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_is_printed_under_the_name_of_its_process),
        LOG_TEST(control_characters_do_not_reach_the_terminal),
        LOG_TEST(nobody_speaks_in_anothers_name),
        LOG_TEST(a_line_without_end_is_cut),
        LOG_TEST(lines_are_limited),
        LOG_TEST(a_flood_is_not_read_for_ever),
        LOG_TEST(what_is_left_is_printed_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
