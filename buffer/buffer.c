/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of a buffer; push.c fills it, drain.c empties it. */
#include "buffer/buffer_internal.h"

#include <errno.h>
#include <sys/sysinfo.h>

#include "atomic_internal.h"

_Static_assert(sizeof(struct buffer_shard) == 128, "a line pair per shard");
_Static_assert(sizeof(struct buffer_block) == 128, "a line pair per block");
/* The most blocks: full-sized ones at the largest capacity, or many shards' small ones. */
_Static_assert(RPCPROF_BUFFER_CAPACITY_MAX / BUFFER_SLOTS_MAX + 2 * BUFFER_SHARDS_MAX <
		       BUFFER_INDEX_MASK, "an index fits into a name");
_Static_assert(60 * BUFFER_SHARDS_MAX + 2 * BUFFER_SHARDS_MAX < BUFFER_INDEX_MASK,
	       "an index fits into a name");

static uint32_t limit_shards(uint32_t shards)
{
	return shards < BUFFER_SHARDS_MAX ? shards : BUFFER_SHARDS_MAX;
}

/* Small blocks where there are few slots per CPU: each CPU may leave one unfilled, so that large
 * ones would waste much of the memory. */
static uint32_t slots_of_block(uint32_t capacity, uint32_t shards)
{
	uint32_t slots = capacity / (4 * shards);

	if (slots < 1)
		return 1;
	return slots < BUFFER_SLOTS_MAX ? slots : BUFFER_SLOTS_MAX;
}

/* 0, or -EINVAL; everything but the memory. */
static int shape(struct rpcprof_buffer *buffer, uint32_t capacity, uint32_t shards)
{
	uint32_t cpus = (uint32_t)get_nprocs_conf();
	uint32_t slots;

	if (capacity < 1 || capacity > RPCPROF_BUFFER_CAPACITY_MAX)
		return -EINVAL;
	shards = limit_shards(shards != 0 ? shards : cpus);
	slots = slots_of_block(capacity, shards);
	*buffer = (struct rpcprof_buffer){
		.capacity = capacity,
		.shards = shards,
		.block_slots = slots,
		/* Per shard one open and one left unfilled: see push.c on what is kept. */
		.blocks = (capacity + slots - 1) / slots + 2 * shards,
		.first_block = (uint32_t)(sizeof(struct buffer_head) +
					  shards * sizeof(struct buffer_shard)),
		.own_cpus = cpus <= shards ? shards : 0,
	};
	return 0;
}

size_t rpcprof_buffer_bytes(uint32_t capacity, uint32_t shards)
{
	struct rpcprof_buffer buffer;

	if (shape(&buffer, capacity, shards) != 0)
		return 0;
	return buffer.first_block + ((size_t)buffer.blocks + 1) * sizeof(struct buffer_block);
}

int rpcprof_buffer_init(struct rpcprof_buffer *buffer, void *memory, uint32_t capacity,
			uint32_t shards)
{
	struct rpcprof_buffer shaped;

	if (memory == NULL || (uintptr_t)memory % sizeof(struct buffer_block) != 0)
		return -EINVAL;
	if (shape(&shaped, capacity, shards) != 0)
		return -EINVAL;
	shaped.memory = memory;
	*buffer = shaped;
	return 0;
}

size_t rpcprof_buffer_slots(const struct rpcprof_buffer *buffer)
{
	return (size_t)buffer->blocks * buffer->block_slots;
}

void rpcprof_buffer_start_at(struct rpcprof_buffer *buffer, uint64_t number)
{
	rpcprof_store_relaxed(&buffer_head(buffer)->next_number, number);
}
