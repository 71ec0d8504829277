/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of records: fixed memory, a lock-free free list.
 *
 * One word, rpcprof_grpc_pool_head, holds all that changes:
 *
 *     change count (36 bits) | records in use (14 bits) | 1 + index of the first free (14 bits)
 *
 * Invariant: a record is in the free list, or beyond `fresh` (never used), or its taker's.
 * ABA: a pop that slept between reading next_free and its CAS finds another change count; it would
 * have to sleep through a multiple of 2^36 changes, a quarter of an hour at 10^8 a second, and
 * find the same first record and number in use.
 *
 * The memory lies in .bss: pages that no record was ever taken from cost nothing.
 */
#include "rpc/grpc_internal.h"

_Static_assert(RPCPROF_GRPC_CALLS_MAX < 1 << 14, "index and count have 14 bits each");

struct grpc_record rpcprof_grpc_pool[RPCPROF_GRPC_CALLS_MAX];
uint64_t rpcprof_grpc_pool_head __attribute__((aligned(RPCPROF_CACHE_LINE)));
static uint32_t fresh __attribute__((aligned(RPCPROF_CACHE_LINE)));

#define INDEX_MASK 0x3fffu
#define ONE_LIVE ((uint64_t)1 << 14)
#define ONE_CHANGE ((uint64_t)1 << 28)

static struct grpc_record *take_fresh(void)
{
	/* relaxed: the index is all that is handed out; nobody had the record before */
	uint32_t index = rpcprof_load_relaxed(&fresh);

	do {
		if (index >= RPCPROF_GRPC_CALLS_MAX)
			return NULL;
	} while (!rpcprof_cas_relaxed(&fresh, &index, index + 1));
	rpcprof_add_relaxed(&rpcprof_grpc_pool_head, ONE_CHANGE + ONE_LIVE);
	return &rpcprof_grpc_pool[index];
}

struct grpc_record *rpcprof_grpc_record_take(void)
{
	/* P1 acquire, pairs with P2: the last owner is done with the record, and its next_free
	 * is what that owner wrote. */
	uint64_t head = rpcprof_load_acquire(&rpcprof_grpc_pool_head);
	uint64_t next;
	struct grpc_record *r;

	do {
		if ((head & INDEX_MASK) == 0)
			return take_fresh();
		r = &rpcprof_grpc_pool[(head & INDEX_MASK) - 1];
		/* relaxed: maybe stale, if r was taken meanwhile; then the CAS fails */
		next = rpcprof_load_relaxed(&r->next_free);
		next |= (head & ~(uint64_t)INDEX_MASK) + ONE_CHANGE + ONE_LIVE;
		/* P1 again for the head that is found on failure; P2 for who takes the next. */
	} while (!rpcprof_cas_acq_rel(&rpcprof_grpc_pool_head, &head, next));
	return r;
}

void rpcprof_grpc_record_give(struct grpc_record *r)
{
	uint32_t index = (uint32_t)(r - rpcprof_grpc_pool);
	uint64_t head = rpcprof_load_relaxed(&rpcprof_grpc_pool_head);
	uint64_t next;

	do {
		rpcprof_store_relaxed(&r->next_free, (uint32_t)(head & INDEX_MASK));
		next = (head & ~(uint64_t)INDEX_MASK) + ONE_CHANGE - ONE_LIVE + index + 1;
		/* P2 release, pairs with P1. */
	} while (!rpcprof_cas_release(&rpcprof_grpc_pool_head, &head, next));
}
