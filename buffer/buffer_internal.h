/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_BUFFER_INTERNAL_H
#define RPCPROF_BUFFER_INTERNAL_H

/*
 * How a buffer lies in the caller's memory. No addresses, and all-zero is empty:
 *
 *     struct buffer_head      the number of the next block; take_oldest's hint
 *     struct buffer_shard     one per CPU: its open block and the next slot in it
 *     struct buffer_block     `blocks` of them, a header and 15 slots, of which `block_slots` used
 *     struct buffer_block     one more, never opened: see "pos" below
 *
 * Blocks are numbered without end as they are opened; number n lies at index n % blocks. A name is
 * a number as the words below hold it: its lap in 19 bits and its index in 21.
 *
 *     shard.cur     name << 24 | pos    pos = the next slot of the shard's open block
 *     block.header  name + 1            while open; 0 = closed, or never used
 *
 * Wrap-around. The block number, 64 bits, never wraps in practice; if it did, one lap's values
 * would be displaced early. The lap wraps after 2^19 laps: a CPU that pushes nothing for exactly
 * that many laps may then take another CPU's open block for its own, and they share its slots:
 * safe, and up to 15 values are displaced early. pos counts on past block_slots by one for each
 * push that finds the block full, before the next is installed; that is at most one per thread,
 * and Linux has at most 2^22 threads. Were it to carry, it would name the next block, which is
 * there (hence the one more).
 */
#include "rpcprof/buffer.h"

#define BUFFER_SLOTS_MAX 15
#define BUFFER_SHARDS_MAX 1024
#define BUFFER_POS_BITS 24
#define BUFFER_INDEX_BITS 21
#define BUFFER_POS_MASK ((UINT64_C(1) << BUFFER_POS_BITS) - 1)
#define BUFFER_INDEX_MASK ((UINT64_C(1) << BUFFER_INDEX_BITS) - 1)
#define BUFFER_NAME_BITS (64 - BUFFER_POS_BITS)

/* The two words have different writers: a line each. */
struct buffer_head {
	uint64_t next_number;
	uint64_t pad0[7];
	uint64_t oldest_hint; /* take_oldest starts looking at this number */
	uint64_t pad1[7];
};

struct buffer_shard {
	uint64_t cur;
	uint64_t last_number; /* of the block opened here last */
	uint64_t next_index;  /* where the next one will lie, perhaps: a hint */
	uint64_t pad[13];
};

/* A line pair whatever the number of slots in use, so that CPUs never share one. */
struct buffer_block {
	uint64_t header;
	uint64_t slots[BUFFER_SLOTS_MAX];
};

static inline struct buffer_head *buffer_head(const struct rpcprof_buffer *buffer)
{
	return buffer->memory;
}

static inline struct buffer_shard *buffer_shard(const struct rpcprof_buffer *buffer, uint32_t shard)
{
	return (struct buffer_shard *)(buffer_head(buffer) + 1) + shard;
}

static inline struct buffer_block *buffer_block(const struct rpcprof_buffer *buffer, uint64_t index)
{
	return (struct buffer_block *)((char *)buffer->memory + buffer->first_block) + index;
}

/* For tests: makes `number` the next block's. The buffer must be empty and unused. */
void rpcprof_buffer_start_at(struct rpcprof_buffer *buffer, uint64_t number);

#endif
