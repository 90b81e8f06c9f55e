// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Terms and package lengths of ACPI Machine Language (ACPI 6.3, section 20.2).
#include "main/boot/aml.h"

#include <string.h>

void aml_bytes(struct aml *aml, const void *bytes, size_t length)
{
    if (length > aml->room - aml->length)
        aml->full = true;
    if (aml->full)
        return;
    memcpy(aml->bytes + aml->length, bytes, length);
    aml->length += length;
}

void aml_byte(struct aml *aml, uint8_t value)
{
    aml_bytes(aml, &value, 1);
}

void aml_op(struct aml *aml, unsigned opcode)
{
    if (opcode > 0xff)
        aml_byte(aml, (uint8_t)(opcode >> 8));
    aml_byte(aml, (uint8_t)opcode);
}

void aml_name(struct aml *aml, const char *name)
{
    aml_bytes(aml, name, strlen(name));
}

void aml_integer(struct aml *aml, uint64_t value)
{
    // 20.2.3: ZeroOp and OneOp, else a prefix for 1, 2, 4 or 8 bytes.
    static const struct {
        uint64_t max;
        uint8_t prefix;
        uint8_t size;
    } encodings[] = {
        {UINT8_MAX, 0x0a, 1}, {UINT16_MAX, 0x0b, 2}, {UINT32_MAX, 0x0c, 4}, {UINT64_MAX, 0x0e, 8}};
    unsigned i = 0;

    if (value <= 1) {
        aml_op(aml, value == 0 ? AML_ZERO : AML_ONE);
        return;
    }
    while (value > encodings[i].max)
        i++;
    aml_byte(aml, encodings[i].prefix);
    aml_bytes(aml, &value, encodings[i].size);
}

void aml_string(struct aml *aml, const char *text)
{
    aml_byte(aml, 0x0d);
    aml_bytes(aml, text, strlen(text) + 1);
}

static uint32_t hex_digit(char digit)
{
    return (uint32_t)(digit <= '9' ? digit - '0' : digit - 'A' + 10);
}

// 19.3.4, "EISAID": three letters of five bits, four hexadecimal digits, big-endian.
void aml_eisa_id(struct aml *aml, const char *id)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 3; i++)
        value = value << 5 | (uint32_t)(id[i] - '@');
    for (unsigned i = 3; i < 7; i++)
        value = value << 4 | hex_digit(id[i]);
    aml_integer(aml, __builtin_bswap32(value));
}

size_t aml_begin(struct aml *aml, unsigned opcode)
{
    aml_op(aml, opcode);
    return aml->length;
}

size_t aml_begin_named(struct aml *aml, unsigned opcode, const char *name)
{
    size_t mark = aml_begin(aml, opcode);

    aml_name(aml, name);
    return mark;
}

size_t aml_begin_method(struct aml *aml, const char *name, unsigned arguments)
{
    size_t mark = aml_begin_named(aml, AML_METHOD, name);

    aml_byte(aml, (uint8_t)(AML_METHOD_SERIALIZED | arguments));
    return mark;
}

// 20.2.4: the length counts itself. One byte up to 63; else the first byte has the low four bits
// and the number of bytes that follow.
static unsigned package_length(size_t body, uint8_t encoded[3])
{
    if (body + 1 < 0x40) {
        encoded[0] = (uint8_t)(body + 1);
        return 1;
    }
    if (body + 2 < 0x1000) {
        encoded[0] = (uint8_t)(0x40 | ((body + 2) & 0xf));
        encoded[1] = (uint8_t)((body + 2) >> 4);
        return 2;
    }
    encoded[0] = (uint8_t)(0x80 | ((body + 3) & 0xf));
    encoded[1] = (uint8_t)((body + 3) >> 4);
    encoded[2] = (uint8_t)((body + 3) >> 12);
    return 3;
}

void aml_end(struct aml *aml, size_t mark)
{
    size_t body = aml->length - mark;
    uint8_t encoded[3];
    unsigned size = package_length(body, encoded);

    if (size > aml->room - aml->length)
        aml->full = true;
    if (aml->full)
        return;
    memmove(aml->bytes + mark + size, aml->bytes + mark, body);
    memcpy(aml->bytes + mark, encoded, size);
    aml->length += size;
}

void aml_buffer(struct aml *aml, const void *bytes, size_t length)
{
    size_t mark = aml_begin(aml, AML_BUFFER);

    aml_integer(aml, length);
    aml_bytes(aml, bytes, length);
    aml_end(aml, mark);
}

void aml_name_integer(struct aml *aml, const char *name, uint64_t value)
{
    aml_op(aml, AML_NAME);
    aml_name(aml, name);
    aml_integer(aml, value);
}

void aml_name_string(struct aml *aml, const char *name, const char *text)
{
    aml_op(aml, AML_NAME);
    aml_name(aml, name);
    aml_string(aml, text);
}

void aml_name_eisa_id(struct aml *aml, const char *name, const char *id)
{
    aml_op(aml, AML_NAME);
    aml_name(aml, name);
    aml_eisa_id(aml, id);
}

void aml_port_field(struct aml *aml, const char *region, uint16_t port, const char *field)
{
    size_t mark;

    aml_op(aml, AML_OPERATION_REGION);
    aml_name(aml, region);
    aml_byte(aml, AML_SPACE_SYSTEM_IO);
    aml_integer(aml, port);
    aml_integer(aml, 1);

    mark = aml_begin_named(aml, AML_FIELD, region);
    aml_byte(aml, AML_FIELD_BYTE_ACCESS);
    aml_name(aml, field);
    aml_byte(aml, 8); // bits, as a package length
    aml_end(aml, mark);
}
