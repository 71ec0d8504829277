/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GRPC_H
#define RPCPROF_GRPC_H

/*
 * gRPC core's own calls, recorded: put rpcprof_ before them and change nothing else, or compile with
 * grpc_wrap.h, which does that. At the start of the program: rpcprof_grpc_start(NULL).
 *
 * The stages are those of grpc_call.h; rpcprof_grpc_call_stat() gives the Stat for your own. With
 * the switch off each call goes straight through, after one relaxed load and a branch.
 *
 * The rules:
 *
 * - Queues. Calls are recorded on queues that rpcprof_grpc_completion_queue_create() or one of its
 *   siblings here made, and destroyed by rpcprof_grpc_completion_queue_destroy(). Calls on other
 *   queues (those of a library that knows nothing of rpcprof) pass through unrecorded, counted.
 * - All of it. On such a queue use the calls below for every call and every event. A recorded
 *   batch has a tag of ours inside core: whoever takes its event by core's own function sees that
 *   instead of his. A reference given back behind our back leaves its Stat unfinished.
 * - Tags are yours: never looked into; what comes back is what you gave. (On a callback queue a tag
 *   is a functor, which is run as core would.)
 * - A call's Stat lasts until its last rpcprof_grpc_call_unref() or the last of its batches to come
 *   back, whichever is later. So decode before you unref.
 * - A request that was armed while the switch was off stays unrecorded: the first calls after
 *   switching on, as many as were armed, are missing. One armed while on is recorded if the
 *   switch is on when its call comes. What has begun is finished, whatever the switch does.
 * - Up to RPCPROF_GRPC_CALLS_MAX calls and armed requests are under way at one time. More pass
 *   through unrecorded, counted.
 *
 * To stop: rpcprof_fini(), at any moment, with calls under way or not: before grpc_shutdown(), after
 * it, or from atexit(). Nothing here holds a reference of core's, nor a thread. Calls that are under
 * way are finished as they would have been, by the calls below, which go on to work.
 *
 * The two sides of a call are joined by its W3C trace context, never by metadata: trace id and span
 * id of a server's Stat are those of the `traceparent` that came, those of a client's Stat are those
 * of the `traceparent` that it sent, the program's own or, by option, ours.
 *
 * After fork() without exec() gRPC core itself is of no use in the child; nor is this.
 */
#include "rpcprof/grpc_call.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define RPCPROF_GRPC_CALLS_MAX 8192

/** What rpcprof_grpc_start() takes. Set size, leave the rest 0 for the defaults. */
struct rpcprof_grpc_config {
	size_t size;                       /* sizeof(struct rpcprof_grpc_config) */
	const struct rpcprof_config *core; /* for rpcprof_init(); NULL for its defaults */
	/* 1: a client's first batch, if it holds the whole call, goes to core as one batch for all
	 * that it sends and one for each thing it receives, so that each is a stage; you still get
	 * your one event. Costs about 2 microseconds of CPU a call. */
	uint32_t split_batches;
	/* 1: client calls send a `traceparent` if the program sends none: of the trace of the
	 * server's call that they are made for (parent_call, with
	 * GRPC_PROPAGATE_CENSUS_TRACING_CONTEXT), else of a new trace. Allocates. */
	uint32_t send_traceparent;
};

/**
 * The process records its gRPC calls from now on: rpcprof_init(), the options, and the switch.
 *
 * Once, by the application, before it makes calls. Later rpcprof_enable() is the switch.
 *
 * @param config  NULL for the defaults; copied
 * @return        0 or a negative errno
 *
 * Threads:  one, before others make calls
 * Progress: as rpcprof_init()
 * Errors:   those of rpcprof_init() but -EALREADY: its configuration then stays in force
 */
int rpcprof_grpc_start(const struct rpcprof_grpc_config *config);

/**
 * The Stat of a recorded call, for stages of your own.
 *
 * @return  borrowed: good while you hold a reference to the call; rpcprof_stat_retain() it to keep
 *          it longer. The null Stat for a call that is not recorded
 *
 * Threads:  any holder of a reference to the call
 * Progress: wait-free; allocates: never
 */
struct rpcprof_stat rpcprof_grpc_call_stat(grpc_call *call);

/**
 * A server has this method: its name is believed from the first call on (see call.h).
 *
 * After rpcprof_init(). Not needed for methods that rpcprof_grpc_server_register_method() registers
 * nor for the methods that clients call: those are the program's own.
 *
 * @param name  "/package.Service/Method"
 * @return      its tag; 0 before rpcprof_init()
 */
uint32_t rpcprof_grpc_method_declare(const char *name);

/** What could not be recorded, since the program began. */
struct rpcprof_grpc_counters {
	uint64_t under_way;      /* calls and armed requests that are recorded, now */
	uint64_t no_record;      /* calls and requests passed through: RPCPROF_GRPC_CALLS_MAX */
	uint64_t no_stat;        /* calls that came when rpcprof_stat_begin() gave the null Stat */
	uint64_t unknown_queue;  /* calls and requests on queues not made here */
	uint64_t plain_batches;  /* batches of recorded calls passed through, for want of a slot */
	uint64_t stale;          /* calls whose references were given back behind our back */
};

/** Reads the counters; each exact. */
void rpcprof_grpc_counters_get(struct rpcprof_grpc_counters *counters);

/*
 * As core's functions of the same names, for calls that are recorded.
 *
 * Threads:  as core's
 * Progress: what rpcprof adds is lock-free, and allocates only what grpc_call_get_peer() does;
 *           making and destroying queues and registering methods blocks on others who do
 */
grpc_completion_queue *rpcprof_grpc_completion_queue_create_for_next(void *reserved);
grpc_completion_queue *rpcprof_grpc_completion_queue_create_for_pluck(void *reserved);
grpc_completion_queue *rpcprof_grpc_completion_queue_create_for_callback(
	grpc_completion_queue_functor *shutdown_callback, void *reserved);
grpc_completion_queue *rpcprof_grpc_completion_queue_create(
	const grpc_completion_queue_factory *factory,
	const grpc_completion_queue_attributes *attributes, void *reserved);
void rpcprof_grpc_completion_queue_destroy(grpc_completion_queue *cq);
grpc_event rpcprof_grpc_completion_queue_next(grpc_completion_queue *cq, gpr_timespec deadline,
                                              void *reserved);
grpc_event rpcprof_grpc_completion_queue_pluck(grpc_completion_queue *cq, void *tag,
                                               gpr_timespec deadline, void *reserved);
int rpcprof_grpc_completion_queue_thread_local_cache_flush(grpc_completion_queue *cq, void **tag,
                                                           int *ok);

/* Registering by these tells us the names behind the handles; others show as "_OTHER". */
void *rpcprof_grpc_server_register_method(
	grpc_server *server, const char *method, const char *host,
	grpc_server_register_method_payload_handling payload_handling, uint32_t flags);
void *rpcprof_grpc_channel_register_call(grpc_channel *channel, const char *method,
                                         const char *host, void *reserved);

grpc_call_error rpcprof_grpc_server_request_call(grpc_server *server, grpc_call **call,
                                                 grpc_call_details *details,
                                                 grpc_metadata_array *request_metadata,
                                                 grpc_completion_queue *cq_bound_to_call,
                                                 grpc_completion_queue *cq_for_notification,
                                                 void *tag_new);
grpc_call_error rpcprof_grpc_server_request_registered_call(
	grpc_server *server, void *registered_method, grpc_call **call, gpr_timespec *deadline,
	grpc_metadata_array *request_metadata, grpc_byte_buffer **optional_payload,
	grpc_completion_queue *cq_bound_to_call, grpc_completion_queue *cq_for_notification,
	void *tag_new);

grpc_call *rpcprof_grpc_channel_create_call(grpc_channel *channel, grpc_call *parent_call,
                                            uint32_t propagation_mask,
                                            grpc_completion_queue *completion_queue,
                                            grpc_slice method, const grpc_slice *host,
                                            gpr_timespec deadline, void *reserved);
grpc_call *rpcprof_grpc_channel_create_registered_call(grpc_channel *channel,
                                                       grpc_call *parent_call,
                                                       uint32_t propagation_mask,
                                                       grpc_completion_queue *completion_queue,
                                                       void *registered_call_handle,
                                                       gpr_timespec deadline, void *reserved);

grpc_call_error rpcprof_grpc_call_start_batch(grpc_call *call, const grpc_op *ops, size_t nops,
                                              void *tag, void *reserved);
void rpcprof_grpc_call_ref(grpc_call *call);
void rpcprof_grpc_call_unref(grpc_call *call);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
