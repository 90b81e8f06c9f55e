// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A signal reaches the guest exactly while its vector may be delivered, is kept while it may not,
// and no message of one function can spoil those of another.
#include "tests/unit/machine_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define VECTORS 4u
#define GSI 100u

struct bench {
    struct hypervisor *hypervisor;
    struct msix msix;
    int fds[VECTORS];
};

static int setup(void **state)
{
    static struct bench bench;

    bench.hypervisor = scripted_hypervisor();
    for (unsigned i = 0; i < VECTORS; i++)
        bench.fds[i] = fixture_eventfd();
    *state = &bench;
    return msix_init(&bench.msix, bench.hypervisor, GSI, VECTORS, bench.fds);
}

static int teardown(void **state)
{
    struct bench *b = *state;

    for (unsigned i = 0; i < VECTORS; i++)
        close(b->fds[i]);
    return 0;
}

static void set_entry(struct bench *b, unsigned vector, uint64_t address, uint32_t data)
{
    msix_table_write(&b->msix, vector * 16, 8, address);
    msix_table_write(&b->msix, vector * 16 + 8, 4, data);
}

static void set_mask(struct bench *b, unsigned vector, bool masked)
{
    msix_table_write(&b->msix, vector * 16 + 12, 4, masked);
}

static void arm(struct bench *b, unsigned source, unsigned vector)
{
    msix_control_write(&b->msix, MSIX_CONTROL_ENABLE);
    set_entry(b, vector, 0xfee00000, 0x20 + vector);
    set_mask(b, vector, false);
    msix_source_select(&b->msix, source, (uint16_t)vector);
}

static void signals_pass_when_armed(void **state)
{
    struct bench *b = *state;

    arm(b, 1, 2);
    assert_int_equal(scripted_connected(b->hypervisor, b->fds[1]), GSI + 2);
    assert_int_equal(b->hypervisor->routed[GSI + 2].address, 0xfee00000);
    assert_int_equal(b->hypervisor->routed[GSI + 2].data, 0x22);
    ring(b->fds[1]);
    assert_int_equal(scripted_raised(b->hypervisor, GSI + 2), 1);
    msix_source_raise(&b->msix, 1);
    assert_int_equal(scripted_raised(b->hypervisor, GSI + 2), 2);
}

// Each of the four conditions alone keeps a signal back; when it goes, the signal comes, once.
static void each_mask_keeps_the_signal(void **state)
{
    struct bench *b = *state;

    arm(b, 0, 1);
    for (unsigned condition = 0; condition < 4; condition++) {
        unsigned before = scripted_raised(b->hypervisor, GSI + 1);

        for (unsigned on = 1; on <= 2; on++) {
            bool off = on == 1;

            if (condition == 0)
                set_mask(b, 1, off);
            else if (condition == 1)
                msix_control_write(&b->msix,
                                   MSIX_CONTROL_ENABLE | (off ? MSIX_CONTROL_FUNCTION_MASK : 0));
            else if (condition == 2)
                msix_control_write(&b->msix, off ? 0 : MSIX_CONTROL_ENABLE);
            else
                msix_source_select(&b->msix, 0, off ? MSIX_NO_VECTOR : 1);
            if (off) {
                assert_int_equal(scripted_connected(b->hypervisor, b->fds[0]), -1);
                ring(b->fds[0]);
                ring(b->fds[0]);
                assert_int_equal(scripted_raised(b->hypervisor, GSI + 1), before);
            }
        }
        assert_int_equal(scripted_raised(b->hypervisor, GSI + 1), before + 1);
    }
}

// A hypervisor leaves the signal that it found in the eventfd; it must not come again.
static void a_kept_signal_comes_only_once(void **state)
{
    struct bench *b = *state;

    ring(b->fds[0]);
    arm(b, 0, 1);
    assert_int_equal(scripted_raised(b->hypervisor, GSI + 1), 1);
    set_mask(b, 1, true);
    assert_int_equal(msix_pending_read(&b->msix, 0, 8), 0);
    set_mask(b, 1, false);
    assert_int_equal(scripted_raised(b->hypervisor, GSI + 1), 1);
}

static void pending_bits_tell_of_kept_signals(void **state)
{
    struct bench *b = *state;

    arm(b, 0, 3);
    assert_int_equal(msix_pending_read(&b->msix, 0, 8), 0);
    set_mask(b, 3, true);
    ring(b->fds[0]);
    ring(b->fds[1]); // no vector: no bit
    assert_int_equal(msix_pending_read(&b->msix, 0, 8), 1 << 3);
    assert_int_equal(msix_pending_read(&b->msix, 0, 1), 1 << 3); // and stays
    assert_int_equal(msix_pending_read(&b->msix, 1, 4), 0);
    assert_int_equal(msix_pending_read(&b->msix, 8, 8), 0);
    set_mask(b, 3, false);
    assert_int_equal(scripted_raised(b->hypervisor, GSI + 3), 1);
    assert_int_equal(msix_pending_read(&b->msix, 0, 8), 0);
}

static void a_signal_can_be_taken_instead(void **state)
{
    struct bench *b = *state;

    ring(b->fds[2]);
    assert_true(msix_source_take(&b->msix, 2));
    assert_false(msix_source_take(&b->msix, 2));
    arm(b, 2, 0);
    ring(b->fds[2]);
    assert_false(msix_source_take(&b->msix, 2)); // it is the hypervisor's
    assert_int_equal(scripted_raised(b->hypervisor, GSI), 1);
}

static void sources_may_share_a_vector(void **state)
{
    struct bench *b = *state;

    arm(b, 0, 0);
    msix_source_select(&b->msix, 1, 0);
    ring(b->fds[0]);
    ring(b->fds[1]);
    assert_int_equal(scripted_raised(b->hypervisor, GSI), 2);
}

static void a_changed_vector_moves_the_connection(void **state)
{
    struct bench *b = *state;

    arm(b, 0, 0);
    arm(b, 0, 1);
    assert_int_equal(scripted_connected(b->hypervisor, b->fds[0]), GSI + 1);
    msix_source_select(&b->msix, 0, VECTORS);
    assert_int_equal(msix_source_vector(&b->msix, 0), MSIX_NO_VECTOR);
    assert_int_equal(scripted_connected(b->hypervisor, b->fds[0]), -1);
}

// What Linux does for a vector costs one route and one connection; masked writes cost nothing.
static void nothing_is_told_twice(void **state)
{
    struct bench *b = *state;

    msix_control_write(&b->msix, MSIX_CONTROL_ENABLE);
    set_entry(b, 0, 0xfee00000, 1);
    set_entry(b, 0, 0xfee01000, 2);
    msix_source_select(&b->msix, 0, 0);
    assert_int_equal(b->hypervisor->calls, 0);
    set_mask(b, 0, false);
    assert_int_equal(b->hypervisor->commits, 1);
    assert_int_equal(b->hypervisor->calls, 2);
    set_mask(b, 0, true);
    set_mask(b, 0, false);
    assert_int_equal(b->hypervisor->commits, 1); // the same message
    set_mask(b, 0, true);
    set_entry(b, 0, 0xfee02000, 3);
    set_mask(b, 0, false);
    assert_int_equal(b->hypervisor->commits, 2);
    assert_int_equal(b->hypervisor->routed[GSI].address, 0xfee02000);
}

static void an_unmasked_message_changes_at_once(void **state)
{
    struct bench *b = *state;

    arm(b, 0, 0);
    msix_table_write(&b->msix, 8, 4, 0x77);
    assert_int_equal(b->hypervisor->routed[GSI].data, 0x77);
    assert_int_equal(scripted_connected(b->hypervisor, b->fds[0]), GSI);
}

// KVM refuses the whole table for one bad message: such a message must never get there.
static void only_messages_to_local_apics_are_delivered(void **state)
{
    static const uint64_t addresses[] = {0,          0x1000,      0xfed00000,
                                         0xff000000, 0x1fee00000, UINT64_MAX};
    struct bench *b = *state;

    arm(b, 1, 1);
    for (unsigned i = 0; i < array_size(addresses); i++) {
        arm(b, 0, 0);
        assert_int_equal(scripted_connected(b->hypervisor, b->fds[0]), GSI);
        set_entry(b, 0, addresses[i], 0);
        assert_int_equal(scripted_connected(b->hypervisor, b->fds[0]), -1);
        ring(b->fds[0]);
        assert_int_equal(msix_pending_read(&b->msix, 0, 8), 1);
    }
    set_entry(b, 1, 0xfee03000, 9);
    assert_int_equal(b->hypervisor->routed[GSI + 1].address, 0xfee03000);
    assert_int_equal(b->hypervisor->raised[GSI], array_size(addresses) - 1);
}

static void a_refused_route_is_tried_again(void **state)
{
    struct bench *b = *state;

    b->hypervisor->fail_commit = -EINVAL;
    arm(b, 0, 0);
    ring(b->fds[0]);
    assert_int_equal(scripted_connected(b->hypervisor, b->fds[0]), -1);
    b->hypervisor->fail_commit = 0;
    b->hypervisor->fail_interrupt = -ENOSPC;
    set_mask(b, 0, false);
    assert_int_equal(scripted_connected(b->hypervisor, b->fds[0]), -1);
    b->hypervisor->fail_interrupt = 0;
    set_mask(b, 0, false);
    assert_int_equal(b->hypervisor->routed[GSI].address, 0xfee00000);
    assert_int_equal(scripted_raised(b->hypervisor, GSI), 1);
}

// Every offset and width of the page that holds the table.
static void table_accesses_of_any_shape(void **state)
{
    struct bench *b = *state;

    msix_control_write(&b->msix, MSIX_CONTROL_ENABLE);
    for (unsigned i = 0; i < VECTORS; i++)
        msix_source_select(&b->msix, i, (uint16_t)i);
    for (unsigned length = 1; length <= 8; length *= 2)
        for (unsigned offset = 0; offset < 4096; offset++) {
            struct msix_entry before[VECTORS];
            bool changes;

            memcpy(before, b->msix.table, sizeof(before));
            msix_table_write(&b->msix, offset, length, 0x5a5a5a5a5a5a5a5a + offset);
            changes = memcmp(before, b->msix.table, sizeof(before)) != 0;
            if (length < 4 || offset % length != 0 || offset >= VECTORS * 16)
                assert_false(changes);
            assert_int_equal(msix_table_read(&b->msix, offset, length) & ~bus_ones(length), 0);
            msix_pending_read(&b->msix, offset, length);
        }
    for (unsigned i = 0; i < VECTORS; i++)
        assert_true(b->msix.table[i].control <= 1);
    assert_int_equal(msix_table_read(&b->msix, VECTORS * 16, 8), 0);
}

static void reset_is_power_on(void **state)
{
    struct bench *b = *state;

    arm(b, 0, 0);
    ring(b->fds[1]);
    msix_reset(&b->msix);
    assert_int_equal(b->hypervisor->interrupt_count, 0);
    assert_false(msix_enabled(&b->msix));
    assert_int_equal(msix_table_read(&b->msix, 0, 8), 0);
    assert_int_equal(msix_table_read(&b->msix, 12, 4), 1);
    assert_int_equal(msix_source_vector(&b->msix, 0), MSIX_NO_VECTOR);
    assert_false(msix_source_take(&b->msix, 1));
}

static void a_full_eventfd_does_not_block(void **state)
{
    struct bench *b = *state;
    const uint64_t most = UINT64_MAX - 1;

    assert_int_equal(write(b->fds[0], &most, sizeof(most)), sizeof(most));
    msix_source_raise(&b->msix, 0);
    arm(b, 0, 0);
    assert_int_equal(scripted_raised(b->hypervisor, GSI), 1);
}

static void ranges_are_checked(void **state)
{
    struct bench *b = *state;
    struct msix msix;

    assert_int_equal(msix_init(&msix, b->hypervisor, 23, 1, b->fds), -EINVAL);
    assert_int_equal(msix_init(&msix, b->hypervisor, HYPERVISOR_GSI_MAX - 1, 2, b->fds), -EINVAL);
    assert_int_equal(msix_init(&msix, b->hypervisor, 24, 0, b->fds), -EINVAL);
    assert_int_equal(msix_init(&msix, b->hypervisor, 24, MSIX_VECTORS_MAX + 1, b->fds), -EINVAL);
    assert_int_equal(msix_init(&msix, b->hypervisor, HYPERVISOR_GSI_MAX - 2, 2, b->fds), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(signals_pass_when_armed),
        TEST(each_mask_keeps_the_signal),
        TEST(a_kept_signal_comes_only_once),
        TEST(pending_bits_tell_of_kept_signals),
        TEST(a_signal_can_be_taken_instead),
        TEST(sources_may_share_a_vector),
        TEST(a_changed_vector_moves_the_connection),
        TEST(nothing_is_told_twice),
        TEST(an_unmasked_message_changes_at_once),
        TEST(only_messages_to_local_apics_are_delivered),
        TEST(a_refused_route_is_tried_again),
        TEST(table_accesses_of_any_shape),
        TEST(reset_is_power_on),
        TEST(a_full_eventfd_does_not_block),
        TEST(ranges_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
