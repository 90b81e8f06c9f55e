// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// A small writer of ACPI Machine Language (ACPI 6.3, section 20) and resource descriptors (section
// 6.4) into a buffer of the caller. Names are NameSegs of exactly four characters, with an optional
// '\' in front. When the buffer is full, nothing more is written and `full` says so: check once, at
// the end. Nothing here comes from the guest or the user but numbers.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *bytes;
    size_t room;
    size_t length;
    bool full;
};

// Opcodes (ACPI 6.3, 20.3). Those above 0xff are two bytes, high byte first.
#define AML_ZERO 0x00u
#define AML_ONE 0x01u
#define AML_NAME 0x08u
#define AML_SCOPE 0x10u
#define AML_BUFFER 0x11u
#define AML_PACKAGE 0x12u
#define AML_METHOD 0x14u
#define AML_LOCAL0 0x60u
#define AML_ARG(n) (0x68u + (n))
#define AML_STORE 0x70u
#define AML_AND 0x7bu
#define AML_OR 0x7du
#define AML_NOTIFY 0x86u
#define AML_CREATE_DWORD_FIELD 0x8au
#define AML_LEQUAL 0x93u
#define AML_LNOTEQUAL 0x9293u
#define AML_IF 0xa0u
#define AML_ELSE 0xa1u
#define AML_RETURN 0xa4u
#define AML_OPERATION_REGION 0x5b80u
#define AML_FIELD 0x5b81u
#define AML_DEVICE 0x5b82u

#define AML_METHOD_SERIALIZED 0x08u // with the number of arguments in bits 0 to 2
#define AML_SPACE_SYSTEM_IO 0x01u
#define AML_FIELD_BYTE_ACCESS 0x01u

void aml_bytes(struct aml *aml, const void *bytes, size_t length);
void aml_byte(struct aml *aml, uint8_t value);
void aml_op(struct aml *aml, unsigned opcode);
void aml_name(struct aml *aml, const char *name);
void aml_integer(struct aml *aml, uint64_t value); // the shortest encoding
void aml_string(struct aml *aml, const char *text);
void aml_eisa_id(struct aml *aml, const char *id); // "PNP0A08": as an integer
void aml_buffer(struct aml *aml, const void *bytes, size_t length);

// Opens what carries a package length; aml_end with the returned mark closes it, innermost first.
size_t aml_begin(struct aml *aml, unsigned opcode);
size_t aml_begin_named(struct aml *aml, unsigned opcode, const char *name); // scope, device
size_t aml_begin_method(struct aml *aml, const char *name, unsigned arguments);
void aml_end(struct aml *aml, size_t mark);

// Name (name, value).
void aml_name_integer(struct aml *aml, const char *name, uint64_t value);
void aml_name_string(struct aml *aml, const char *name, const char *text);
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id);

// A one-byte register at a port, as field `field` of region `region`.
void aml_port_field(struct aml *aml, const char *region, uint16_t port, const char *field);

// Resources are collected in a buffer of their own, then become Name (_CRS, ResourceTemplate).
#define AML_RESOURCES_MAX 256u

struct aml_resources {
    struct aml aml;
    uint8_t bytes[AML_RESOURCES_MAX];
};

void aml_resources_init(struct aml_resources *resources);
// Ports that the device decodes, 16 bits, at a fixed place.
void aml_resource_ports(struct aml_resources *resources, uint16_t start, uint8_t count);
// Read-write memory at a fixed place.
void aml_resource_memory32(struct aml_resources *resources, uint32_t start, uint32_t size);
// An edge-triggered, active-high interrupt of the device's own.
void aml_resource_interrupt(struct aml_resources *resources, uint32_t gsi);
// Windows that a bridge passes on: bus numbers, ports, memory below and above 4 GiB.
void aml_resource_bus_window(struct aml_resources *resources, uint16_t first, uint16_t last);
void aml_resource_port_window(struct aml_resources *resources, uint16_t start, uint32_t size);
void aml_resource_memory32_window(struct aml_resources *resources, uint32_t start, uint32_t size);
void aml_resource_memory64_window(struct aml_resources *resources, uint64_t start, uint64_t size);
// Ends the template and writes it.
void aml_name_crs(struct aml *aml, struct aml_resources *resources);
