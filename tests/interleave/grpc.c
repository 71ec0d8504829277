/* SPDX-License-Identifier: Apache-2.0 */
/* What the wrapped gRPC calls share: records in a pool, the maps that find them, the life of a record
 * and of its slots. Core itself is not run; a case hands over what core would, in order only where
 * core's completion queue gives one. */
#include "fixture.h"
#include "rpc/grpc_internal.h"

/* Stores of the threads, and what rpc/grpc_stages.c would do with them. */
static uint64_t did[3];
static uint64_t handed; /* by core's completion queue */
static struct grpc_record *records[3];

/* The end of a call: all who had it are done, and what they did is there. */
void rpcprof_grpc_end_on(struct rpcprof_grpc_call *c)
{
	(void)c;
	execution.out[0]++;
	for (int thread = 0; thread < 2; thread++)
		REQUIRE(rpcprof_load_relaxed(&did[thread]) == execution.kept[thread][0]);
}

/* A batch's event: its slot is written to. */
void rpcprof_grpc_batch_end_on(struct rpcprof_grpc_call *c, struct rpcprof_grpc_batch *batch,
                               bool success)
{
	(void)c;
	(void)success;
	rpcprof_store_relaxed(&batch->begin, 1);
}

bool rpcprof_grpc_server_begin_on(struct rpcprof_grpc_call *c, grpc_call *call, grpc_slice *method,
                                  uint32_t declared, gpr_timespec deadline)
{
	(void)c, (void)call, (void)method, (void)declared, (void)deadline;
	REQUIRE(false); /* no case requests a call */
	return false;
}

void rpcprof_grpc_metadata_on(struct rpcprof_grpc_call *c, const grpc_metadata *metadata,
                              size_t count)
{
	(void)c, (void)metadata, (void)count;
}

static grpc_completion_queue *queue(void)
{
	return (grpc_completion_queue *)0x1000;
}

static void *user_tag(int n)
{
	return (void *)(uintptr_t)(0x2000 + n);
}

/* Two free records, the first on top. */
static void two_free(void)
{
	rpcprof_grpc_pool_head = 0;
	for (int i = 0; i < 2; i++)
		records[i] = rpcprof_grpc_record_take();
	for (int i = 2; i-- > 0;)
		rpcprof_grpc_record_give(records[i]);
	interleave_owned(records[0], 2 * sizeof(*records[0])); /* they lie side by side */
}

static struct grpc_record *take(void)
{
	struct grpc_record *r = rpcprof_grpc_record_take();

	REQUIRE(r != NULL && ++execution.out[r - rpcprof_grpc_pool & 31] == 1);
	rpcprof_store_relaxed(&r->holds, 1u);
	return r;
}

static void give(struct grpc_record *r)
{
	execution.out[r - rpcprof_grpc_pool & 31]--;
	rpcprof_store_relaxed(&r->holds, 0u);
	rpcprof_grpc_record_give(r);
}

/* Thread 1 has a third. */
static void two_free_and_one_taken(void)
{
	two_free();
	records[2] = &rpcprof_grpc_pool[(records[1] - rpcprof_grpc_pool) + 1];
	REQUIRE(rpcprof_grpc_record_take() == records[0]);
	REQUIRE(rpcprof_grpc_record_take() == records[1]);
	REQUIRE(rpcprof_grpc_record_take() == records[2]);
	rpcprof_grpc_record_give(records[1]);
	rpcprof_grpc_record_give(records[0]);
	interleave_owned(records[0], 3 * sizeof(*records[0]));
}

/* It gives back what thread 0 may just be about to take, as many in use as before, and another
 * below it: ABA. */
static void take_two_or_take_two_give_two(int thread)
{
	struct grpc_record *first = take();

	(void)take();
	if (thread == 0)
		return;
	execution.out[records[2] - rpcprof_grpc_pool & 31]++;
	give(records[2]);
	give(first);
}


static void give_and_take(int thread)
{
	(void)thread;
	give(take());
	(void)take();
}

static void pool_counts_them(void)
{
	REQUIRE(GRPC_POOL_LIVE(rpcprof_grpc_pool_head) == fixture_out());
}

/* A record that is on its way into the map: found whole or not at all. */
static void one_unattached(void)
{
	two_free();
	rpcprof_grpc_queue_set(queue(), GRPC_QUEUE_NEXT);
	interleave_owned(NULL, 0);
	records[0] = rpcprof_grpc_record_open(queue(), false);
	did[0] = did[1] = 0;
}

static void attach_or_find(int thread)
{
	grpc_call *call = (grpc_call *)0x3000;
	struct grpc_record *found;

	if (thread == 0) {
		rpcprof_store_relaxed(&did[0], 1);
		REQUIRE(rpcprof_grpc_record_attach(records[0], call));
		return;
	}
	found = rpcprof_grpc_calls_find(call);
	if (found)
		REQUIRE(found == records[0] && rpcprof_load_relaxed(&did[0]) == 1);
}

/* Two holds, each thread lets go one: the last ends the call and gives the record back. */
static void two_holds(void)
{
	one_unattached();
	records[0]->c.call.stat.bits = 1; /* recorded: rpcprof_grpc_end_on() is told */
	records[0]->holds = 2 * GRPC_HOLD;
}

static void touch_and_drop(int thread)
{
	execution.kept[thread][0] = 1;
	rpcprof_store_relaxed(&did[thread], 1);
	rpcprof_grpc_record_drop(records[0], GRPC_HOLD);
}

static void ended_once(void)
{
	REQUIRE(execution.out[0] == 1 && GRPC_POOL_LIVE(rpcprof_grpc_pool_head) == 0);
}

/* Thread 0 starts a batch, thread 1 gets its event, over and over in one slot. */
static void one_attached(void)
{
	one_unattached();
	REQUIRE(rpcprof_grpc_record_attach(records[0], (grpc_call *)0x3000));
	records[0]->c.call.stat.bits = 1;
	records[0]->holds = 8 * GRPC_HOLD;
	interleave_owned(records[0]->slots, sizeof(records[0]->slots));
}

static void start(int n)
{
	void *tag = user_tag(n);
	struct grpc_slot *slot =
		rpcprof_grpc_slot_open(records[0], GRPC_HOLD, queue(), GRPC_QUEUE_NEXT, GRPC_WHOLE, &tag);

	REQUIRE(slot != NULL && tag == slot);
	rpcprof_store_relaxed(&slot->batch.begin, 1); /* as rpcprof_grpc_batch_begin() */
	rpcprof_store_release(&handed, (uint64_t)(uintptr_t)slot);
	rpcprof_grpc_record_drop(records[0], GRPC_HOLD);
}

/* By when all are done, the holds are what they were. */
static void holds_are_left(void)
{
	REQUIRE(rpcprof_load_relaxed(&records[0]->holds) / GRPC_HOLD == 8);
}

static void start_twice_or_done(int thread)
{
	int success = 1;
	void *slot, *tag;

	if (thread == 0) {
		start(0);
		if (rpcprof_load_relaxed(&records[0]->holds) % GRPC_HOLD == 0)
			start(1);
		return;
	}
	slot = (void *)(uintptr_t)rpcprof_load_acquire(&handed);
	if (slot == NULL)
		return;
	REQUIRE(rpcprof_grpc_is_slot(slot));
	REQUIRE(rpcprof_grpc_slot_done(slot, &success, &tag) && tag == user_tag(0));
}

/* A batch in two parts: who has the last one has what the other received. */
static void two_parts(void)
{
	one_attached();
	interleave_owned(NULL, 0);
	for (int i = 0; i < 2; i++) {
		void *tag = user_tag(0);

		(void)rpcprof_grpc_slot_open(records[0], 0, queue(), GRPC_QUEUE_NEXT,
		                             i ? GRPC_LAST_PART : GRPC_PART, &tag);
	}
	records[0]->parts_left = 2;
}

static void part_done(int thread)
{
	int success = 1;
	void *tag;

	rpcprof_store_relaxed(&did[thread], 1);
	if (!rpcprof_grpc_slot_done(&records[0]->slots[thread], &success, &tag))
		return;
	execution.out[1]++;
	REQUIRE(rpcprof_load_relaxed(&did[0]) == 1 && rpcprof_load_relaxed(&did[1]) == 1);
}

static void told_once(void)
{
	REQUIRE(execution.out[1] == 1);
}

/* A tag under way on a pluck queue, which two threads pluck. */
static void one_pluckable(void)
{
	void *tag = user_tag(0);

	one_attached();
	interleave_owned(NULL, 0);
	(void)rpcprof_grpc_slot_open(records[0], 0, queue(), GRPC_QUEUE_PLUCK, GRPC_WHOLE, &tag);
}

static void pluck(int thread)
{
	(void)thread;
	if (rpcprof_grpc_plucks_take(queue(), user_tag(0)) != NULL)
		execution.out[0]++;
}

static void plucked_once(void)
{
	REQUIRE(execution.out[0] == 1);
}

/* A queue is made where another kind of queue was destroyed, and asked for: unknown, or its kind. */
static void destroyed_queue(void)
{
	rpcprof_grpc_queue_set(queue(), GRPC_QUEUE_NEXT);
	rpcprof_grpc_queue_set(queue(), GRPC_QUEUE_UNKNOWN);
}

static void make_or_ask(int thread)
{
	uint32_t kind;

	if (thread == 0) {
		rpcprof_grpc_queue_set(queue(), GRPC_QUEUE_PLUCK);
		return;
	}
	kind = rpcprof_grpc_queue_kind(queue());
	REQUIRE(kind == GRPC_QUEUE_PLUCK || kind == GRPC_QUEUE_UNKNOWN);
}

/* Another queue with the home of queue(). */
static grpc_completion_queue *neighbour(void)
{
	uintptr_t at = 0x1000;

	do
		at += 0x1000;
	while ((at * UINT64_C(0x9e3779b97f4a7c15) >> 40) % GRPC_NAMES !=
	       (0x1000 * UINT64_C(0x9e3779b97f4a7c15) >> 40) % GRPC_NAMES);
	return (grpc_completion_queue *)at;
}

/* A queue that one thread made and another destroys, which the first told, while a third makes the
 * next one, maybe in its place. */
static void no_queues(void)
{
	handed = 0;
	interleave_owned(rpcprof_grpc_queues, sizeof(rpcprof_grpc_queues));
}

static void make_or_destroy_or_make_another(int thread)
{
	if (thread == 0) {
		rpcprof_grpc_queue_set(queue(), GRPC_QUEUE_NEXT);
		rpcprof_store_release(&handed, 1);
	} else if (thread == 1) {
		if (rpcprof_load_acquire(&handed) == 0)
			return;
		REQUIRE(rpcprof_grpc_queue_kind(queue()) == GRPC_QUEUE_NEXT);
		rpcprof_grpc_queue_set(queue(), GRPC_QUEUE_UNKNOWN);
	} else {
		rpcprof_grpc_queue_set(neighbour(), GRPC_QUEUE_PLUCK);
		REQUIRE(rpcprof_grpc_queue_kind(neighbour()) == GRPC_QUEUE_PLUCK);
	}
}

static void neighbour_is_there(void)
{
	REQUIRE(rpcprof_grpc_queue_kind(neighbour()) == GRPC_QUEUE_PLUCK);
}

const struct interleave_case grpc_cases[] = {
	{"grpc_pool_aba", 2, ALL, ALL, 0, two_free_and_one_taken, take_two_or_take_two_give_two,
	 pool_counts_them},
	{"grpc_pool_give_and_take", 2, 4, 2, 0, two_free, give_and_take, pool_counts_them},
	{"grpc_attach_and_find", 2, ALL, ALL, 0, one_unattached, attach_or_find, NULL},
	{"grpc_holds", 2, ALL, ALL, 0, two_holds, touch_and_drop, ended_once},
	{"grpc_slots", 2, ALL, ALL, 0, one_attached, start_twice_or_done, holds_are_left},
	{"grpc_parts", 2, ALL, ALL, 0, two_parts, part_done, told_once},
	{"grpc_pluck", 2, ALL, ALL, 0, one_pluckable, pluck, plucked_once},
	{"grpc_queues", 2, ALL, ALL, 0, destroyed_queue, make_or_ask, NULL},
	{"grpc_queues_in_one_place", 3, 2, 2, 0, no_queues, make_or_destroy_or_make_another,
	 neighbour_is_there},
	{0},
};
