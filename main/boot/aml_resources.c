// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Resource descriptors (ACPI 6.3, section 6.4).
#include "main/boot/aml.h"

#include <assert.h>

#define CONSUMER 0x01u
#define WINDOW_FIXED 0x0cu // positive decode, minimum and maximum are fixed (6.4.3.5.1)
#define READ_WRITE 0x01u
#define ENTIRE_RANGE 0x03u // of ports: ISA and non-ISA
#define INTERRUPT_EDGE_HIGH 0x02u

enum window_kind { WINDOW_MEMORY = 0, WINDOW_PORTS = 1, WINDOW_BUSES = 2 };

struct ports_descriptor {
    uint8_t tag;
    uint8_t decode_16;
    uint16_t minimum;
    uint16_t maximum;
    uint8_t alignment;
    uint8_t count;
} __attribute__((packed));

struct memory32_descriptor {
    uint8_t tag;
    uint16_t length;
    uint8_t information;
    uint32_t start;
    uint32_t size;
} __attribute__((packed));

struct interrupt_descriptor {
    uint8_t tag;
    uint16_t length;
    uint8_t flags;
    uint8_t count;
    uint32_t gsi;
} __attribute__((packed));

#define ADDRESS_SPACE(name, type)                                                                  \
    struct name {                                                                                  \
        uint8_t tag;                                                                               \
        uint16_t length;                                                                           \
        uint8_t kind;                                                                              \
        uint8_t flags;                                                                             \
        uint8_t kind_flags;                                                                        \
        type granularity;                                                                          \
        type minimum;                                                                              \
        type maximum;                                                                              \
        type translation;                                                                          \
        type size;                                                                                 \
    } __attribute__((packed))

ADDRESS_SPACE(word_window, uint16_t);
ADDRESS_SPACE(dword_window, uint32_t);
ADDRESS_SPACE(qword_window, uint64_t);

static_assert(sizeof(struct ports_descriptor) == 8, "6.4.2.5");
static_assert(sizeof(struct memory32_descriptor) == 12, "6.4.3.4");
static_assert(sizeof(struct interrupt_descriptor) == 9, "6.4.3.6");
static_assert(sizeof(struct qword_window) == 46, "6.4.3.5.1");
static_assert(sizeof(struct dword_window) == 26, "6.4.3.5.2");
static_assert(sizeof(struct word_window) == 16, "6.4.3.5.3");

// Large descriptors: their length field does not count tag and length.
#define LARGE(type, tag_value) .tag = (tag_value), .length = sizeof(type) - 3

void aml_resources_init(struct aml_resources *resources)
{
    resources->aml = (struct aml){.bytes = resources->bytes, .room = sizeof(resources->bytes)};
}

void aml_resource_ports(struct aml_resources *resources, uint16_t start, uint8_t count)
{
    const struct ports_descriptor descriptor = {
        .tag = 0x47,
        .decode_16 = 1,
        .minimum = start,
        .maximum = start,
        .alignment = 1,
        .count = count,
    };

    aml_bytes(&resources->aml, &descriptor, sizeof(descriptor));
}

void aml_resource_memory32(struct aml_resources *resources, uint32_t start, uint32_t size)
{
    const struct memory32_descriptor descriptor = {
        LARGE(struct memory32_descriptor, 0x86),
        .information = READ_WRITE,
        .start = start,
        .size = size,
    };

    aml_bytes(&resources->aml, &descriptor, sizeof(descriptor));
}

void aml_resource_interrupt(struct aml_resources *resources, uint32_t gsi)
{
    const struct interrupt_descriptor descriptor = {
        LARGE(struct interrupt_descriptor, 0x89),
        .flags = CONSUMER | INTERRUPT_EDGE_HIGH,
        .count = 1,
        .gsi = gsi,
    };

    aml_bytes(&resources->aml, &descriptor, sizeof(descriptor));
}

static void word_window(struct aml_resources *resources, enum window_kind kind, uint8_t kind_flags,
                        uint16_t first, uint16_t last)
{
    const struct word_window window = {
        LARGE(struct word_window, 0x88),
        .kind = (uint8_t)kind,
        .flags = WINDOW_FIXED,
        .kind_flags = kind_flags,
        .minimum = first,
        .maximum = last,
        .size = (uint16_t)(last - first + 1),
    };

    aml_bytes(&resources->aml, &window, sizeof(window));
}

void aml_resource_bus_window(struct aml_resources *resources, uint16_t first, uint16_t last)
{
    word_window(resources, WINDOW_BUSES, 0, first, last);
}

void aml_resource_port_window(struct aml_resources *resources, uint16_t start, uint32_t size)
{
    word_window(resources, WINDOW_PORTS, ENTIRE_RANGE, start, (uint16_t)(start + size - 1));
}

void aml_resource_memory32_window(struct aml_resources *resources, uint32_t start, uint32_t size)
{
    const struct dword_window window = {
        LARGE(struct dword_window, 0x87),
        .kind = WINDOW_MEMORY,
        .flags = WINDOW_FIXED,
        .kind_flags = READ_WRITE,
        .minimum = start,
        .maximum = start + size - 1,
        .size = size,
    };

    aml_bytes(&resources->aml, &window, sizeof(window));
}

void aml_resource_memory64_window(struct aml_resources *resources, uint64_t start, uint64_t size)
{
    const struct qword_window window = {
        LARGE(struct qword_window, 0x8a),
        .kind = WINDOW_MEMORY,
        .flags = WINDOW_FIXED,
        .kind_flags = READ_WRITE,
        .minimum = start,
        .maximum = start + size - 1,
        .size = size,
    };

    aml_bytes(&resources->aml, &window, sizeof(window));
}

void aml_name_crs(struct aml *aml, struct aml_resources *resources)
{
    static const uint8_t end_tag[2] = {0x79, 0x00}; // a zero checksum counts as right (6.4.2.9)

    aml_bytes(&resources->aml, end_tag, sizeof(end_tag));
    aml->full |= resources->aml.full;
    aml_op(aml, AML_NAME);
    aml_name(aml, "_CRS");
    aml_buffer(aml, resources->bytes, resources->aml.length);
}
