/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two bounded maps without locks: calls by grpc_call *, batches on pluck queues by (queue, tag).
 *
 * A bucket is one cache line of eight words; a key lives in its bucket or nowhere. A word is
 * fingerprint (40 bits) | 1 + index of what it stands for (24 bits); 0 = empty. Insert and remove
 * are one CAS each, so a word is always whole.
 *
 * A fingerprint is a hint: each find compares the key that the record itself holds. That record
 * may be another's by then only if its key was not the asker's: whoever asks for a call holds a
 * reference to it, so its record stays; and a tag that is plucked is one under way, taken out by
 * the CAS of exactly one plucker. ABA of that CAS: the same word again means the same batch, under
 * way again with the same fingerprint, hence (but for one in 2^40) the same queue and tag.
 *
 * All buckets full of 8 at random never happens at the pool's size: it is 1 key in 10^6 that finds
 * no room when every record is in use. It then passes through unrecorded, counted.
 */
#include "rpc/grpc_internal.h"

#define WAYS 8
#define BUCKET_BITS 13

_Static_assert(RPCPROF_GRPC_CALLS_MAX == 1 << BUCKET_BITS, "a mean of one key per bucket");

typedef uint64_t bucket[WAYS] __attribute__((aligned(RPCPROF_CACHE_LINE)));

static bucket calls[1 << BUCKET_BITS];
static bucket plucks[1 << BUCKET_BITS];

/* Bits that vary to the top, where bucket and fingerprint are taken from. */
static uint64_t mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 32;
	return x * 0xd6e8feb86659fd93u;
}

static uint64_t *bucket_of(bucket *map, uint64_t hash)
{
	return map[hash >> (64 - BUCKET_BITS)];
}

static uint64_t word_of(uint64_t hash, uint32_t index)
{
	return hash << 24 | (index + 1);
}

/* Whether a word has this hash's fingerprint, and is not empty. */
static bool has_print(uint64_t word, uint64_t hash)
{
	return word - (hash << 24) - 1 < 0xffffff;
}

static bool insert(uint64_t *ways, uint64_t word)
{
	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t empty = 0;

		/* M1 release, pairs with M2: the record before the word that leads to it. */
		if (rpcprof_load_relaxed(&ways[i]) == 0 &&
		    rpcprof_cas_release(&ways[i], &empty, word))
			return true;
	}
	return false;
}

static uint64_t call_hash(const grpc_call *call)
{
	return mix((uintptr_t)call);
}

static uint64_t call_word(const struct grpc_record *r)
{
	return word_of(call_hash(r->call), (uint32_t)(r - rpcprof_grpc_pool));
}

bool rpcprof_grpc_calls_insert(struct grpc_record *r)
{
	return insert(bucket_of(calls, call_hash(r->call)), call_word(r));
}

/* The word is the record's, so that nobody else changes it. */
void rpcprof_grpc_calls_remove(struct grpc_record *r)
{
	uint64_t *ways = bucket_of(calls, call_hash(r->call)), word = call_word(r);

	for (unsigned i = 0; i < WAYS; i++)
		if (rpcprof_load_relaxed(&ways[i]) == word) {
			/* relaxed: what the word stood for goes on by the record's holds */
			rpcprof_store_relaxed(&ways[i], (uint64_t)0);
			return;
		}
}

struct grpc_record *rpcprof_grpc_calls_find(grpc_call *call)
{
	uint64_t hash = call_hash(call);
	uint64_t *ways = bucket_of(calls, hash);

	for (unsigned i = 0; i < WAYS; i++) {
		/* M2 acquire, pairs with M1. */
		uint64_t word = rpcprof_load_acquire(&ways[i]);
		struct grpc_record *r;

		if (!has_print(word, hash))
			continue;
		r = &rpcprof_grpc_pool[(word & 0xffffff) - 1];
		if (rpcprof_load_relaxed(&r->call) == call)
			return r;
	}
	return NULL;
}

static uint64_t pluck_hash(const grpc_completion_queue *cq, const void *tag)
{
	return mix(mix((uintptr_t)cq) ^ (uintptr_t)tag);
}

static uint64_t pluck_word(const struct grpc_slot *slot)
{
	const struct grpc_record *r = rpcprof_grpc_record_of(slot);
	uint32_t index = (uint32_t)(r - rpcprof_grpc_pool) * GRPC_BATCHES_MAX +
	                 (uint32_t)(slot - r->slots);

	return word_of(pluck_hash(slot->cq, slot->user_tag), index);
}

static struct grpc_slot *slot_at(uint64_t word)
{
	uint32_t index = (uint32_t)(word & 0xffffff) - 1;

	return &rpcprof_grpc_pool[index / GRPC_BATCHES_MAX].slots[index % GRPC_BATCHES_MAX];
}

bool rpcprof_grpc_plucks_insert(struct grpc_slot *slot)
{
	return insert(bucket_of(plucks, pluck_hash(slot->cq, slot->user_tag)), pluck_word(slot));
}

void rpcprof_grpc_plucks_remove(struct grpc_slot *slot)
{
	uint64_t *ways = bucket_of(plucks, pluck_hash(slot->cq, slot->user_tag));
	uint64_t word = pluck_word(slot);

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t expected = word;

		/* relaxed: what the word stands for goes on by core's completion queue */
		if (rpcprof_load_relaxed(&ways[i]) == word &&
		    rpcprof_cas_relaxed(&ways[i], &expected, 0))
			return;
	}
}

static struct grpc_slot *plucks_find(grpc_completion_queue *cq, void *tag, bool take)
{
	uint64_t hash = pluck_hash(cq, tag);
	uint64_t *ways = bucket_of(plucks, hash);

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t word = rpcprof_load_acquire(&ways[i]); /* M2 */
		struct grpc_slot *slot;

		if (!has_print(word, hash))
			continue;
		slot = slot_at(word);
		if (rpcprof_load_relaxed(&slot->cq) == cq &&
		    rpcprof_load_relaxed(&slot->user_tag) == tag &&
		    (!take || rpcprof_cas_acquire(&ways[i], &word, 0)))
			return slot;
	}
	return NULL;
}

struct grpc_slot *rpcprof_grpc_plucks_find(grpc_completion_queue *cq, void *tag)
{
	return plucks_find(cq, tag, false);
}

struct grpc_slot *rpcprof_grpc_plucks_take(grpc_completion_queue *cq, void *tag)
{
	return plucks_find(cq, tag, true);
}
