/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GRPC_INTERNAL_H
#define RPCPROF_GRPC_INTERNAL_H

/* What the wrapped calls are made of: records in a pool, maps that find them, names of handles. */
#include "atomic_internal.h"
#include "rpcprof/grpc.h"

/* Of this library alone, so the compiler need not look for them in a table of addresses. */
#pragma GCC visibility push(hidden)

/* The way of what is recorded, a function of its own: what is not saves no registers for it. */
#define RECORDED_WAY static __attribute__((noinline))

#define GRPC_BATCHES_MAX 6 /* core takes one operation of a type at a time, in each direction */

/* What a slot's batch is of the user's; see grpc_split.c. */
enum grpc_part { GRPC_WHOLE, GRPC_PART, GRPC_LAST_PART };

/*
 * A tag of ours inside core: the address of a slot. Recognised by lying in the pool, so that a
 * tag of the user's, which may be (void *)1, is never looked into.
 */
struct grpc_slot {
	grpc_completion_queue_functor functor; /* what a callback queue runs */
	void *user_tag;
	grpc_completion_queue *cq; /* where its event will come out */
	uint32_t armed; /* carries the order from who started it to who got its event */
	uint32_t part;  /* enum grpc_part */
	struct rpcprof_grpc_batch batch;
};

/* What grpc_server_request_call() will fill in. */
struct grpc_request {
	grpc_call **call;
	grpc_metadata_array *metadata;
	grpc_call_details *details; /* NULL for a registered method, which has: */
	gpr_timespec *deadline;
	uint32_t method;
};

/*
 * A call that is recorded, or a request that waits for one.
 *
 * holds: bit i for the batch, or request, of slots[i], which is free without; and GRPC_HOLD for the
 * user's references together, and for a thread that is inside start_batch. Who drops the last one
 * ends the Stat and gives the record back.
 */
#define GRPC_HOLD (1u << GRPC_BATCHES_MAX)
struct grpc_record {
	struct rpcprof_grpc_call c;
	grpc_call *call;          /* NULL while a request */
	grpc_completion_queue *cq;
	uint32_t queue_kind;      /* of cq: enum grpc_queue_kind */
	uint32_t next_free;       /* 1 + index of the next in the free list; see grpc_pool.c */
	uint32_t holds;
	uint32_t user_refs;       /* references to the grpc_call that we know of */
	uint32_t begun;           /* a batch was started */
	uint32_t parts_left;      /* of a split batch: whose events are still to come */
	uint32_t unplucked;       /* of them, bit i: slots[i], on a pluck queue */
	bool server;
	struct grpc_request request; /* uses slots[0] */
	struct grpc_slot slots[GRPC_BATCHES_MAX];
} __attribute__((aligned(RPCPROF_CACHE_LINE)));

/* grpc_pool.c */
extern struct grpc_record rpcprof_grpc_pool[RPCPROF_GRPC_CALLS_MAX];
extern uint64_t rpcprof_grpc_pool_head;

/* Whether nothing is recorded: then nothing has to be looked up. One relaxed load. Who holds a
 * reference to a recorded call or its event got it after the record was taken, so cannot see the
 * count from before; see grpc_pool.c for its place in the word. */
#define GRPC_POOL_LIVE(head) ((uint32_t)((head) >> 14) & 0x3fff)
static inline bool rpcprof_grpc_pool_idle(void)
{
	return __builtin_expect(
		GRPC_POOL_LIVE(rpcprof_load_relaxed(&rpcprof_grpc_pool_head)) == 0, 1);
}

struct grpc_record *rpcprof_grpc_record_take(void); /* NULL: none left */
void rpcprof_grpc_record_give(struct grpc_record *r);

static inline bool rpcprof_grpc_is_slot(const void *tag)
{
	return (uintptr_t)tag - (uintptr_t)rpcprof_grpc_pool < sizeof(rpcprof_grpc_pool);
}

static inline struct grpc_record *rpcprof_grpc_record_of(const struct grpc_slot *slot)
{
	uintptr_t offset = (uintptr_t)slot - (uintptr_t)rpcprof_grpc_pool;

	return &rpcprof_grpc_pool[offset / sizeof(struct grpc_record)];
}

/* grpc_map.c: from the call, and from (queue, tag), to what is recorded. */
bool rpcprof_grpc_calls_insert(struct grpc_record *r); /* by r->call; false: no room */
void rpcprof_grpc_calls_remove(struct grpc_record *r);
struct grpc_record *rpcprof_grpc_calls_find(grpc_call *call);

bool rpcprof_grpc_plucks_insert(struct grpc_slot *slot); /* by slot->cq and user_tag */
void rpcprof_grpc_plucks_remove(struct grpc_slot *slot);
struct grpc_slot *rpcprof_grpc_plucks_find(grpc_completion_queue *cq, void *tag);
struct grpc_slot *rpcprof_grpc_plucks_take(grpc_completion_queue *cq, void *tag);

/* grpc_names.c: what an opaque pointer of core's stands for. */
#define GRPC_NAMES 4096 /* a power of two */
struct grpc_name {
	uintptr_t key; /* 0: free */
	uint32_t value;
};
extern struct grpc_name rpcprof_grpc_queues[GRPC_NAMES];

enum grpc_queue_kind {
	GRPC_QUEUE_UNKNOWN = 0,
	GRPC_QUEUE_NEXT = 1,
	GRPC_QUEUE_PLUCK = 2,
	GRPC_QUEUE_CALLBACK = 3
};

void rpcprof_grpc_queue_set(const grpc_completion_queue *cq, uint32_t kind);
uint32_t rpcprof_grpc_queue_kind(const grpc_completion_queue *cq);
void rpcprof_grpc_handle_set(const void *handle, uint32_t method);
uint32_t rpcprof_grpc_handle_method(const void *handle); /* 0 = not known */

/* grpc_record.c: the life of a record and of its slots. */
enum grpc_counter { NO_RECORD, NO_STAT, UNKNOWN_QUEUE, PLAIN_BATCHES, STALE, GRPC_COUNTERS };
void rpcprof_grpc_count(enum grpc_counter counter);

/* A record with one GRPC_HOLD, for a call on this queue; NULL, counted: pass it through. */
struct grpc_record *rpcprof_grpc_record_open(grpc_completion_queue *cq, bool server);
/* The record is found by its call from now on. false, counted: there was no room, and the record
 * is gone. */
bool rpcprof_grpc_record_attach(struct grpc_record *r, grpc_call *call);
void rpcprof_grpc_record_drop(struct grpc_record *r, uint32_t holds);

/* A slot, which is a hold, whose event will come out of cq; and as many others, 0 or GRPC_HOLD. *tag
 * is the user's, and then what to give to core in its place. NULL: no room. */
struct grpc_slot *rpcprof_grpc_slot_open(struct grpc_record *r, uint32_t others,
                                         grpc_completion_queue *cq, uint32_t queue_kind,
                                         enum grpc_part part, void **tag);
/* No event will come. */
void rpcprof_grpc_slot_close(struct grpc_slot *slot, uint32_t queue_kind);
/* Its event came out. false: the event is not for the user, who gets a later one of his batch. */
bool rpcprof_grpc_slot_done(struct grpc_slot *slot, int *success, void **user_tag);

/* grpc.c: a record that waits for a call, and in *tag what to tell core instead of the user's tag.
 * NULL: tell core the user's. */
struct grpc_record *rpcprof_grpc_request_open(const struct grpc_request *request,
                                              grpc_completion_queue *bound,
                                              grpc_completion_queue *notified, void **tag);

/* What a batch does: a bit for each type of operation. (Core has eight, and refuses others.) */
#define GRPC_BIT(op) (1u << ((uint32_t)(op) & 31))
#define GRPC_SENDS                                                                             \
	(GRPC_BIT(GRPC_OP_SEND_INITIAL_METADATA) | GRPC_BIT(GRPC_OP_SEND_MESSAGE) |            \
	 GRPC_BIT(GRPC_OP_SEND_CLOSE_FROM_CLIENT) | GRPC_BIT(GRPC_OP_SEND_STATUS_FROM_SERVER))

static inline uint32_t rpcprof_grpc_bits(const grpc_op *ops, size_t nops)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < nops; i++)
		bits |= GRPC_BIT(ops[i].op);
	return bits;
}

/* grpc_stages.c: as rpcprof_grpc_batch_begin_on(), for who knows the bits of the operations. */
struct rpcprof_timer rpcprof_grpc_batch_begin_bits(struct rpcprof_grpc_call *c,
                                                   struct rpcprof_grpc_batch *batch,
                                                   const grpc_op *ops, uint32_t bits);

/* The batch's slot is a hold until its event. Who starts a batch that sends needs one more, to end
 * the timer of that: its event, and those of all other batches, may be seen before core returns. */
static inline uint32_t rpcprof_grpc_start_hold(uint32_t bits)
{
	return bits & GRPC_SENDS ? GRPC_HOLD : 0;
}

/* grpc.c: starts a batch that has a slot and that hold; tag is core's. */
grpc_call_error rpcprof_grpc_batch_start(struct grpc_slot *slot, const grpc_op *ops, size_t nops,
                                         uint32_t bits, void *tag);

/* grpc_start.c: what rpcprof_grpc_start() was told; plain words, stored before the switch. */
extern struct rpcprof_grpc_config rpcprof_grpc_options;

/* grpc_split.c: one batch for a client's whole call, started as several. */
struct grpc_parts {
	struct grpc_slot *slots[4];
	void *tags[4];
};
/* Whether this batch is to be split, as the options say, and there is room to. */
bool rpcprof_grpc_split_open(struct grpc_record *r, const grpc_op *ops, size_t nops, void *tag,
                             struct grpc_parts *parts);
grpc_call_error rpcprof_grpc_split_start(const struct grpc_parts *parts, const grpc_op *ops,
                                         size_t nops);
/* On a pluck queue: waits for the parts beside the one that has the user's tag. An event other
 * than GRPC_OP_COMPLETE: one of them has not come. */
grpc_event rpcprof_grpc_split_pluck(struct grpc_slot *last, gpr_timespec deadline);

/* grpc_trace.c: the traceparent of a client's call, which the options ask for. */
bool rpcprof_grpc_trace_wanted(const struct grpc_record *r, const grpc_op *ops, size_t nops);
/* A copy of ops that sends a traceparent; the Stat has its ids. rpcprof_grpc_trace_done() it. */
struct grpc_traced {
	grpc_op ops[GRPC_BATCHES_MAX];
	grpc_metadata *metadata;
	grpc_slice value;
};
void rpcprof_grpc_trace_add(struct grpc_record *r, const grpc_op *ops, size_t nops,
                            struct grpc_traced *traced);
void rpcprof_grpc_trace_done(struct grpc_traced *traced);

#pragma GCC visibility pop
#endif
