// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The serial port's registers; see serial.h. References are to the PC16550D data sheet.
#include "main/machine/serial.h"

#include "ipc/cleanup.h"
#include "main/machine/layout.h"
#include "main/machine/serial_registers.h"

#include <unistd.h>

static bool fifo_put(struct serial_fifo *fifo, unsigned size, uint8_t byte)
{
    if (fifo->count >= size)
        return false;
    fifo->bytes[(fifo->first + fifo->count++) % SERIAL_FIFO_SIZE] = byte;
    return true;
}

static uint8_t fifo_get(struct serial_fifo *fifo)
{
    uint8_t byte = fifo->bytes[fifo->first];

    if (fifo->count == 0)
        return 0;
    fifo->first = (fifo->first + 1) % SERIAL_FIFO_SIZE;
    fifo->count--;
    return byte;
}

static unsigned fifo_size(const struct serial *serial)
{
    return serial->fifo_control & FIFO_ENABLE ? SERIAL_FIFO_SIZE : 1;
}

static bool loops(const struct serial *serial)
{
    return serial->modem_control & MODEM_LOOP;
}

// --- interrupts -------------------------------------------------------------------------------

// 8.6.5: bits 7 and 6 of FIFO control.
static unsigned trigger_level(const struct serial *serial)
{
    static const uint8_t levels[] = {1, 4, 8, 14};

    return serial->fifo_control & FIFO_ENABLE ? levels[serial->fifo_control >> 6] : 1;
}

// Bytes below the trigger level would interrupt after the time of four characters: here that is at
// once, since the line has no speed.
static uint8_t identify(const struct serial *serial)
{
    uint8_t enabled = serial->interrupt_enable;

    if ((enabled & ENABLE_LINE) && serial->line_errors)
        return IDENTIFY_LINE;
    if ((enabled & ENABLE_RECEIVE) && serial->receive.count >= trigger_level(serial))
        return IDENTIFY_RECEIVE;
    if ((enabled & ENABLE_RECEIVE) && serial->receive.count > 0)
        return IDENTIFY_TIMEOUT;
    if ((enabled & ENABLE_TRANSMIT) && serial->transmit_interrupt)
        return IDENTIFY_TRANSMIT;
    if ((enabled & ENABLE_MODEM) && serial->modem_deltas)
        return IDENTIFY_MODEM;
    return IDENTIFY_NONE;
}

static void update_line(struct serial *serial)
{
    bool level = identify(serial) != IDENTIFY_NONE;

    if (level == serial->line)
        return;
    serial->line = level;
    hypervisor_line(serial->hypervisor, MACHINE_IRQ_SERIAL, level);
}

// --- bytes ------------------------------------------------------------------------------------

static void signal_peer(const struct serial *serial)
{
    const uint64_t one = 1;

    // Fails only when the counter is at its limit: then the peer has been signalled already.
    if (write(serial->peer_fd, &one, sizeof(one)) < 0)
        return;
}

static void put_ring(struct serial *serial)
{
    uint8_t bytes[SERIAL_FIFO_SIZE];
    bool wake = false;
    size_t done;

    for (unsigned i = 0; i < serial->transmit.count; i++)
        bytes[i] = serial->transmit.bytes[(serial->transmit.first + i) % SERIAL_FIFO_SIZE];
    done = byte_ring_put(&serial->rings->from_guest, bytes, serial->transmit.count, &wake);
    serial->transmit.first = (uint8_t)((serial->transmit.first + done) % SERIAL_FIFO_SIZE);
    serial->transmit.count = (uint8_t)(serial->transmit.count - done);
    if (wake)
        signal_peer(serial);
}

// Hands the transmitter's bytes on. When the last one has left, the transmitter is empty again,
// which is an interrupt.
static void transmit(struct serial *serial)
{
    if (serial->transmit.count == 0)
        return;
    if (!serial->rings)
        serial->transmit.count = 0;
    // A ring without room makes the peer signal us when it has some; in between it may have got it.
    for (unsigned tries = 0; tries < 2 && serial->transmit.count > 0; tries++) {
        put_ring(serial);
        if (serial->transmit.count == 0 || !byte_ring_has_room(&serial->rings->from_guest))
            break;
    }
    if (serial->transmit.count == 0)
        serial->transmit_interrupt = true;
}

// Fills the receiver from the ring. Nothing comes in while the port loops. Ends either with a full
// receiver (the next read of a byte comes back here) or asleep (the peer signals us).
static void receive(struct serial *serial)
{
    struct serial_fifo *fifo = &serial->receive;
    uint8_t bytes[SERIAL_FIFO_SIZE];
    bool wake = false;

    if (!serial->rings || loops(serial))
        return;
    for (unsigned tries = 0; tries < 2 && fifo->count < fifo_size(serial); tries++) {
        size_t count =
            byte_ring_get(&serial->rings->to_guest, bytes, fifo_size(serial) - fifo->count, &wake);

        for (size_t i = 0; i < count; i++)
            fifo_put(fifo, SERIAL_FIFO_SIZE, bytes[i]);
        if (wake)
            signal_peer(serial);
        if (fifo->count < fifo_size(serial) && byte_ring_sleep(&serial->rings->to_guest))
            break;
    }
}

// --- registers --------------------------------------------------------------------------------

static uint8_t read_data(struct serial *serial)
{
    uint8_t byte = fifo_get(&serial->receive);

    receive(serial);
    return byte;
}

static void write_data(struct serial *serial, uint8_t value)
{
    if (loops(serial)) {
        if (!fifo_put(&serial->receive, fifo_size(serial), value))
            serial->line_errors |= LINE_OVERRUN;
        serial->transmit_interrupt = true;
        return;
    }
    // The interrupt goes away with the byte and comes back when the byte has left: an edge that the
    // guest's interrupt controller must see. Bytes beyond the FIFO are lost, as in the chip.
    serial->transmit_interrupt = false;
    update_line(serial);
    fifo_put(&serial->transmit, fifo_size(serial), value);
    transmit(serial);
}

static void write_interrupt_enable(struct serial *serial, uint8_t value)
{
    uint8_t enabled = value & ENABLE_ALL & ~serial->interrupt_enable;

    // Enabling the transmitter's interrupt while it is empty raises it (8.6.6, drivers test it).
    if ((enabled & ENABLE_TRANSMIT) && serial->transmit.count == 0)
        serial->transmit_interrupt = true;
    serial->interrupt_enable = value & ENABLE_ALL;
}

static uint8_t read_identify(struct serial *serial)
{
    uint8_t id = identify(serial);

    if (id == IDENTIFY_TRANSMIT)
        serial->transmit_interrupt = false;
    return id | (serial->fifo_control & FIFO_ENABLE ? IDENTIFY_FIFOS : 0);
}

static void write_fifo_control(struct serial *serial, uint8_t value)
{
    bool toggled = (value ^ serial->fifo_control) & FIFO_ENABLE;

    // Only with the enable bit are the others programmed (8.6.5).
    serial->fifo_control = value & FIFO_ENABLE ? value & FIFO_STORED : 0;
    if (toggled || (value & FIFO_CLEAR_RECEIVE))
        serial->receive.count = 0;
    if ((toggled || (value & FIFO_CLEAR_TRANSMIT)) && serial->transmit.count > 0) {
        serial->transmit.count = 0;
        serial->transmit_interrupt = true;
    }
    receive(serial);
}

static uint8_t read_line_status(struct serial *serial)
{
    uint8_t status = serial->line_errors;

    transmit(serial);
    serial->line_errors = 0;
    if (serial->receive.count > 0)
        status |= LINE_DATA_READY;
    if (serial->transmit.count == 0)
        status |= LINE_HOLDING_EMPTY | LINE_TRANSMITTER_EMPTY;
    return status;
}

// A terminal is there and ready; in loop mode the outputs come back as inputs (8.6.8).
static uint8_t modem_inputs(uint8_t control)
{
    if (!(control & MODEM_LOOP))
        return STATUS_CTS | STATUS_DSR | STATUS_DCD;
    return (
        uint8_t)((control & MODEM_RTS ? STATUS_CTS : 0) | (control & MODEM_DTR ? STATUS_DSR : 0) |
                 (control & MODEM_OUT1 ? STATUS_RI : 0) | (control & MODEM_OUT2 ? STATUS_DCD : 0));
}

static uint8_t read_modem_status(struct serial *serial)
{
    uint8_t deltas = serial->modem_deltas;

    serial->modem_deltas = 0;
    return modem_inputs(serial->modem_control) | deltas;
}

static void write_modem_control(struct serial *serial, uint8_t value)
{
    uint8_t before = modem_inputs(serial->modem_control);
    uint8_t after = modem_inputs(value & MODEM_CONTROL_ALL);
    uint8_t deltas = (before ^ after) >> 4;

    if (after & STATUS_RI)
        deltas &= (uint8_t)~STATUS_DELTA_RI;
    serial->modem_deltas |= deltas;
    serial->modem_control = value & MODEM_CONTROL_ALL;
    receive(serial);
}

static uint8_t read_interrupt_enable(struct serial *serial)
{
    return serial->interrupt_enable;
}

static uint8_t read_line_control(struct serial *serial)
{
    return serial->line_control;
}

static void write_line_control(struct serial *serial, uint8_t value)
{
    serial->line_control = value;
}

static uint8_t read_modem_control(struct serial *serial)
{
    return serial->modem_control;
}

static uint8_t read_scratch(struct serial *serial)
{
    return serial->scratch;
}

static void write_scratch(struct serial *serial, uint8_t value)
{
    serial->scratch = value;
}

static void write_nothing(struct serial *serial, uint8_t value)
{
}

static const struct {
    uint8_t (*read)(struct serial *serial);
    void (*write)(struct serial *serial, uint8_t value);
} registers[SERIAL_REGISTERS] = {
    [REGISTER_DATA] = {read_data, write_data},
    [REGISTER_INTERRUPT] = {read_interrupt_enable, write_interrupt_enable},
    [REGISTER_IDENTIFY] = {read_identify, write_fifo_control},
    [REGISTER_LINE_CONTROL] = {read_line_control, write_line_control},
    [REGISTER_MODEM_CONTROL] = {read_modem_control, write_modem_control},
    [REGISTER_LINE_STATUS] = {read_line_status, write_nothing},
    [REGISTER_MODEM_STATUS] = {read_modem_status, write_nothing},
    [REGISTER_SCRATCH] = {read_scratch, write_scratch},
};

// The divisor latch stands in front of the first registers while DLAB is set (8.6.2).
static uint8_t *divisor(struct serial *serial, uint64_t number)
{
    if (number < array_size(serial->divisor) && (serial->line_control & LINE_CONTROL_DLAB))
        return &serial->divisor[number];
    return NULL;
}

// Wider accesses are one after the other, as on a bus of eight bits.
static uint64_t serial_read(void *context, uint64_t offset, unsigned length)
{
    struct serial *serial = context;
    uint64_t value = 0;

    for (unsigned i = 0; i < length; i++) {
        const uint8_t *latch = divisor(serial, offset + i);

        value |= (uint64_t)(latch ? *latch : registers[offset + i].read(serial)) << (8 * i);
    }
    update_line(serial);
    return value;
}

static void serial_write(void *context, uint64_t offset, unsigned length, uint64_t value)
{
    struct serial *serial = context;

    for (unsigned i = 0; i < length; i++) {
        uint8_t *latch = divisor(serial, offset + i);

        if (latch)
            *latch = (uint8_t)(value >> (8 * i));
        else
            registers[offset + i].write(serial, (uint8_t)(value >> (8 * i)));
    }
    update_line(serial);
}

static const struct bus_ops serial_ops = {
    .name = "serial",
    .read = serial_read,
    .write = serial_write,
};

void serial_init(struct serial *serial, struct hypervisor *hypervisor, struct byte_ring_pair *rings,
                 int peer_fd)
{
    *serial = (struct serial){.hypervisor = hypervisor, .rings = rings, .peer_fd = peer_fd};
    serial_reset(serial);
}

int serial_attach(struct serial *serial, struct bus *bus)
{
    const struct bus_window window = {.start = MACHINE_PORT_SERIAL,
                                      .size = SERIAL_REGISTERS,
                                      .ops = &serial_ops,
                                      .context = serial};

    return bus_add(bus, EXIT_PIO, &window);
}

// 8.5 (master reset).
void serial_reset(struct serial *serial)
{
    *serial = (struct serial){
        .hypervisor = serial->hypervisor,
        .rings = serial->rings,
        .peer_fd = serial->peer_fd,
        .line = serial->line,
        .divisor = {DIVISOR_115200},
    };
    receive(serial);
    update_line(serial);
}

void serial_pump(struct serial *serial)
{
    transmit(serial);
    receive(serial);
    update_line(serial);
}
