/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GRPC_CALL_H
#define RPCPROF_GRPC_CALL_H

/*
 * Calls on gRPC core, for programs that have a struct per call: embed ours in it, and say what
 * you are about to do and what came back. (grpc.h does the same behind core's own calls.)
 *
 *     server                                          client
 *     tag of grpc_server_request_call came back:      timer = rpcprof_grpc_client_begin(...)
 *         rpcprof_grpc_server_begin(...)              grpc_channel_create_call(...)
 *         rpcprof_grpc_server_metadata(...)           rpcprof_timer_end(timer)
 *     for each batch, either side:
 *         timer = rpcprof_grpc_batch_begin(call, batch, ops, nops)
 *         grpc_call_start_batch(...)
 *         rpcprof_timer_end(timer)
 *         ... its tag came back:  rpcprof_grpc_batch_end(call, batch, event.success)
 *     done with the call:  rpcprof_grpc_end(call)
 *
 * What is recorded, by these names:
 *
 *     /recv/header        server: an instant, the begin of the Stat: the earliest that core lets
 *                         anyone see of a call. Client: network and server
 *     /recv/message       each message
 *     /recv/status        client: from the last header or message on
 *     /send/header, /send/message, /send/status, /send/close
 *                         until accepted by transport and flow control, not "on the wire"
 *     /send/start_batch   how long grpc_call_start_batch() itself took, for batches that send. On
 *                         core 1.51 that includes writing to the socket; on later ones it may not
 *     /create             client: grpc_channel_create_call()
 *
 * and by you, on rpcprof_grpc_stat(): /decode, /handler, /encode, /queue.
 *
 * Operations that share a batch cannot be told apart: the batch is one timer, named for that one
 * of its operations which comes last in the order: send close, header, message, status; receive
 * header, message, status. A receive that is started early begins when the one before it has come:
 * time is not counted in two waits. GRPC_OP_RECV_CLOSE_ON_SERVER is no timer; it tells whether the
 * call was cancelled. Start it at the beginning of the call, in a batch of its own.
 *
 * Streams are the same operations again, one timer each.
 */
#include <grpc/grpc.h>

#include "rpcprof/call.h"
#include "rpcprof/timer.h"
#include "rpcprof/trace.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Where a call's trace context comes from. */
enum rpcprof_grpc_trace_origin {
	RPCPROF_GRPC_TRACE_NONE,
	RPCPROF_GRPC_TRACE_OWN,   /* a traceparent that came or went with the call */
	RPCPROF_GRPC_TRACE_PARENT /* that of the call this one is made for; nothing is sent yet */
};

struct rpcprof_grpc_trace {
	struct rpcprof_trace context;
	uint8_t origin; /* enum rpcprof_grpc_trace_origin */
};

/** One call. Embed it; need not be zeroed. Its fields are the library's. */
struct rpcprof_grpc_call {
	struct rpcprof_call call;
	uint64_t begin;    /* ticks */
	uint64_t received; /* ticks of the latest header or message received */
	gpr_timespec deadline;
	int32_t status;    /* sent (server) or received (client); -1 = none */
	uint32_t state;    /* see grpc_stages.c */
	struct rpcprof_grpc_trace trace;
};

/** One batch that is under way: embed it in what you use as its tag. At most six at a time per
 * call: core takes no more. */
struct rpcprof_grpc_batch {
	struct rpcprof_timer timer;
	uint64_t begin; /* ticks */
	uint32_t stage;
	uint32_t ops; /* 1 << grpc_op_type */
	int32_t sent_status;
	bool open; /* timer runs */
	const grpc_status_code *status; /* borrowed from the op until the tag comes back */
	const int *cancelled;           /* likewise */
};

/* The ways of the functions below for a call that is recorded. */
bool rpcprof_grpc_server_begin_on(struct rpcprof_grpc_call *c, grpc_call *call, grpc_slice *method,
                                  uint32_t declared, gpr_timespec deadline);
struct rpcprof_timer rpcprof_grpc_client_begin_on(struct rpcprof_grpc_call *c,
                                                  grpc_channel *channel, uint32_t method);
void rpcprof_grpc_metadata_on(struct rpcprof_grpc_call *c, const grpc_metadata *metadata,
                              size_t count);
struct rpcprof_timer rpcprof_grpc_batch_begin_on(struct rpcprof_grpc_call *c,
                                                 struct rpcprof_grpc_batch *batch,
                                                 const grpc_op *ops, size_t nops);
void rpcprof_grpc_batch_end_on(struct rpcprof_grpc_call *c, struct rpcprof_grpc_batch *batch,
                               bool success);
void rpcprof_grpc_batch_refused_on(struct rpcprof_grpc_call *c, struct rpcprof_grpc_batch *batch);
void rpcprof_grpc_end_on(struct rpcprof_grpc_call *c);

/** The Stat to put your own stages on; borrowed, good until rpcprof_grpc_end(). */
static inline struct rpcprof_stat rpcprof_grpc_stat(const struct rpcprof_grpc_call *c)
{
	return c->call.stat;
}

/**
 * A server's call has come: the tag of grpc_server_request_call() is back, with success.
 *
 * @param c        yours; borrowed until rpcprof_grpc_end()
 * @param call     borrowed for the call: asked for its peer, whose hash is the connection id
 * @param details  borrowed for the call: method and deadline
 * @return         whether the call is recorded. If not, every other function accepts it and does
 *                 nothing
 *
 * Threads:  any
 * Progress: lock-free; allocates: what grpc_call_get_peer() does
 */
static inline bool rpcprof_grpc_server_begin(struct rpcprof_grpc_call *c, grpc_call *call,
                                             grpc_call_details *details)
{
	if (__builtin_expect(!rpcprof_enabled(), 1)) {
		c->call.stat = rpcprof_stat_none_();
		return false;
	}
	return rpcprof_grpc_server_begin_on(c, call, &details->method, 0, details->deadline);
}

/** As rpcprof_grpc_server_begin(), for grpc_server_request_registered_call().
 *
 * @param method  from rpcprof_call_declare_method()
 */
static inline bool rpcprof_grpc_server_begin_registered(struct rpcprof_grpc_call *c,
                                                        grpc_call *call, uint32_t method,
                                                        gpr_timespec deadline)
{
	if (__builtin_expect(!rpcprof_enabled(), 1)) {
		c->call.stat = rpcprof_stat_none_();
		return false;
	}
	return rpcprof_grpc_server_begin_on(c, call, NULL, method, deadline);
}

/**
 * The metadata that came with the call: if there is a W3C `traceparent`, the Stat has its trace id
 * and its span id, which are those of the client's Stat.
 *
 * Behind rpcprof_grpc_server_begin(). A client's Stat has the ids of the `traceparent` that it
 * sends, by rpcprof_grpc_batch_begin(): so trace id and span id together join the two sides.
 *
 * @param metadata  what core filled in; borrowed for the call
 *
 * Threads:  any
 * Progress: lock-free; allocates: never
 * Errors:   one that is not as https://www.w3.org/TR/trace-context/ says is ignored
 */
static inline void rpcprof_grpc_server_metadata(struct rpcprof_grpc_call *c,
                                                const grpc_metadata_array *metadata)
{
	if (__builtin_expect(!rpcprof_stat_is_null(c->call.stat), 0))
		rpcprof_grpc_metadata_on(c, metadata->metadata, metadata->count);
}

/**
 * A client is about to create a call.
 *
 * @param c        yours; borrowed until rpcprof_grpc_end()
 * @param channel  not used but for its address, which is the connection id: core does not tell
 *                 which connection a call takes
 * @param method   from rpcprof_call_declare_method()
 * @return         the timer of "/create": rpcprof_timer_end() it when the call is created
 *
 * Threads:  any
 * Progress: lock-free; allocates: never
 */
static inline struct rpcprof_timer rpcprof_grpc_client_begin(struct rpcprof_grpc_call *c,
                                                             grpc_channel *channel,
                                                             uint32_t method)
{
	if (__builtin_expect(!rpcprof_enabled(), 1)) {
		c->call.stat = rpcprof_stat_none_();
		return rpcprof_timer_none_();
	}
	return rpcprof_grpc_client_begin_on(c, channel, method);
}

/**
 * A batch is about to be started.
 *
 * @param batch  yours; borrowed until rpcprof_grpc_batch_end() or _refused(); need not be zeroed
 * @param ops    as for grpc_call_start_batch(): where they point must stay good until the tag
 *               comes back, which core asks for too
 * @return       the timer of "/send/start_batch": rpcprof_timer_end() it when
 *               grpc_call_start_batch() has returned, even if another thread has meanwhile seen
 *               the tag; null if the batch sends nothing
 *
 * Threads:  any; batches of one call may be begun and ended by different threads
 * Progress: lock-free; allocates: never
 */
static inline struct rpcprof_timer rpcprof_grpc_batch_begin(struct rpcprof_grpc_call *c,
                                                            struct rpcprof_grpc_batch *batch,
                                                            const grpc_op *ops, size_t nops)
{
	if (__builtin_expect(rpcprof_stat_is_null(c->call.stat), 1))
		return rpcprof_timer_none_();
	return rpcprof_grpc_batch_begin_on(c, batch, ops, nops);
}

/** A batch's tag came back from the completion queue. As rpcprof_grpc_batch_begin(). */
static inline void rpcprof_grpc_batch_end(struct rpcprof_grpc_call *c,
                                          struct rpcprof_grpc_batch *batch, bool success)
{
	if (__builtin_expect(!rpcprof_stat_is_null(c->call.stat), 0))
		rpcprof_grpc_batch_end_on(c, batch, success);
}

/** grpc_call_start_batch() gave an error: the batch's tag will not come back. */
static inline void rpcprof_grpc_batch_refused(struct rpcprof_grpc_call *c,
                                              struct rpcprof_grpc_batch *batch)
{
	if (__builtin_expect(!rpcprof_stat_is_null(c->call.stat), 0))
		rpcprof_grpc_batch_refused_on(c, batch);
}

/**
 * You are done with the call: no batch is under way, grpc_call_unref() is next or was. Its Stat
 * ends now, with the status.
 *
 * The status: a client's is what it received, CANCELLED if it gave the call up unanswered. A
 * server's is what it sent; but CANCELLED, or DEADLINE_EXCEEDED where the deadline had passed, if
 * RECV_CLOSE_ON_SERVER said that the call was cancelled and the server had sent nothing or OK.
 *
 * Threads:  one, after all others have done with the call
 * Progress: lock-free; allocates: never
 */
static inline void rpcprof_grpc_end(struct rpcprof_grpc_call *c)
{
	if (__builtin_expect(!rpcprof_stat_is_null(c->call.stat), 0))
		rpcprof_grpc_end_on(c);
}

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
