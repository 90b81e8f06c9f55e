// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The serial port: what a driver's tests for a 16550A find, interrupts by their priorities, bytes
// in both directions, and a transmitter that is busy rather than lossy.
#include "main/machine/serial.h"

#include "main/machine/layout.h"
#include "main/machine/serial_registers.h"
#include "tests/unit/scripted_hypervisor.h"

// The group first, as cmocka wants it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LINE_READY (LINE_HOLDING_EMPTY | LINE_TRANSMITTER_EMPTY)

static struct {
    struct bus bus;
    struct serial serial;
    struct byte_ring_pair rings;
    struct hypervisor *hypervisor;
    int peer_fd;
} port;

static int set_up(void **state)
{
    memset(&port, 0, sizeof(port));
    port.hypervisor = scripted_hypervisor();
    port.peer_fd = eventfd(0, EFD_NONBLOCK);
    serial_init(&port.serial, port.hypervisor, &port.rings, port.peer_fd);
    return serial_attach(&port.serial, &port.bus);
}

static int tear_down(void **state)
{
    close(port.peer_fd);
    return 0;
}

static void access_port(unsigned number, unsigned length, bool write, void *data)
{
    const struct exit_access access = {.space = EXIT_PIO,
                                       .address = MACHINE_PORT_SERIAL + number,
                                       .length = (uint8_t)length,
                                       .write = write,
                                       .data = data};

    bus_access(&port.bus, &access);
}

static uint8_t in(unsigned number)
{
    uint8_t value = 0;

    access_port(number, 1, false, &value);
    return value;
}

static void out(unsigned number, uint8_t value)
{
    access_port(number, 1, true, &value);
}

static bool line(void)
{
    return port.hypervisor->lines[MACHINE_IRQ_SERIAL];
}

static uint64_t signals(void)
{
    uint64_t count = 0;

    return read(port.peer_fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

// The peer types; it signals when we sleep.
static void type(const char *text)
{
    bool wake;

    assert_int_equal(byte_ring_put(&port.rings.to_guest, text, strlen(text), &wake), strlen(text));
    if (wake)
        serial_pump(&port.serial);
}

static size_t peer_takes(void *bytes, size_t length)
{
    bool wake;
    size_t count = byte_ring_get(&port.rings.from_guest, bytes, length, &wake);

    if (wake)
        serial_pump(&port.serial);
    return count;
}

// What drivers do to find out what is there.
static void a_driver_finds_a_16550a(void **state)
{
    out(REGISTER_INTERRUPT, 0);
    assert_int_equal(in(REGISTER_INTERRUPT), 0);
    out(REGISTER_INTERRUPT, 0xff);
    assert_int_equal(in(REGISTER_INTERRUPT), 0x0f);
    out(REGISTER_INTERRUPT, 0);
    out(REGISTER_MODEM_CONTROL, MODEM_LOOP | MODEM_OUT2 | MODEM_RTS);
    assert_int_equal(in(REGISTER_MODEM_STATUS)&0xf0, STATUS_DCD | STATUS_CTS);
    out(REGISTER_MODEM_CONTROL, 0);
    out(REGISTER_IDENTIFY, FIFO_ENABLE);
    assert_int_equal(in(REGISTER_IDENTIFY)&0xc0, IDENTIFY_FIFOS);
    out(REGISTER_IDENTIFY, 0);
    assert_int_equal(in(REGISTER_IDENTIFY)&0xc0, 0);
    out(REGISTER_SCRATCH, 0x5a);
    assert_int_equal(in(REGISTER_SCRATCH), 0x5a);
    assert_int_equal(in(REGISTER_LINE_STATUS), LINE_READY);
    assert_int_equal(in(REGISTER_MODEM_STATUS)&0xf0, STATUS_CTS | STATUS_DSR | STATUS_DCD);
}

static void the_divisor_stands_behind_dlab(void **state)
{
    out(REGISTER_LINE_CONTROL, 0x83);
    out(0, 0x34);
    out(1, 0x12);
    assert_int_equal(in(0), 0x34);
    assert_int_equal(in(1), 0x12);
    out(REGISTER_LINE_CONTROL, 0x03);
    assert_int_equal(in(1), 0);
    assert_int_equal(byte_ring_used(&port.rings.from_guest), 0);
    out(REGISTER_LINE_CONTROL, 0x83);
    assert_int_equal(in(0), 0x34);
}

static void bytes_reach_the_peer(void **state)
{
    char text[6] = {0};

    for (const char *byte = "hello"; *byte; byte++) {
        assert_true(in(REGISTER_LINE_STATUS)&LINE_HOLDING_EMPTY);
        out(REGISTER_DATA, (uint8_t)*byte);
    }
    assert_int_equal(peer_takes(text, sizeof(text)), 5);
    assert_string_equal(text, "hello");
}

static void a_peer_that_is_awake_costs_no_system_call(void **state)
{
    uint8_t bytes[BYTE_RING_SIZE];

    assert_true(byte_ring_sleep(&port.rings.from_guest));
    for (unsigned i = 0; i < 20000; i++) {
        out(REGISTER_DATA, (uint8_t)i);
        if (i % 1000 == 999)
            peer_takes(bytes, sizeof(bytes));
    }
    assert_int_equal(signals(), 1); // the first byte woke it
}

static void a_full_ring_is_a_busy_transmitter_and_loses_nothing(void **state)
{
    unsigned put = 0;
    uint8_t byte;

    out(REGISTER_IDENTIFY, FIFO_ENABLE);
    // As drivers do: 16 bytes whenever the transmitter is empty.
    while (in(REGISTER_LINE_STATUS)&LINE_HOLDING_EMPTY) {
        for (unsigned i = 0; i < SERIAL_FIFO_SIZE; i++)
            out(REGISTER_DATA, (uint8_t)put++);
        assert_true(put <= BYTE_RING_SIZE + SERIAL_FIFO_SIZE);
    }
    assert_int_equal(put, BYTE_RING_SIZE + SERIAL_FIFO_SIZE);
    assert_int_equal(in(REGISTER_LINE_STATUS), 0);
    out(REGISTER_INTERRUPT, ENABLE_TRANSMIT);
    assert_false(line());
    for (unsigned i = 0; i < put; i++) {
        assert_int_equal(peer_takes(&byte, 1), 1);
        assert_int_equal(byte, (uint8_t)i);
    }
    assert_int_equal(peer_takes(&byte, 1), 0);
    assert_true(line()); // the pump after room emptied the transmitter
    assert_int_equal(in(REGISTER_LINE_STATUS), LINE_READY);
}

static void without_rings_output_vanishes(void **state)
{
    serial_init(&port.serial, port.hypervisor, NULL, -1);
    for (unsigned i = 0; i < 2 * BYTE_RING_SIZE; i++) {
        assert_int_equal(in(REGISTER_LINE_STATUS), LINE_READY);
        out(REGISTER_DATA, 'x');
    }
}

static void the_transmitter_interrupts_when_it_runs_empty(void **state)
{
    out(REGISTER_INTERRUPT, ENABLE_TRANSMIT); // it is empty already
    assert_true(line());
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_TRANSMIT);
    assert_false(line()); // reading says that it was seen
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_NONE);
    out(REGISTER_DATA, 'a');
    assert_true(line());
    out(REGISTER_INTERRUPT, 0);
    assert_false(line());
    out(REGISTER_INTERRUPT, ENABLE_TRANSMIT); // the drivers' test for a bug of some chips
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_TRANSMIT);
}

static void typing_interrupts_and_arrives_in_order(void **state)
{
    out(REGISTER_IDENTIFY, FIFO_ENABLE | 0x80); // trigger at 8
    out(REGISTER_INTERRUPT, ENABLE_RECEIVE);
    assert_false(line());
    type("abc");
    assert_true(line());
    assert_int_equal(in(REGISTER_IDENTIFY)&0x0f, IDENTIFY_TIMEOUT);
    type("defghijklmnopqrstuvwxyz");
    serial_pump(&port.serial);
    assert_int_equal(in(REGISTER_IDENTIFY)&0x0f, IDENTIFY_RECEIVE);
    for (char expected = 'a'; expected <= 'z'; expected++) {
        assert_true(in(REGISTER_LINE_STATUS)&LINE_DATA_READY);
        assert_true(line());
        assert_int_equal(in(REGISTER_DATA), expected);
    }
    assert_false(line());
    assert_false(in(REGISTER_LINE_STATUS)&LINE_DATA_READY);
    assert_int_equal(in(REGISTER_DATA), 0);
    type("!"); // it slept, or the byte would wait for ever
    assert_true(line());
    assert_int_equal(in(REGISTER_DATA), '!');
}

static void without_fifo_one_byte_waits(void **state)
{
    out(REGISTER_INTERRUPT, ENABLE_RECEIVE);
    type("ab");
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_RECEIVE);
    assert_int_equal(in(REGISTER_DATA), 'a');
    assert_int_equal(in(REGISTER_DATA), 'b');
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_NONE);
}

static void loop_mode_keeps_bytes_inside(void **state)
{
    out(REGISTER_IDENTIFY, FIFO_ENABLE);
    out(REGISTER_MODEM_CONTROL, MODEM_LOOP);
    type("x"); // does not come in
    for (unsigned i = 0; i < SERIAL_FIFO_SIZE; i++)
        out(REGISTER_DATA, (uint8_t)(100 + i));
    assert_int_equal(in(REGISTER_LINE_STATUS), LINE_READY | LINE_DATA_READY);
    out(REGISTER_DATA, 1);
    assert_int_equal(in(REGISTER_LINE_STATUS), LINE_READY | LINE_DATA_READY | LINE_OVERRUN);
    assert_int_equal(in(REGISTER_LINE_STATUS), LINE_READY | LINE_DATA_READY);
    for (unsigned i = 0; i < SERIAL_FIFO_SIZE; i++)
        assert_int_equal(in(REGISTER_DATA), 100 + i);
    assert_int_equal(byte_ring_used(&port.rings.from_guest), 0);
    out(REGISTER_MODEM_CONTROL, 0);
    assert_int_equal(in(REGISTER_DATA), 'x');
}

static void interrupts_come_by_priority(void **state)
{
    out(REGISTER_MODEM_CONTROL, MODEM_LOOP);
    out(REGISTER_INTERRUPT, ENABLE_ALL);
    out(REGISTER_MODEM_CONTROL, MODEM_LOOP | MODEM_DTR); // a change of the modem's lines
    out(REGISTER_DATA, 1);
    out(REGISTER_DATA, 2); // overrun
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_LINE);
    in(REGISTER_LINE_STATUS);
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_RECEIVE);
    in(REGISTER_DATA);
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_TRANSMIT);
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_MODEM);
    assert_true(line());
    assert_true(in(REGISTER_MODEM_STATUS) & (STATUS_DSR >> 4));
    assert_int_equal(in(REGISTER_IDENTIFY), IDENTIFY_NONE);
    assert_false(line());
}

static void the_trailing_edge_of_ring_counts(void **state)
{
    out(REGISTER_MODEM_CONTROL, MODEM_LOOP);
    in(REGISTER_MODEM_STATUS);
    out(REGISTER_MODEM_CONTROL, MODEM_LOOP | MODEM_OUT1);
    assert_int_equal(in(REGISTER_MODEM_STATUS), STATUS_RI);
    out(REGISTER_MODEM_CONTROL, MODEM_LOOP);
    assert_int_equal(in(REGISTER_MODEM_STATUS), STATUS_DELTA_RI);
}

static void reset_is_power_on_and_keeps_the_rings(void **state)
{
    out(REGISTER_INTERRUPT, ENABLE_TRANSMIT);
    out(REGISTER_SCRATCH, 1);
    out(REGISTER_DATA, 'z');
    type("i");
    assert_true(line());
    serial_reset(&port.serial);
    assert_false(line());
    assert_int_equal(in(REGISTER_INTERRUPT), 0);
    assert_int_equal(in(REGISTER_SCRATCH), 0);
    assert_int_equal(byte_ring_used(&port.rings.from_guest), 1);
}

// Any access of any width, with a peer that writes anything into the shared rings: the port's own
// state stays in its bounds, and its interrupt line is what the registers say.
static void random_accesses_keep_the_state_sound(void **state)
{
    static const unsigned lengths[] = {1, 2, 4, 8};

    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t data[8];

        for (unsigned b = 0; b < sizeof(data); b++)
            data[b] = (uint8_t)rand();
        access_port((unsigned)rand() % 9, lengths[rand() % 4], rand() % 2, data);
        if (rand() % 16 == 0)
            port.rings.to_guest.head = (uint32_t)rand();
        if (rand() % 16 == 0)
            port.rings.from_guest.tail = (uint32_t)rand();
        if (rand() % 16 == 0)
            serial_pump(&port.serial);
        assert_true(port.serial.receive.count <= SERIAL_FIFO_SIZE);
        assert_true(port.serial.transmit.count <= SERIAL_FIFO_SIZE);
        assert_true(port.serial.receive.first < SERIAL_FIFO_SIZE);
        assert_true(port.serial.transmit.first < SERIAL_FIFO_SIZE);
        assert_int_equal(port.serial.line, line());
    }
    signals();
}

// Wide accesses are those of the single registers; past the window the bus answers with ones.
static void every_width_at_every_offset_is_defined(void **state)
{
    static const unsigned lengths[] = {1, 2, 4, 8};

    for (unsigned offset = 0; offset < SERIAL_REGISTERS; offset++) {
        for (unsigned i = 0; i < 4; i++) {
            uint64_t value = 0;
            uint8_t bytes[8];

            access_port(offset, lengths[i], false, bytes);
            memcpy(&value, bytes, lengths[i]);
            for (unsigned b = 0; b < lengths[i]; b++)
                assert_int_equal(bytes[b],
                                 offset + lengths[i] > SERIAL_REGISTERS ? 0xff : in(offset + b));
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_driver_finds_a_16550a),
        TEST(the_divisor_stands_behind_dlab),
        TEST(bytes_reach_the_peer),
        TEST(a_peer_that_is_awake_costs_no_system_call),
        TEST(a_full_ring_is_a_busy_transmitter_and_loses_nothing),
        TEST(without_rings_output_vanishes),
        TEST(the_transmitter_interrupts_when_it_runs_empty),
        TEST(typing_interrupts_and_arrives_in_order),
        TEST(without_fifo_one_byte_waits),
        TEST(loop_mode_keeps_bytes_inside),
        TEST(interrupts_come_by_priority),
        TEST(the_trailing_edge_of_ring_counts),
        TEST(reset_is_power_on_and_keeps_the_rings),
        TEST(random_accesses_keep_the_state_sound),
        TEST(every_width_at_every_offset_is_defined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
