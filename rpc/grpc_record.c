/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a record: open -> (a request waits) -> attached to its call -> last hold dropped.
 *
 * Who may touch a record: its opener until it is attached; then whoever holds a reference to the
 * call (and so found it by the map), whoever has a batch's event, and who is inside start_batch.
 * Each of these has a hold. The plain fields are stored before the record is attached or a slot
 * is armed, and read by those who got there after.
 */
#include "rpc/grpc_internal.h"

static uint64_t counters[GRPC_COUNTERS];

void rpcprof_grpc_count(enum grpc_counter counter)
{
	rpcprof_add_relaxed(&counters[counter], (uint64_t)1); /* relaxed: counts only */
}

void rpcprof_grpc_counters_get(struct rpcprof_grpc_counters *out)
{
	out->under_way = GRPC_POOL_LIVE(rpcprof_load_relaxed(&rpcprof_grpc_pool_head));
	out->no_record = rpcprof_load_relaxed(&counters[NO_RECORD]);
	out->no_stat = rpcprof_load_relaxed(&counters[NO_STAT]);
	out->unknown_queue = rpcprof_load_relaxed(&counters[UNKNOWN_QUEUE]);
	out->plain_batches = rpcprof_load_relaxed(&counters[PLAIN_BATCHES]);
	out->stale = rpcprof_load_relaxed(&counters[STALE]);
}

struct grpc_record *rpcprof_grpc_record_open(grpc_completion_queue *cq, bool server)
{
	uint32_t kind = rpcprof_grpc_queue_kind(cq);
	struct grpc_record *r;

	if (kind == GRPC_QUEUE_UNKNOWN) {
		rpcprof_grpc_count(UNKNOWN_QUEUE);
		return NULL;
	}
	r = rpcprof_grpc_record_take();
	if (!r) {
		rpcprof_grpc_count(NO_RECORD);
		return NULL;
	}
	r->c.call.stat = rpcprof_stat_none_();
	r->cq = cq;
	r->queue_kind = kind;
	r->server = server;
	r->begun = 0;
	r->unplucked = 0;
	/* relaxed, all three: a find that was given a stale word may be looking at call */
	rpcprof_store_relaxed(&r->call, NULL);
	rpcprof_store_relaxed(&r->holds, GRPC_HOLD);
	rpcprof_store_relaxed(&r->user_refs, 1u);
	return r;
}

/* Whether nobody has the record any more but for the asker, who gives these up. */
static bool drop(struct grpc_record *r, uint32_t holds)
{
	/* H2 acquire, pairs with H1: what nobody else holds nobody else can take hold of. */
	if (rpcprof_load_acquire(&r->holds) == holds)
		return true;
	/* H1 acq_rel, pairs with itself and with S1: the last one sees what all others did to the
	 * record, and who takes a slot what was done to it. */
	return __atomic_fetch_sub(&r->holds, holds, __ATOMIC_ACQ_REL) == holds;
}

void rpcprof_grpc_record_drop(struct grpc_record *r, uint32_t holds)
{
	if (!drop(r, holds))
		return;
	rpcprof_grpc_end(&r->c);
	rpcprof_grpc_record_give(r);
}

/* Core has just made this call: a record that has its address outlived its call, which was given
 * back by core's own grpc_call_unref(). */
static void evict(grpc_call *call)
{
	struct grpc_record *old = rpcprof_grpc_calls_find(call);

	if (!old)
		return;
	rpcprof_grpc_count(STALE);
	rpcprof_grpc_calls_remove(old);
	rpcprof_grpc_record_drop(old, GRPC_HOLD);
}

bool rpcprof_grpc_record_attach(struct grpc_record *r, grpc_call *call)
{
	evict(call);
	rpcprof_store_relaxed(&r->call, call); /* published by the map's M1 */
	if (rpcprof_grpc_calls_insert(r))
		return true;
	rpcprof_grpc_count(NO_RECORD);
	rpcprof_call_discard(&r->c.call);
	rpcprof_grpc_record_drop(r, GRPC_HOLD);
	return false;
}

/* A record that is no call's yet is one thread's alone: its opener's, then whose who got its
 * request's event. */
static bool is_request(const struct grpc_record *r)
{
	return !rpcprof_load_relaxed(&r->call); /* relaxed: stored by who attached what we found */
}

static struct grpc_slot *slot_take(struct grpc_record *r, uint32_t others)
{
	uint32_t used = rpcprof_load_relaxed(&r->holds);
	unsigned i;

	if (is_request(r)) {
		/* relaxed: published with the record, by A1 or M1 */
		rpcprof_store_relaxed(&r->holds, used | 1u);
		return &r->slots[0];
	}
	do {
		i = (unsigned)__builtin_ctz(~used);
		if (i >= GRPC_BATCHES_MAX)
			return NULL;
		/* S1 acquire, pairs with H1: the slot's last batch is done with it. */
	} while (!rpcprof_cas_acquire(&r->holds, &used, (used | 1u << i) + others));
	return &r->slots[i];
}

static void slot_drop(struct grpc_record *r, const struct grpc_slot *slot)
{
	rpcprof_grpc_record_drop(r, 1u << (slot - r->slots));
}

/* What a callback queue runs in place of the user's functor, which may free his call. */
static void callback_done(grpc_completion_queue_functor *functor, int success)
{
	void *user_tag;

	if (!rpcprof_grpc_slot_done((struct grpc_slot *)functor, &success, &user_tag))
		return;
	functor = user_tag;
	functor->functor_run(functor, success);
}

static void functor_fill(struct grpc_slot *slot)
{
	const grpc_completion_queue_functor *user = slot->user_tag;

	slot->functor.functor_run = callback_done;
	slot->functor.inlineable = user->inlineable;
}

struct grpc_slot *rpcprof_grpc_slot_open(struct grpc_record *r, uint32_t others,
                                         grpc_completion_queue *cq, uint32_t queue_kind,
                                         enum grpc_part part, void **tag)
{
	struct grpc_slot *slot = slot_take(r, others);

	if (!slot)
		return NULL;
	/* relaxed, both: published by A1; a pluck that got a stale word may be looking */
	rpcprof_store_relaxed(&slot->user_tag, *tag);
	rpcprof_store_relaxed(&slot->cq, cq);
	slot->part = part;
	if (queue_kind == GRPC_QUEUE_CALLBACK)
		functor_fill(slot);
	/* A1 release, pairs with A2: all of the slot and its record, for whoever gets the event;
	 * but for its batch, see B1 in grpc_stages.c. */
	rpcprof_store_release(&slot->armed, 1u);
	if (queue_kind != GRPC_QUEUE_PLUCK || part == GRPC_PART) {
		*tag = slot; /* on a callback queue: its functor, which is at the same place */
		return slot;
	}
	/* Who plucks names the tag that he waits for, maybe before it is started: core has to be
	 * given his. */
	if (rpcprof_grpc_plucks_insert(slot))
		return slot;
	slot_drop(r, slot);
	if (others != 0)
		rpcprof_grpc_record_drop(r, others);
	return NULL;
}

void rpcprof_grpc_slot_close(struct grpc_slot *slot, uint32_t queue_kind)
{
	if (queue_kind == GRPC_QUEUE_PLUCK)
		rpcprof_grpc_plucks_remove(slot);
	slot_drop(rpcprof_grpc_record_of(slot), slot);
}

static bool server_begin(struct grpc_record *r, grpc_call *call)
{
	const struct grpc_request *request = &r->request;
	bool recorded;

	if (request->details)
		recorded = rpcprof_grpc_server_begin(&r->c, call, request->details);
	else
		recorded = rpcprof_grpc_server_begin_registered(&r->c, call, request->method,
		                                                *request->deadline);
	rpcprof_grpc_server_metadata(&r->c, request->metadata);
	return recorded;
}

/* A request came back: with a call, or because the server shuts down. */
static void request_done(struct grpc_record *r, bool success)
{
	rpcprof_store_relaxed(&r->holds, GRPC_HOLD); /* the slot is free; relaxed: by M1, as the rest */
	if (!success || !rpcprof_enabled()) {
		rpcprof_grpc_record_drop(r, GRPC_HOLD);
	} else if (!server_begin(r, *r->request.call)) {
		rpcprof_grpc_count(NO_STAT);
		rpcprof_grpc_record_drop(r, GRPC_HOLD);
	} else {
		rpcprof_grpc_record_attach(r, *r->request.call);
	}
}

/* Whether the user gets his event now. Batches that receive the status always succeed. */
static bool part_done(struct grpc_record *r, int *success)
{
	*success = 1;
	/* L1 acq_rel, pairs with itself: who has the last part has what the others received. */
	return __atomic_fetch_sub(&r->parts_left, 1u, __ATOMIC_ACQ_REL) == 1;
}

bool rpcprof_grpc_slot_done(struct grpc_slot *slot, int *success, void **user_tag)
{
	struct grpc_record *r = rpcprof_grpc_record_of(slot);
	bool whole = true;

	(void)rpcprof_load_acquire(&slot->armed); /* A2 acquire, pairs with A1 */
	*user_tag = rpcprof_load_relaxed(&slot->user_tag);
	if (is_request(r)) {
		request_done(r, *success);
		return true;
	}
	rpcprof_grpc_batch_end(&r->c, &slot->batch, *success);
	if (slot->part != GRPC_WHOLE)
		whole = part_done(r, success);
	slot_drop(r, slot);
	return whole;
}
