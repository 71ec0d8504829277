/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC core's calls, recorded; grpc_queue.c has those of queues.
 *
 * Each asks one word whether there is anything of ours, and if not goes on to core by a jump.
 */
#include "rpcprof/grpc.h"

#include "rpc/grpc_internal.h"

uint32_t rpcprof_grpc_method_declare(const char *name)
{
	return rpcprof_call_declare_method(name, (size_t)-1);
}

/* The record of a call that its asker holds a reference to; NULL if it is not recorded. */
static struct grpc_record *record_of(grpc_call *call)
{
	return rpcprof_grpc_pool_idle() ? NULL : rpcprof_grpc_calls_find(call);
}

struct rpcprof_stat rpcprof_grpc_call_stat(grpc_call *call)
{
	struct grpc_record *r = record_of(call);

	return r ? rpcprof_grpc_stat(&r->c) : rpcprof_stat_none_();
}

/* Servers. */

void *rpcprof_grpc_server_register_method(
	grpc_server *server, const char *method, const char *host,
	grpc_server_register_method_payload_handling payload_handling, uint32_t flags)
{
	void *handle = grpc_server_register_method(server, method, host, payload_handling, flags);

	rpcprof_grpc_handle_set(handle, rpcprof_grpc_method_declare(method));
	return handle;
}

struct grpc_record *rpcprof_grpc_request_open(const struct grpc_request *request,
                                              grpc_completion_queue *bound,
                                              grpc_completion_queue *notified, void **tag)
{
	uint32_t kind = rpcprof_grpc_queue_kind(notified);
	struct grpc_record *r;

	if (kind == GRPC_QUEUE_UNKNOWN) {
		rpcprof_grpc_count(UNKNOWN_QUEUE);
		return NULL;
	}
	r = rpcprof_grpc_record_open(bound, true);
	if (!r)
		return NULL;
	r->request = *request;
	if (rpcprof_grpc_slot_open(r, 0, notified, kind, GRPC_WHOLE, tag))
		return r;
	rpcprof_grpc_count(NO_RECORD);
	rpcprof_grpc_record_drop(r, GRPC_HOLD);
	return NULL;
}

static void request_refused(struct grpc_record *r)
{
	rpcprof_grpc_slot_close(&r->slots[0], rpcprof_grpc_queue_kind(r->slots[0].cq));
	rpcprof_grpc_record_drop(r, GRPC_HOLD);
}

RECORDED_WAY grpc_call_error request_recorded(grpc_server *server, grpc_call **call,
                                              grpc_call_details *details,
                                              grpc_metadata_array *request_metadata,
                                              grpc_completion_queue *cq_bound_to_call,
                                              grpc_completion_queue *cq_for_notification,
                                              void *tag_new)
{
	const struct grpc_request request = { .call = call,
		                              .metadata = request_metadata,
		                              .details = details };
	struct grpc_record *r;
	grpc_call_error error;

	r = rpcprof_grpc_request_open(&request, cq_bound_to_call, cq_for_notification, &tag_new);
	error = grpc_server_request_call(server, call, details, request_metadata, cq_bound_to_call,
	                                 cq_for_notification, tag_new);
	if (r && error != GRPC_CALL_OK)
		request_refused(r);
	return error;
}

grpc_call_error rpcprof_grpc_server_request_call(grpc_server *server, grpc_call **call,
                                                 grpc_call_details *details,
                                                 grpc_metadata_array *request_metadata,
                                                 grpc_completion_queue *cq_bound_to_call,
                                                 grpc_completion_queue *cq_for_notification,
                                                 void *tag_new)
{
	if (!rpcprof_enabled())
		return grpc_server_request_call(server, call, details, request_metadata,
		                                cq_bound_to_call, cq_for_notification, tag_new);
	return request_recorded(server, call, details, request_metadata, cq_bound_to_call,
	                        cq_for_notification, tag_new);
}

RECORDED_WAY grpc_call_error request_registered_recorded(grpc_server *server,
                                                         void *registered_method,
                                                         grpc_call **call, gpr_timespec *deadline,
                                                         grpc_metadata_array *request_metadata,
                                                         grpc_byte_buffer **optional_payload,
                                                         grpc_completion_queue *cq_bound_to_call,
                                                         grpc_completion_queue *cq_for_notification,
                                                         void *tag_new)
{
	const struct grpc_request request = {
		.call = call,
		.metadata = request_metadata,
		.deadline = deadline,
		.method = rpcprof_grpc_handle_method(registered_method),
	};
	struct grpc_record *r;
	grpc_call_error error;

	r = rpcprof_grpc_request_open(&request, cq_bound_to_call, cq_for_notification, &tag_new);
	error = grpc_server_request_registered_call(server, registered_method, call, deadline,
	                                            request_metadata, optional_payload,
	                                            cq_bound_to_call, cq_for_notification,
	                                            tag_new);
	if (r && error != GRPC_CALL_OK)
		request_refused(r);
	return error;
}

grpc_call_error rpcprof_grpc_server_request_registered_call(grpc_server *server,
                                                            void *registered_method,
                                                            grpc_call **call,
                                                            gpr_timespec *deadline,
                                                            grpc_metadata_array *request_metadata,
                                                            grpc_byte_buffer **optional_payload,
                                                            grpc_completion_queue *cq_bound_to_call,
                                                            grpc_completion_queue *cq_for_notification,
                                                            void *tag_new)
{
	if (!rpcprof_enabled())
		return grpc_server_request_registered_call(server, registered_method, call,
		                                           deadline, request_metadata,
		                                           optional_payload, cq_bound_to_call,
		                                           cq_for_notification, tag_new);
	return request_registered_recorded(server, registered_method, call, deadline,
	                                   request_metadata, optional_payload, cq_bound_to_call,
	                                   cq_for_notification, tag_new);
}

/* Clients. */

void *rpcprof_grpc_channel_register_call(grpc_channel *channel, const char *method,
                                         const char *host, void *reserved)
{
	void *handle = grpc_channel_register_call(channel, method, host, reserved);

	rpcprof_grpc_handle_set(handle, rpcprof_grpc_method_declare(method));
	return handle;
}

/* A record whose Stat has begun, and the timer of "/create"; NULL: pass through. */
static struct grpc_record *client_open(grpc_channel *channel, grpc_completion_queue *cq,
                                       uint32_t method, struct rpcprof_timer *create)
{
	struct grpc_record *r = rpcprof_grpc_record_open(cq, false);

	if (!r)
		return NULL;
	*create = rpcprof_grpc_client_begin(&r->c, channel, method);
	if (!rpcprof_stat_is_null(rpcprof_grpc_stat(&r->c)))
		return r;
	rpcprof_grpc_count(NO_STAT);
	rpcprof_grpc_record_drop(r, GRPC_HOLD);
	return NULL;
}

/* A call made for another that is served here belongs to its trace, if it says so. */
static void client_inherit(struct grpc_record *r, grpc_call *parent_call, uint32_t propagation_mask)
{
	struct grpc_record *parent = NULL;

	if (parent_call && (propagation_mask & GRPC_PROPAGATE_CENSUS_TRACING_CONTEXT))
		parent = record_of(parent_call);
	if (!parent || parent->c.trace.origin == RPCPROF_GRPC_TRACE_NONE)
		return;
	r->c.trace = parent->c.trace;
	r->c.trace.origin = RPCPROF_GRPC_TRACE_PARENT;
}

static void client_created(struct grpc_record *r, grpc_call *call, struct rpcprof_timer create)
{
	rpcprof_timer_end(create);
	if (call) {
		rpcprof_grpc_record_attach(r, call);
	} else {
		rpcprof_call_discard(&r->c.call);
		rpcprof_grpc_record_drop(r, GRPC_HOLD);
	}
}

RECORDED_WAY grpc_call *create_recorded(grpc_channel *channel, grpc_call *parent_call,
                                        uint32_t propagation_mask,
                                        grpc_completion_queue *completion_queue,
                                        grpc_slice method, const grpc_slice *host,
                                        gpr_timespec deadline, void *reserved)
{
	struct rpcprof_timer create;
	struct grpc_record *r;
	grpc_call *call;

	/* The program's own choice of name, not a stranger's: believed at once. */
	r = client_open(channel, completion_queue,
	                rpcprof_call_declare_method((const char *)GRPC_SLICE_START_PTR(method),
	                                            GRPC_SLICE_LENGTH(method)),
	                &create);
	if (r)
		client_inherit(r, parent_call, propagation_mask);
	call = grpc_channel_create_call(channel, parent_call, propagation_mask, completion_queue,
	                                method, host, deadline, reserved);
	if (r)
		client_created(r, call, create);
	return call;
}

grpc_call *rpcprof_grpc_channel_create_call(grpc_channel *channel, grpc_call *parent_call,
                                            uint32_t propagation_mask,
                                            grpc_completion_queue *completion_queue,
                                            grpc_slice method, const grpc_slice *host,
                                            gpr_timespec deadline, void *reserved)
{
	if (!rpcprof_enabled())
		return grpc_channel_create_call(channel, parent_call, propagation_mask,
		                                completion_queue, method, host, deadline, reserved);
	return create_recorded(channel, parent_call, propagation_mask, completion_queue, method,
	                       host, deadline, reserved);
}

RECORDED_WAY grpc_call *create_registered_recorded(grpc_channel *channel, grpc_call *parent_call,
                                                   uint32_t propagation_mask,
                                                   grpc_completion_queue *completion_queue,
                                                   void *registered_call_handle,
                                                   gpr_timespec deadline, void *reserved)
{
	struct rpcprof_timer create;
	struct grpc_record *r;
	grpc_call *call;

	r = client_open(channel, completion_queue,
	                rpcprof_grpc_handle_method(registered_call_handle), &create);
	if (r)
		client_inherit(r, parent_call, propagation_mask);
	call = grpc_channel_create_registered_call(channel, parent_call, propagation_mask,
	                                           completion_queue, registered_call_handle,
	                                           deadline, reserved);
	if (r)
		client_created(r, call, create);
	return call;
}

grpc_call *rpcprof_grpc_channel_create_registered_call(grpc_channel *channel,
                                                       grpc_call *parent_call,
                                                       uint32_t propagation_mask,
                                                       grpc_completion_queue *completion_queue,
                                                       void *registered_call_handle,
                                                       gpr_timespec deadline, void *reserved)
{
	if (!rpcprof_enabled())
		return grpc_channel_create_registered_call(channel, parent_call, propagation_mask,
		                                           completion_queue,
		                                           registered_call_handle, deadline,
		                                           reserved);
	return create_registered_recorded(channel, parent_call, propagation_mask,
	                                  completion_queue, registered_call_handle, deadline,
	                                  reserved);
}

/* Calls. */

grpc_call_error rpcprof_grpc_batch_start(struct grpc_slot *slot, const grpc_op *ops, size_t nops,
                                         uint32_t bits, void *tag)
{
	struct grpc_record *r = rpcprof_grpc_record_of(slot);
	struct rpcprof_timer timer;
	grpc_call_error error;

	rpcprof_store_relaxed(&r->begun, 1u); /* relaxed: read for the first batch only */
	timer = rpcprof_grpc_batch_begin_bits(&r->c, &slot->batch, ops, bits);
	error = grpc_call_start_batch(r->call, ops, nops, tag, NULL);
	rpcprof_timer_end(timer);
	if (error != GRPC_CALL_OK) {
		rpcprof_grpc_batch_refused(&r->c, &slot->batch);
		rpcprof_grpc_slot_close(slot, r->queue_kind);
	}
	if (rpcprof_grpc_start_hold(bits) != 0)
		rpcprof_grpc_record_drop(r, GRPC_HOLD);
	return error;
}

static grpc_call_error start_recorded(struct grpc_record *r, const grpc_op *ops, size_t nops,
                                      void *tag)
{
	uint32_t bits = rpcprof_grpc_bits(ops, nops);
	struct grpc_parts parts;
	struct grpc_slot *slot;

	if (rpcprof_grpc_options.split_batches && rpcprof_grpc_split_open(r, ops, nops, tag, &parts))
		return rpcprof_grpc_split_start(&parts, ops, nops);
	slot = rpcprof_grpc_slot_open(r, rpcprof_grpc_start_hold(bits), r->cq, r->queue_kind,
	                              GRPC_WHOLE, &tag);
	if (slot)
		return rpcprof_grpc_batch_start(slot, ops, nops, bits, tag);
	rpcprof_grpc_count(PLAIN_BATCHES);
	return grpc_call_start_batch(r->call, ops, nops, tag, NULL);
}

static grpc_call_error start_traced(struct grpc_record *r, const grpc_op *ops, size_t nops,
                                    void *tag)
{
	struct grpc_traced traced;
	grpc_call_error error;

	rpcprof_grpc_trace_add(r, ops, nops, &traced);
	error = start_recorded(r, traced.ops, nops, tag);
	rpcprof_grpc_trace_done(&traced);
	return error;
}

RECORDED_WAY grpc_call_error start_looked_up(grpc_call *call, const grpc_op *ops, size_t nops,
                                             void *tag, void *reserved)
{
	struct grpc_record *r = rpcprof_grpc_calls_find(call);

	/* An empty batch takes no time; core takes any number of them. What is reserved is refused. */
	if (!r || nops == 0 || reserved)
		return grpc_call_start_batch(call, ops, nops, tag, reserved);
	if (rpcprof_grpc_options.send_traceparent && rpcprof_grpc_trace_wanted(r, ops, nops))
		return start_traced(r, ops, nops, tag);
	return start_recorded(r, ops, nops, tag);
}

grpc_call_error rpcprof_grpc_call_start_batch(grpc_call *call, const grpc_op *ops, size_t nops,
                                              void *tag, void *reserved)
{
	if (rpcprof_grpc_pool_idle())
		return grpc_call_start_batch(call, ops, nops, tag, reserved);
	return start_looked_up(call, ops, nops, tag, reserved);
}

void rpcprof_grpc_call_ref(grpc_call *call)
{
	struct grpc_record *r = record_of(call);

	if (r)
		rpcprof_add_relaxed(&r->user_refs, 1u);
	grpc_call_ref(call);
}

/* The record goes before the call does: the address may be another call's the moment core returns.
 */
RECORDED_WAY void unref_looked_up(grpc_call *call)
{
	struct grpc_record *r = rpcprof_grpc_calls_find(call);

	/* U1 acq_rel, pairs with itself: who removes it sees that all others are done with it. U2
	 * acquire, pairs with U1: whose reference is the only one is the only one to count. */
	if (r && (rpcprof_load_acquire(&r->user_refs) == 1 ||
	          __atomic_fetch_sub(&r->user_refs, 1u, __ATOMIC_ACQ_REL) == 1)) {
		rpcprof_grpc_calls_remove(r);
		rpcprof_grpc_record_drop(r, GRPC_HOLD);
	}
	grpc_call_unref(call);
}

void rpcprof_grpc_call_unref(grpc_call *call)
{
	if (rpcprof_grpc_pool_idle())
		grpc_call_unref(call);
	else
		unref_looked_up(call);
}
