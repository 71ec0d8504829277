/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From core's operations to stages.
 *
 * Threads: the batches of one call may begin and end on several threads at once. A batch is one
 * thread's at a time (B1 and B2 hand it on), so its fields are plain. The words of the call that
 * batches share (received, status, state) are relaxed atomics: each batch that stores them ends
 * before rpcprof_grpc_end(), whose caller has that order from wherever it learned that all others
 * are done; a reader in between can take a stale value for a fresh one without harm, see each.
 */
#include "rpcprof/grpc_call.h"

#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <string.h>

#include "rpc/grpc_internal.h"

/* An operation's stage has its number; and these. RECV_CLOSE_ON_SERVER has none: as a timer it would
 * swallow all others. */
enum {
	NO_STAGE = GRPC_OP_RECV_CLOSE_ON_SERVER,
	SEND_START,
	CREATE,
	STAGES
};

static const char *const stage_names[STAGES] = {
	[GRPC_OP_SEND_CLOSE_FROM_CLIENT] = "/send/close",
	[GRPC_OP_SEND_INITIAL_METADATA] = "/send/header",
	[GRPC_OP_SEND_MESSAGE] = "/send/message",
	[GRPC_OP_SEND_STATUS_FROM_SERVER] = "/send/status",
	[GRPC_OP_RECV_INITIAL_METADATA] = "/recv/header",
	[GRPC_OP_RECV_MESSAGE] = "/recv/message",
	[GRPC_OP_RECV_STATUS_ON_CLIENT] = "/recv/status",
	[SEND_START] = "/send/start_batch",
	[CREATE] = "/create",
};

/* rpcprof_grpc_call.state */
enum {
	CLIENT = 1 << 0,
	HEADER_PENDING = 1 << 1,  /* a batch that receives the header alone is under way */
	CANCELLED = 1 << 2,       /* server: by RECV_CLOSE, or a status could not be sent */
	DEADLINE_PASSED = 1 << 3, /* server: when it was cancelled */
};

#define CLOSE GRPC_BIT(GRPC_OP_SEND_CLOSE_FROM_CLIENT)
#define RECEIVES (GRPC_BIT(GRPC_OP_RECV_INITIAL_METADATA) | GRPC_BIT(GRPC_OP_RECV_MESSAGE))

static uint32_t stage_tag(uint32_t stage)
{
	static uint64_t sites[STAGES];

	return rpcprof_tag_cached(&sites[stage], RPCPROF_TAG_STAGE, stage_names[stage]);
}

static void stage_add(struct rpcprof_stat stat, uint32_t stage, uint64_t begin, uint64_t end)
{
	rpcprof_timer_add_(stat, stage_tag(stage), begin, end);
}

static bool begin(struct rpcprof_grpc_call *c, uint32_t side)
{
	c->begin = rpcprof_clock_now();
	c->received = 0;
	c->status = -1;
	c->trace.origin = RPCPROF_GRPC_TRACE_NONE;
	c->state = side == RPCPROF_TAG_CLIENT ? CLIENT : 0;
	return rpcprof_call_begin_at(&c->call, side, c->begin);
}

/* Peers look like "ipv4:127.0.0.1:58768". Unix sockets have no name to tell them apart by. */
static uint64_t peer_connection(grpc_call *call)
{
	char *peer = grpc_call_get_peer(call);
	uint64_t connection = rpcprof_call_connection(peer, strlen(peer));

	gpr_free(peer);
	return connection;
}

bool rpcprof_grpc_server_begin_on(struct rpcprof_grpc_call *c, grpc_call *call, grpc_slice *method,
                                  uint32_t declared, gpr_timespec deadline)
{
	if (!begin(c, RPCPROF_TAG_SERVER))
		return false;
	c->deadline = deadline;
	stage_add(c->call.stat, GRPC_OP_RECV_INITIAL_METADATA, c->begin, c->begin);
	if (method)
		rpcprof_call_set_method_name(&c->call, (const char *)GRPC_SLICE_START_PTR(*method),
		                             GRPC_SLICE_LENGTH(*method));
	else
		rpcprof_call_set_method(&c->call,
		                        declared ? declared : RPCPROF_TAG_UNKNOWN_METHOD);
	rpcprof_call_set_connection(&c->call, peer_connection(call));
	return true;
}

struct rpcprof_timer rpcprof_grpc_client_begin_on(struct rpcprof_grpc_call *c,
                                                  grpc_channel *channel, uint32_t method)
{
	if (!begin(c, RPCPROF_TAG_CLIENT))
		return rpcprof_timer_none_();
	rpcprof_call_set_method(&c->call, method);
	rpcprof_call_set_connection(&c->call, rpcprof_call_connection(&channel, sizeof(channel)));
	return rpcprof_timer_begin_at(c->call.stat, stage_tag(CREATE), c->begin);
}

/* The last of its operations names a batch, in the order of their numbers; but for sending's close,
 * which comes first. */
static uint32_t stage_of(uint32_t ops)
{
	uint32_t named = ops & ((GRPC_SENDS & ~CLOSE) | RECEIVES |
	                        GRPC_BIT(GRPC_OP_RECV_STATUS_ON_CLIENT));

	if (named != 0)
		return 31u - (uint32_t)__builtin_clz(named);
	return ops & CLOSE ? GRPC_OP_SEND_CLOSE_FROM_CLIENT : NO_STAGE;
}

/* The operation of a type that the batch has, by its bits. */
static const grpc_op *op_of(const grpc_op *ops, grpc_op_type type)
{
	while (GRPC_BIT(ops->op) != GRPC_BIT(type))
		ops++;
	return ops;
}

static void batch_describe(struct rpcprof_grpc_batch *batch, const grpc_op *ops, uint32_t bits)
{
	batch->ops = bits;
	batch->stage = stage_of(bits);
	batch->open = false;
	if (bits & GRPC_BIT(GRPC_OP_SEND_STATUS_FROM_SERVER))
		batch->sent_status = (int32_t)op_of(ops, GRPC_OP_SEND_STATUS_FROM_SERVER)
		                             ->data.send_status_from_server.status;
	if (bits & GRPC_BIT(GRPC_OP_RECV_STATUS_ON_CLIENT))
		batch->status = op_of(ops, GRPC_OP_RECV_STATUS_ON_CLIENT)
		                        ->data.recv_status_on_client.status;
	if (bits & GRPC_BIT(GRPC_OP_RECV_CLOSE_ON_SERVER))
		batch->cancelled = op_of(ops, GRPC_OP_RECV_CLOSE_ON_SERVER)
		                           ->data.recv_close_on_server.cancelled;
}

/* Whether a message may be waited for, by another batch, before this one's header has come. */
static bool header_comes_alone(const struct rpcprof_grpc_batch *batch)
{
	return (batch->ops & RECEIVES) == GRPC_BIT(GRPC_OP_RECV_INITIAL_METADATA);
}

/* Whether the batch's stage begins with the batch, not with the receive before it. A stale state
 * is harmless: the stage is then added when it ends, with the same begin. */
static bool begins_now(const struct rpcprof_grpc_call *c, const struct rpcprof_grpc_batch *batch)
{
	if (batch->stage == NO_STAGE || batch->stage == GRPC_OP_RECV_STATUS_ON_CLIENT)
		return false;
	return batch->stage != GRPC_OP_RECV_MESSAGE ||
	       !(rpcprof_load_relaxed(&c->state) & HEADER_PENDING);
}

/* A client's Stat has the trace context that goes out with the call. */
static void note_sent_trace(struct rpcprof_grpc_call *c, const grpc_op *ops)
{
	const grpc_op *header = op_of(ops, GRPC_OP_SEND_INITIAL_METADATA);

	rpcprof_grpc_metadata_on(c, header->data.send_initial_metadata.metadata,
	                         header->data.send_initial_metadata.count);
}

struct rpcprof_timer rpcprof_grpc_batch_begin_bits(struct rpcprof_grpc_call *c,
                                                   struct rpcprof_grpc_batch *batch,
                                                   const grpc_op *ops, uint32_t bits)
{
	uint64_t now;

	batch_describe(batch, ops, bits);
	now = batch->stage != NO_STAGE ? rpcprof_clock_now() : 0;
	if ((batch->ops & GRPC_BIT(GRPC_OP_SEND_INITIAL_METADATA)) &&
	    (rpcprof_load_relaxed(&c->state) & CLIENT)) /* relaxed: the bit never changes */
		note_sent_trace(c, ops);
	if (begins_now(c, batch)) {
		batch->timer = rpcprof_timer_begin_at(c->call.stat, stage_tag(batch->stage), now);
		batch->open = true;
	}
	/* B1 release, pairs with B2: all of the batch, for whoever gets its event. Core orders the
	 * two anyway, but does not promise to, and checkers do not see it. */
	rpcprof_store_release(&batch->begin, now);
	if (header_comes_alone(batch))
		rpcprof_or_relaxed(&c->state, (uint32_t)HEADER_PENDING);
	if (!(batch->ops & GRPC_SENDS))
		return rpcprof_timer_none_();
	return rpcprof_timer_begin_at(c->call.stat, stage_tag(SEND_START), now);
}

struct rpcprof_timer rpcprof_grpc_batch_begin_on(struct rpcprof_grpc_call *c,
                                                 struct rpcprof_grpc_batch *batch,
                                                 const grpc_op *ops, size_t nops)
{
	return rpcprof_grpc_batch_begin_bits(c, batch, ops, rpcprof_grpc_bits(ops, nops));
}

/*
 * Whether a server's call that was cancelled at `ticks` ran out of time.
 *
 * The client's clock strikes first, and the wire rounds the timeout up by as much as a
 * hundredth, so a little of the deadline may be left here: 1/64 of how long the call took, and
 * 2 ms for the way.
 */
static bool deadline_passed(const struct rpcprof_grpc_call *c, uint64_t ticks)
{
	struct rpcprof_clock_info info;
	gpr_timespec left;

	if (gpr_time_cmp(c->deadline, gpr_inf_future(c->deadline.clock_type)) == 0 ||
	    rpcprof_clock_get_info(&info) != 0)
		return false;
	left = gpr_time_sub(c->deadline, gpr_now(c->deadline.clock_type));
	return gpr_timespec_to_micros(left) / 1e6 <=
	       (double)(ticks - c->begin) / info.ticks_per_second / 64 + 0.002;
}

static void server_cancelled(struct rpcprof_grpc_call *c)
{
	uint32_t bits = CANCELLED;

	if (deadline_passed(c, rpcprof_clock_now()))
		bits |= DEADLINE_PASSED;
	rpcprof_or_relaxed(&c->state, bits);
}

/* What a batch that came back says about the call's status. */
static void note_status(struct rpcprof_grpc_call *c, const struct rpcprof_grpc_batch *batch,
                        bool success)
{
	if (batch->ops & GRPC_BIT(GRPC_OP_SEND_STATUS_FROM_SERVER)) {
		if (success)
			rpcprof_store_relaxed(&c->status, batch->sent_status);
		else
			server_cancelled(c);
	}
	if (batch->ops & GRPC_BIT(GRPC_OP_RECV_CLOSE_ON_SERVER)) {
		if (!success || (batch->cancelled && *batch->cancelled))
			server_cancelled(c);
	}
	if (batch->ops & GRPC_BIT(GRPC_OP_RECV_STATUS_ON_CLIENT) && batch->status)
		rpcprof_store_relaxed(&c->status, (int32_t)*batch->status);
}

/* Now, with which the batch's stage has ended. */
static uint64_t end_stage(struct rpcprof_grpc_call *c, const struct rpcprof_grpc_batch *batch,
                          uint64_t begin)
{
	uint64_t now = batch->open ? rpcprof_timer_end(batch->timer) : 0;
	uint64_t received;

	if (now == 0) /* there was none to end, or no more */
		now = rpcprof_clock_now();
	if (batch->open)
		return now;
	/* relaxed: stale only if that receive's tag is being looked at by another thread this very
	 * moment; the two stages then overlap by that moment */
	received = rpcprof_load_relaxed(&c->received);
	stage_add(c->call.stat, batch->stage, received > begin ? received : begin, now);
	return now;
}

void rpcprof_grpc_batch_end_on(struct rpcprof_grpc_call *c, struct rpcprof_grpc_batch *batch,
                               bool success)
{
	uint64_t begin = rpcprof_load_acquire(&batch->begin); /* B2 acquire, pairs with B1 */
	uint64_t now = batch->stage != NO_STAGE ? end_stage(c, batch, begin) : 0;

	if (header_comes_alone(batch))
		__atomic_fetch_and(&c->state, ~(uint32_t)HEADER_PENDING, __ATOMIC_RELAXED);
	if (batch->ops & RECEIVES)
		rpcprof_store_relaxed(&c->received, now);
	note_status(c, batch, success);
}

/* The stage cannot be taken back: it is left with no length. */
void rpcprof_grpc_batch_refused_on(struct rpcprof_grpc_call *c, struct rpcprof_grpc_batch *batch)
{
	(void)c;
	if (batch->open)
		rpcprof_timer_end_at(batch->timer, batch->begin);
}

void rpcprof_grpc_end_on(struct rpcprof_grpc_call *c)
{
	uint32_t state = rpcprof_load_relaxed(&c->state);
	int32_t status = rpcprof_load_relaxed(&c->status);

	if (status > GRPC_STATUS_OK || (status == GRPC_STATUS_OK && !(state & CANCELLED)))
		rpcprof_call_set_status(&c->call, status);
	else if (state & DEADLINE_PASSED)
		rpcprof_call_abort(&c->call, GRPC_STATUS_DEADLINE_EXCEEDED);
	else if (state & (CANCELLED | CLIENT))
		rpcprof_call_abort(&c->call, GRPC_STATUS_CANCELLED);
	rpcprof_call_end(&c->call);
}
