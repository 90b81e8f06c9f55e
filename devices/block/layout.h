// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// What a virtio block driver sees: virtio 1.2, section 5.2. All fields are little-endian, as is
// every host that Bulkhead runs on.
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_SECTOR_SIZE 512u
#define BLOCK_ID_BYTES 20u

// Feature bits, 5.2.3.
#define BLOCK_F_SEG_MAX 2
#define BLOCK_F_RO 5
#define BLOCK_F_BLK_SIZE 6
#define BLOCK_F_FLUSH 9
#define BLOCK_F_TOPOLOGY 10
#define BLOCK_F_MQ 12
#define BLOCK_F_DISCARD 13
#define BLOCK_F_WRITE_ZEROES 14

// Request types and status, 5.2.6.
#define BLOCK_T_IN 0u
#define BLOCK_T_OUT 1u
#define BLOCK_T_FLUSH 4u
#define BLOCK_T_GET_ID 8u
#define BLOCK_T_DISCARD 11u
#define BLOCK_T_WRITE_ZEROES 13u

#define BLOCK_S_OK 0
#define BLOCK_S_IOERR 1
#define BLOCK_S_UNSUPP 2

#define BLOCK_WRITE_ZEROES_UNMAP UINT32_C(1)

struct block_header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};
static_assert(sizeof(struct block_header) == 16, "virtio 1.2, 5.2.6: struct virtio_blk_req");

struct block_range {
    uint64_t sector;
    uint32_t sectors;
    uint32_t flags;
};
static_assert(sizeof(struct block_range) == 16,
              "virtio 1.2, 5.2.6: struct virtio_blk_discard_write_zeroes");

// 5.2.4.
struct block_configuration {
    uint64_t capacity; // sectors
    uint32_t size_max;
    uint32_t seg_max;
    uint16_t cylinders;
    uint8_t heads;
    uint8_t sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp; // blocks in a physical block, as a power of two
    uint8_t alignment_offset;
    uint16_t min_io_size; // blocks
    uint32_t opt_io_size; // blocks
    uint8_t writeback;
    uint8_t unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors;
    uint32_t max_discard_seg;
    uint32_t discard_sector_alignment;
    uint32_t max_write_zeroes_sectors;
    uint32_t max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap;
    uint8_t unused1[3];
    uint32_t max_secure_erase_sectors;
    uint32_t max_secure_erase_seg;
    uint32_t secure_erase_sector_alignment;
};
static_assert(offsetof(struct block_configuration, blk_size) == 20, "virtio 1.2, 5.2.4");
static_assert(offsetof(struct block_configuration, physical_block_exp) == 24, "virtio 1.2, 5.2.4");
static_assert(offsetof(struct block_configuration, writeback) == 32, "virtio 1.2, 5.2.4");
static_assert(offsetof(struct block_configuration, num_queues) == 34, "virtio 1.2, 5.2.4");
static_assert(offsetof(struct block_configuration, max_discard_sectors) == 36, "virtio 1.2, 5.2.4");
static_assert(offsetof(struct block_configuration, max_write_zeroes_sectors) == 48,
              "virtio 1.2, 5.2.4");
static_assert(sizeof(struct block_configuration) == 72, "virtio 1.2, 5.2.4");
