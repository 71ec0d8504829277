/* SPDX-License-Identifier: Apache-2.0 */
/* The W3C trace context of a call (trace.h) in the metadata of gRPC core. */
#include <grpc/support/alloc.h>
#include <string.h>

#include "rpc/grpc_internal.h"

#define NAME "traceparent"

static bool named_traceparent(grpc_slice key)
{
	return GRPC_SLICE_LENGTH(key) == strlen(NAME) &&
	       memcmp(GRPC_SLICE_START_PTR(key), NAME, strlen(NAME)) == 0;
}

void rpcprof_grpc_metadata_on(struct rpcprof_grpc_call *c, const grpc_metadata *metadata,
                              size_t count)
{
	struct rpcprof_trace trace;

	for (size_t i = 0; i < count; i++) {
		if (!named_traceparent(metadata[i].key))
			continue;
		if (rpcprof_trace_parse(&trace,
		                        (const char *)GRPC_SLICE_START_PTR(metadata[i].value),
		                        GRPC_SLICE_LENGTH(metadata[i].value))) {
			c->trace.context = trace;
			c->trace.origin = RPCPROF_GRPC_TRACE_OWN;
			rpcprof_stat_set_trace(c->call.stat, trace.trace_id, trace.span_id);
		}
		return;
	}
}

/* Of the trace of the call that this one is made for, if there is one. */
static grpc_slice begin(struct rpcprof_grpc_trace *trace)
{
	grpc_slice text = grpc_slice_malloc(RPCPROF_TRACEPARENT_BYTES);

	rpcprof_trace_begin(&trace->context, trace->origin != RPCPROF_GRPC_TRACE_NONE
	                                             ? &trace->context
	                                             : NULL);
	trace->origin = RPCPROF_GRPC_TRACE_OWN;
	rpcprof_trace_format(&trace->context, (char *)GRPC_SLICE_START_PTR(text));
	return text;
}

static const grpc_op *client_header(const grpc_op *ops, size_t nops)
{
	for (size_t i = 0; i < nops; i++)
		if (ops[i].op == GRPC_OP_SEND_INITIAL_METADATA)
			return &ops[i];
	return NULL;
}

bool rpcprof_grpc_trace_wanted(const struct grpc_record *r, const grpc_op *ops, size_t nops)
{
	const grpc_op *header;

	if (r->server || nops > GRPC_BATCHES_MAX)
		return false;
	header = client_header(ops, nops);
	if (!header)
		return false;
	for (size_t i = 0; i < header->data.send_initial_metadata.count; i++)
		if (named_traceparent(header->data.send_initial_metadata.metadata[i].key))
			return false; /* the program's own goes out; see rpcprof_grpc_metadata_on() */
	return true;
}

/* The ids reach the Stat as those of a program's own do: by the batch. */
void rpcprof_grpc_trace_add(struct grpc_record *r, const grpc_op *ops, size_t nops,
                            struct grpc_traced *traced)
{
	grpc_op *header;
	size_t count;

	memcpy(traced->ops, ops, nops * sizeof(*ops));
	header = (grpc_op *)(uintptr_t)client_header(traced->ops, nops);
	count = header->data.send_initial_metadata.count;
	traced->metadata = gpr_zalloc((count + 1) * sizeof(*traced->metadata));
	if (count > 0)
		memcpy(traced->metadata, header->data.send_initial_metadata.metadata,
		       count * sizeof(*traced->metadata));
	traced->value = begin(&r->c.trace);
	traced->metadata[count].key = grpc_slice_from_static_string(NAME);
	traced->metadata[count].value = traced->value;
	header->data.send_initial_metadata.metadata = traced->metadata;
	header->data.send_initial_metadata.count = count + 1;
}

/* Core has taken its own references by the time that start_batch returns. */
void rpcprof_grpc_trace_done(struct grpc_traced *traced)
{
	grpc_slice_unref(traced->value);
	gpr_free(traced->metadata);
}
