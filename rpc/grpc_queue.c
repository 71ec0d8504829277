/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC core's completion queues: which there are, and the events that come out of them. */
#include "rpc/grpc_internal.h"

grpc_completion_queue *rpcprof_grpc_completion_queue_create_for_next(void *reserved)
{
	grpc_completion_queue *cq = grpc_completion_queue_create_for_next(reserved);

	rpcprof_grpc_queue_set(cq, GRPC_QUEUE_NEXT);
	return cq;
}

grpc_completion_queue *rpcprof_grpc_completion_queue_create_for_pluck(void *reserved)
{
	grpc_completion_queue *cq = grpc_completion_queue_create_for_pluck(reserved);

	rpcprof_grpc_queue_set(cq, GRPC_QUEUE_PLUCK);
	return cq;
}

grpc_completion_queue *rpcprof_grpc_completion_queue_create_for_callback(
	grpc_completion_queue_functor *shutdown_callback, void *reserved)
{
	grpc_completion_queue *cq =
		grpc_completion_queue_create_for_callback(shutdown_callback, reserved);

	rpcprof_grpc_queue_set(cq, GRPC_QUEUE_CALLBACK);
	return cq;
}

grpc_completion_queue *rpcprof_grpc_completion_queue_create(
	const grpc_completion_queue_factory *factory,
	const grpc_completion_queue_attributes *attributes, void *reserved)
{
	static const uint32_t kinds[] = {
		[GRPC_CQ_NEXT] = GRPC_QUEUE_NEXT,
		[GRPC_CQ_PLUCK] = GRPC_QUEUE_PLUCK,
		[GRPC_CQ_CALLBACK] = GRPC_QUEUE_CALLBACK,
	};
	grpc_completion_queue *cq = grpc_completion_queue_create(factory, attributes, reserved);

	rpcprof_grpc_queue_set(cq, kinds[attributes->cq_completion_type]);
	return cq;
}

/* Before core's: its address may be another queue's the moment that returns. */
void rpcprof_grpc_completion_queue_destroy(grpc_completion_queue *cq)
{
	rpcprof_grpc_queue_set(cq, GRPC_QUEUE_UNKNOWN);
	grpc_completion_queue_destroy(cq);
}

/* An event of ours: what it is of the user's, or, if it is nothing of his, the next that is. */
RECORDED_WAY grpc_event next_recorded(grpc_event event, gpr_timespec deadline)
{
	/* relaxed: nobody has the slot but us, until it is done with */
	grpc_completion_queue *cq = rpcprof_load_relaxed(&((struct grpc_slot *)event.tag)->cq);

	while (!rpcprof_grpc_slot_done(event.tag, &event.success, &event.tag)) {
		event = grpc_completion_queue_next(cq, deadline, NULL);
		if (event.type != GRPC_OP_COMPLETE || !rpcprof_grpc_is_slot(event.tag))
			break;
	}
	return event;
}

grpc_event rpcprof_grpc_completion_queue_next(grpc_completion_queue *cq, gpr_timespec deadline,
                                              void *reserved)
{
	grpc_event event = grpc_completion_queue_next(cq, deadline, reserved);

	if (event.type == GRPC_OP_COMPLETE && rpcprof_grpc_is_slot(event.tag))
		return next_recorded(event, deadline);
	return event;
}

/* The slot of a split batch whose event comes under this tag. */
static struct grpc_slot *last_part(grpc_completion_queue *cq, void *tag)
{
	struct grpc_slot *slot = NULL;

	if (rpcprof_grpc_options.split_batches && !rpcprof_grpc_pool_idle())
		slot = rpcprof_grpc_plucks_find(cq, tag);
	return slot && slot->part == GRPC_LAST_PART ? slot : NULL;
}

/* The event that was plucked is ours to look at first. */
static void plucked(grpc_completion_queue *cq, grpc_event *event)
{
	struct grpc_slot *slot = rpcprof_grpc_plucks_take(cq, event->tag);

	if (!slot)
		return;
	/* Who began to pluck before the batch was started has not waited for the other parts. */
	if (slot->part == GRPC_LAST_PART)
		rpcprof_grpc_split_pluck(slot, gpr_inf_future(GPR_CLOCK_MONOTONIC));
	rpcprof_grpc_slot_done(slot, &event->success, &event->tag);
}

grpc_event rpcprof_grpc_completion_queue_pluck(grpc_completion_queue *cq, void *tag,
                                               gpr_timespec deadline, void *reserved)
{
	struct grpc_slot *last = last_part(cq, tag);
	grpc_event event;

	if (last) {
		event = rpcprof_grpc_split_pluck(last, deadline);
		if (event.type != GRPC_OP_COMPLETE)
			return event;
	}
	event = grpc_completion_queue_pluck(cq, tag, deadline, reserved);
	if (event.type == GRPC_OP_COMPLETE && !rpcprof_grpc_pool_idle())
		plucked(cq, &event);
	return event;
}

int rpcprof_grpc_completion_queue_thread_local_cache_flush(grpc_completion_queue *cq, void **tag,
                                                           int *ok)
{
	int flushed = grpc_completion_queue_thread_local_cache_flush(cq, tag, ok);

	return flushed && rpcprof_grpc_is_slot(*tag) ? rpcprof_grpc_slot_done(*tag, ok, tag) : flushed;
}
