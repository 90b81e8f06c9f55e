// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// The bits of a 16550A's registers, for serial.c and its tests. References are to the PC16550D data
// sheet.
#pragma once

#define SERIAL_REGISTERS 8u
#define DIVISOR_115200 1u // low byte; 1.8432 MHz / 16

// Register numbers (table I). The first two are the divisor while DLAB is set.
enum {
    REGISTER_DATA,      // read: receive buffer; write: transmitter holding
    REGISTER_INTERRUPT, // interrupt enable
    REGISTER_IDENTIFY,  // read: interrupt identification; write: FIFO control
    REGISTER_LINE_CONTROL,
    REGISTER_MODEM_CONTROL,
    REGISTER_LINE_STATUS,
    REGISTER_MODEM_STATUS,
    REGISTER_SCRATCH,
};

// 8.6.7: interrupt enable.
#define ENABLE_RECEIVE 0x01u
#define ENABLE_TRANSMIT 0x02u
#define ENABLE_LINE 0x04u
#define ENABLE_MODEM 0x08u
#define ENABLE_ALL 0x0fu

// 8.6.6: interrupt identification, by falling priority (table IV).
#define IDENTIFY_NONE 0x01u
#define IDENTIFY_LINE 0x06u
#define IDENTIFY_RECEIVE 0x04u
#define IDENTIFY_TIMEOUT 0x0cu
#define IDENTIFY_TRANSMIT 0x02u
#define IDENTIFY_MODEM 0x00u
#define IDENTIFY_FIFOS 0xc0u

// 8.6.5: FIFO control.
#define FIFO_ENABLE 0x01u
#define FIFO_CLEAR_RECEIVE 0x02u
#define FIFO_CLEAR_TRANSMIT 0x04u
#define FIFO_STORED 0xc9u // enable, DMA mode, trigger

#define LINE_CONTROL_DLAB 0x80u // 8.6.2

// 8.6.4: line status.
#define LINE_DATA_READY 0x01u
#define LINE_OVERRUN 0x02u
#define LINE_HOLDING_EMPTY 0x20u
#define LINE_TRANSMITTER_EMPTY 0x40u

// 8.6.8: modem control.
#define MODEM_DTR 0x01u
#define MODEM_RTS 0x02u
#define MODEM_OUT1 0x04u
#define MODEM_OUT2 0x08u
#define MODEM_LOOP 0x10u
#define MODEM_CONTROL_ALL 0x1fu

// 8.6.9: modem status; the low half has the changes since it was last read.
#define STATUS_CTS 0x10u
#define STATUS_DSR 0x20u
#define STATUS_RI 0x40u
#define STATUS_DCD 0x80u
#define STATUS_DELTA_RI 0x04u // trailing edge only
