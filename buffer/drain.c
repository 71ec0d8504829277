/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking values out, and looking at them.
 *
 * All go once round the blocks in their order in memory, each slot once, so none is missed and
 * none met twice; where they begin only decides the order, so a stale beginning is harmless. They
 * look at no header and no ticket, and so nothing that a push has left half done matters here.
 *
 * Begun at the next number's index, the order is that of the blocks' numbers, oldest first. Of a
 * block that is being filled, the slots not yet reached hold values of the lap before.
 */
#include "buffer/buffer_internal.h"

#include "atomic_internal.h"

/* One round of the blocks. */
struct round {
	const struct rpcprof_buffer *buffer;
	uint32_t index;
	uint32_t left;
};

static struct round round_from(const struct rpcprof_buffer *buffer, uint64_t number)
{
	return (struct round){ buffer, (uint32_t)(number % buffer->blocks), buffer->blocks };
}

static struct buffer_block *round_next(struct round *round)
{
	struct buffer_block *block;

	if (round->left == 0)
		return NULL;
	round->left--;
	block = buffer_block(round->buffer, round->index);
	if (++round->index == round->buffer->blocks)
		round->index = 0;
	return block;
}

/* The value, now the caller's; 0 if the slot is empty or someone else was first. */
static uint64_t take(uint64_t *slot)
{
	/* Relaxed: only skips what is empty anyway, without writing to the line. */
	if (rpcprof_load_relaxed(slot) == 0)
		return 0;
	/* D1 acq_rel, pairs with P1 in push.c. Acquire: what the value stands for. Release: a push
	 * that finds this slot empty comes after whatever its taker did before. */
	return rpcprof_exchange_acq_rel(slot, 0);
}

size_t rpcprof_buffer_drain(struct rpcprof_buffer *buffer, rpcprof_buffer_fn *fn, void *arg)
{
	uint64_t number = rpcprof_load_relaxed(&buffer_head(buffer)->next_number);
	struct round round = round_from(buffer, number);
	struct buffer_block *block;
	size_t taken = 0;

	while ((block = round_next(&round)) != NULL) {
		for (uint32_t i = 0; i < buffer->block_slots; i++) {
			uint64_t value = take(&block->slots[i]);

			if (value == 0)
				continue;
			taken++;
			if (fn(arg, value) != 0)
				return taken;
		}
	}
	return taken;
}

size_t rpcprof_buffer_walk(const struct rpcprof_buffer *buffer, rpcprof_buffer_fn *fn, void *arg)
{
	uint64_t number = rpcprof_load_relaxed(&buffer_head(buffer)->next_number);
	struct round round = round_from(buffer, number);
	const struct buffer_block *block;
	size_t seen = 0;

	while ((block = round_next(&round)) != NULL) {
		for (uint32_t i = 0; i < buffer->block_slots; i++) {
			/* W1 acquire, pairs with P1 in push.c: what the value stands for. */
			uint64_t value = rpcprof_load_acquire(&block->slots[i]);

			if (value == 0)
				continue;
			seen++;
			if (fn(arg, value) != 0)
				return seen;
		}
	}
	return seen;
}

static uint64_t take_from(const struct rpcprof_buffer *buffer, struct buffer_block *block)
{
	uint64_t value = 0;

	for (uint32_t i = 0; value == 0 && i < buffer->block_slots; i++)
		value = take(&block->slots[i]);
	return value;
}

/*
 * The hint is the number where the last value was found: what came before has been taken, but for
 * what was pushed since into old blocks that are still open. The round comes to those last, at
 * `next` and above; a hint from there, or one that has been lapped, is none.
 */
uint64_t rpcprof_buffer_take_oldest(struct rpcprof_buffer *buffer)
{
	struct buffer_head *head = buffer_head(buffer);
	uint64_t next = rpcprof_load_relaxed(&head->next_number);
	uint64_t hint = rpcprof_load_relaxed(&head->oldest_hint);
	uint64_t from = next - hint <= buffer->blocks ? hint : next - buffer->blocks;
	struct round round = round_from(buffer, from);
	struct buffer_block *block;

	for (uint64_t number = from; (block = round_next(&round)) != NULL; number++) {
		uint64_t value = take_from(buffer, block);

		if (value == 0)
			continue;
		if (number != hint)
			rpcprof_store_relaxed(&head->oldest_hint, number);
		return value;
	}
	return 0;
}
