/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting values in.
 *
 * Safety. A value is owned by whoever got it from the one atomic exchange on its slot, so each
 * comes out exactly once: from a push as displaced, or from drain.c. That holds for ANY choice of
 * slot, in any interleaving, and after any thread has stopped anywhere. Everything else here
 * (numbers, names, tickets, headers) only decides which slot, that is, which value is displaced:
 * about the oldest. So all of it is relaxed, may be stale, and needs no ABA argument.
 *
 * Speed. Each CPU fills a block of its own, so that CPUs meet at the global block number once per
 * block, not once per push. A slot is chosen by one ticket from the CPU's word.
 *
 * What is kept. Number n takes the memory of n - blocks. Each CPU may have one block open, and an
 * open one is still written to, so its values are newer than its number. Left alone, a CPU that
 * pushes little would see its newest values displaced as soon as the others get round to its old
 * block. So whoever opens number n closes n - blocks / 2 if it is still open, and its CPU will
 * take a new one: a value stays for at least half the numbers, in which each CPU leaves at most one
 * block unfilled: at least capacity / 2 pushes. Over all numbers each leaves at most two unfilled,
 * which the 2 * shards blocks more make up for: at least `capacity` values are in the ring, from
 * that many pushes or more after the oldest number was opened. Missing of the newest `capacity`
 * are therefore only values of blocks that were open then: shards * block_slots at most, and of a
 * CPU alone none.
 *
 * Each of these costs some recency, and nothing else: a thread that is preempted in here for
 * longer than the others take to fill the ring; one that is moved to another CPU in here; two
 * threads of one CPU in here at once, of which one's new block may stay unused.
 */
#include "buffer/buffer_internal.h"

#include "atomic_internal.h"
#include "buffer/cpu_internal.h"

/* How many pushes ahead a hint looks: a cache line takes two or three of the shortest calls to come
 * over from another CPU. */
#define LOOK_AHEAD 3

#define likely(x) __builtin_expect(!!(x), 1)

static inline struct buffer_block *ticket_block(const struct rpcprof_buffer *buffer,
						uint64_t ticket)
{
	return buffer_block(buffer, ticket >> BUFFER_POS_BITS & BUFFER_INDEX_MASK);
}

/* Is there a slot at this ticket, and the block still open under that name? A header seen late
 * names an older number: at worst a needless new block. */
static inline bool ticket_valid(const struct rpcprof_buffer *buffer, uint64_t ticket)
{
	return (ticket & BUFFER_POS_MASK) < buffer->block_slots &&
	       rpcprof_load_relaxed(&ticket_block(buffer, ticket)->header) ==
		       (ticket >> BUFFER_POS_BITS) + 1;
}

/* What this CPU will displace LOOK_AHEAD pushes from now, if all goes on as it did. */
static inline uint64_t look_ahead(const struct rpcprof_buffer *buffer,
				  const struct buffer_shard *shard,
				  const struct buffer_block *block, uint64_t pos)
{
	uint64_t ahead = pos + LOOK_AHEAD;

	if (ahead >= buffer->block_slots) {
		block = buffer_block(buffer, rpcprof_load_hint(&shard->next_index));
		ahead -= buffer->block_slots;
	}
	return rpcprof_load_hint(&block->slots[ahead]);
}

/* P1 acq_rel, pairs with the exchange or load that takes or sees the value (P1, D1, W1).
 * Release: what the value stands for, else its next owner sees it half made. Acquire: what the
 * displaced value stands for, which is now this thread's to read and reuse. */
static inline uint64_t put(const struct rpcprof_buffer *buffer, const struct buffer_shard *shard,
			   uint64_t ticket, uint64_t value, uint64_t *next)
{
	struct buffer_block *block = ticket_block(buffer, ticket);
	uint64_t pos = ticket & BUFFER_POS_MASK;

	*next = look_ahead(buffer, shard, block, pos);
	return rpcprof_exchange_acq_rel(&block->slots[pos], value);
}

/* The ticket for the first slot of a number. Laps from 1: the zero ticket names no block. */
static uint64_t first_ticket(const struct rpcprof_buffer *buffer, uint64_t number)
{
	uint64_t lap = number / buffer->blocks + 1;

	return (lap << BUFFER_INDEX_BITS | number % buffer->blocks) << BUFFER_POS_BITS;
}

static void close_block(const struct rpcprof_buffer *buffer, uint64_t ticket)
{
	struct buffer_block *block = ticket_block(buffer, ticket);

	/* Two steps, as the load alone is the rule. A name that changes between them is closed
	 * in error: a needless new block. */
	if (rpcprof_load_relaxed(&block->header) == (ticket >> BUFFER_POS_BITS) + 1)
		rpcprof_store_relaxed(&block->header, 0);
}

/* An index some blocks after another, both less than `blocks`. */
static uint64_t index_after(const struct rpcprof_buffer *buffer, uint64_t index, uint64_t steps)
{
	index += steps;
	return index < buffer->blocks ? index : index - buffer->blocks;
}

/* Fetches what the next opening here and the pushes after it will touch, for the locked instructions
 * there would wait for each miss: the block as far on as this one is from the last, that is, if the
 * other CPUs open as many as they did since; and the one that it will close. */
static void fetch_ahead(const struct rpcprof_buffer *buffer, struct buffer_shard *shard,
			uint64_t number, uint64_t index)
{
	uint64_t stride = number - rpcprof_load_hint(&shard->last_number);
	uint64_t next = index_after(buffer, index, stride < buffer->blocks ? stride : 1);
	const struct buffer_block *block = buffer_block(buffer, next);
	uint64_t closed = index_after(buffer, next, buffer->blocks - buffer->blocks / 2);

	rpcprof_store_hint(&shard->last_number, number);
	rpcprof_store_hint(&shard->next_index, next);
	__builtin_prefetch(block, 1);
	__builtin_prefetch(&block->slots[BUFFER_SLOTS_MAX / 2], 1);
	__builtin_prefetch(buffer_block(buffer, closed), 1);
}

/* Takes a number, names its block by it, and closes the one that is half a ring old. */
static uint64_t open_block(const struct rpcprof_buffer *buffer, struct buffer_shard *shard)
{
	uint64_t number = rpcprof_add_relaxed(&buffer_head(buffer)->next_number, 1);
	uint64_t ticket = first_ticket(buffer, number);
	uint64_t old = first_ticket(buffer, number - buffer->blocks / 2);
	struct buffer_block *block = ticket_block(buffer, ticket);

	fetch_ahead(buffer, shard, number, ticket >> BUFFER_POS_BITS & BUFFER_INDEX_MASK);
	rpcprof_store_relaxed(&block->header, (ticket >> BUFFER_POS_BITS) + 1);
	close_block(buffer, old);
	return ticket;
}

/* The ticket was none: the block is full, or has been closed, or there never was one. */
static __attribute__((noinline)) uint64_t push_slow(const struct rpcprof_buffer *buffer,
						    struct buffer_shard *shard,
						    uint64_t value, uint64_t *next)
{
	uint64_t *cur = &shard->cur;
	uint64_t ticket = rpcprof_load_relaxed(cur);
	uint64_t fresh = 0;

	for (;;) {
		if (ticket_valid(buffer, ticket)) { /* another thread has been here */
			ticket = rpcprof_add_relaxed(cur, 1);
			if (ticket_valid(buffer, ticket))
				return put(buffer, shard, ticket, value, next);
			ticket = rpcprof_load_relaxed(cur);
			continue;
		}
		if (fresh == 0) {
			/* So that nobody else has to write to its line, half a ring later. */
			close_block(buffer, ticket);
			fresh = open_block(buffer, shard);
		}
		/* Fails only if another thread took a ticket, which each does once before it
		 * comes here, or installed a block. Lock-free. relaxed: who takes a ticket checks
		 * the header, and what is in the slots is P1's. */
		if (rpcprof_cas_relaxed(cur, &ticket, fresh + 1))
			return put(buffer, shard, fresh, value, next);
	}
}

/* Without a shard to itself: fewer shards than CPUs, or no CPU number to be had. Threads that run
 * at once meet here, so the ticket is a locked one. */
static __attribute__((noinline)) uint64_t push_shared(const struct rpcprof_buffer *buffer,
						      uint32_t cpu, uint64_t value,
						      uint64_t *next)
{
	struct buffer_shard *shard = buffer_shard(buffer, cpu % buffer->shards);
	uint64_t ticket = rpcprof_add_relaxed(&shard->cur, 1);

	if (ticket_valid(buffer, ticket))
		return put(buffer, shard, ticket, value, next);
	return push_slow(buffer, shard, value, next);
}

uint64_t rpcprof_buffer_push_peek(struct rpcprof_buffer *buffer, uint64_t value, uint64_t *next)
{
	uint32_t cpu = rpcprof_cpu();
	struct buffer_shard *shard;
	uint64_t ticket;

	if (!likely(cpu < buffer->own_cpus))
		return push_shared(buffer, cpu, value, next);
	shard = buffer_shard(buffer, cpu);
	/* Only a thread that is moved between reading the CPU number and here meets another; then
	 * both may get one ticket, or an older block come back into the word. Any slot is safe. */
	ticket = rpcprof_next_unlocked(&shard->cur);
	if (likely(ticket_valid(buffer, ticket)))
		return put(buffer, shard, ticket, value, next);
	return push_slow(buffer, shard, value, next);
}

uint64_t rpcprof_buffer_push(struct rpcprof_buffer *buffer, uint64_t value)
{
	uint64_t next;

	return rpcprof_buffer_push_peek(buffer, value, &next);
}
