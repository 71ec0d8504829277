/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of C++ synchronous and callback servers. libgrpc++ asks for them not by
 * grpc_server_request_call() but by two C++ functions of core's, which take an allocator, a
 * std::function, that core runs for each call that comes. What it returns is what a request is
 * made of, so we put an allocator of ours around it.
 *
 * It rests on two layouts that are not promised, but have been the same since 1.33 (2020) and GCC 5:
 * the structs below, and libstdc++'s std::function. They are part of the functions' mangled names
 * only by name. With another standard library, or where a newer core has changed a signature, the
 * names differ, these are never called, and such calls are not seen.
 */
#include <stdlib.h>
#include <string.h>

#include "preload/core_internal.h"
#include "rpc/grpc_internal.h"

/* grpc_core::Server::RegisteredCallAllocation */
struct registered_allocation {
	void *tag;
	grpc_call **call;
	grpc_metadata_array *metadata;
	gpr_timespec *deadline;
	grpc_byte_buffer **payload;
	grpc_completion_queue *cq;
};

/* grpc_core::Server::BatchCallAllocation */
struct batch_allocation {
	void *tag;
	grpc_call **call;
	grpc_metadata_array *metadata;
	grpc_call_details *details;
	grpc_completion_queue *cq;
};

enum manage { TYPE_INFO, FUNCTOR, CLONE, DESTROY };

/* std::function */
struct function {
	void *functor[2];
	bool (*manager)(void **to, void *const *from, enum manage what);
	void (*invoker)(void); /* by its result, see below */
};

/* What our functor points at. */
struct allocator {
	struct function user;
	grpc_completion_queue *notified;
	uint32_t method;
	unsigned copies; /* std::function copies; core makes none beside its own */
};

static bool manager(void **to, void *const *from, enum manage what)
{
	struct allocator *allocator = from ? from[0] : NULL;

	switch (what) {
	case TYPE_INFO:
		to[0] = NULL;
		break;
	case FUNCTOR:
		to[0] = (void *)(uintptr_t)from;
		break;
	case CLONE:
		__atomic_add_fetch(&allocator->copies, 1, __ATOMIC_RELAXED);
		to[0] = allocator;
		break;
	case DESTROY:
		allocator = to[0];
		/* D1 acq_rel, pairs with itself: whoever destroys the last copy is after the others. */
		if (__atomic_sub_fetch(&allocator->copies, 1, __ATOMIC_ACQ_REL) != 0)
			break;
		allocator->user.manager(allocator->user.functor, allocator->user.functor, DESTROY);
		free(allocator);
	}
	return false;
}

static struct registered_allocation allocate_registered(void *const *functor)
{
	struct allocator *a = functor[0];
	struct registered_allocation (*invoke)(void *const *) =
		(struct registered_allocation (*)(void *const *))a->user.invoker;
	struct registered_allocation got = invoke(a->user.functor);
	const struct grpc_request request = { .call = got.call, .metadata = got.metadata,
		                              .deadline = got.deadline, .method = a->method };

	if (rpcprof_enabled())
		rpcprof_grpc_request_open(&request, got.cq, a->notified, &got.tag);
	return got;
}

static struct batch_allocation allocate_batch(void *const *functor)
{
	struct allocator *a = functor[0];
	struct batch_allocation (*invoke)(void *const *) =
		(struct batch_allocation (*)(void *const *))a->user.invoker;
	struct batch_allocation got = invoke(a->user.functor);
	const struct grpc_request request = { .call = got.call, .metadata = got.metadata,
		                              .details = got.details };

	if (rpcprof_enabled())
		rpcprof_grpc_request_open(&request, got.cq, a->notified, &got.tag);
	return got;
}

/* Moves the user's function into ours, as a move of std::function does. false: out of memory; it
 * stays as it is. */
static bool around(struct function *ours, struct function *user, grpc_completion_queue *notified,
                   uint32_t method, void (*invoker)(void))
{
	struct allocator *a = user->manager ? malloc(sizeof(*a)) : NULL;

	if (!a)
		return false;
	a->user = *user;
	a->notified = notified;
	a->method = method;
	a->copies = 1;
	user->manager = NULL;
	user->invoker = NULL;
	memset(ours, 0, sizeof(*ours));
	ours->functor[0] = a;
	ours->manager = manager;
	ours->invoker = invoker;
	return true;
}

/* What core has not moved away is ours to destroy. */
static void function_destroy(struct function *f)
{
	if (f->manager)
		f->manager(f->functor, f->functor, DESTROY);
}

#define REGISTERED                                                                             \
	"_ZN9grpc_core6Server28SetRegisteredMethodAllocatorEP21grpc_completion_queuePv"        \
	"St8functionIFNS0_24RegisteredCallAllocationEvEE"
#define BATCH                                                                                  \
	"_ZN9grpc_core6Server23SetBatchMethodAllocatorEP21grpc_completion_queue"               \
	"St8functionIFNS0_19BatchCallAllocationEvEE"

typedef void set_registered(void *server, grpc_completion_queue *cq, void *handle,
                            struct function *allocator);
typedef void set_batch(void *server, grpc_completion_queue *cq, struct function *allocator);

set_registered preload_set_registered __asm__(REGISTERED);
set_batch preload_set_batch __asm__(BATCH);

/* A method is registered before it gets its allocator: so its name is known. */
void preload_set_registered(void *server, grpc_completion_queue *cq, void *handle,
                            struct function *allocator)
{
	set_registered *next = (set_registered *)(uintptr_t)preload_next(REGISTERED);
	uint32_t method = rpcprof_grpc_handle_method(handle);
	struct function ours;

	preload_core_need();
	if (!around(&ours, allocator, cq, method, (void (*)(void))allocate_registered)) {
		next(server, cq, handle, allocator);
		return;
	}
	next(server, cq, handle, &ours);
	function_destroy(&ours);
}

void preload_set_batch(void *server, grpc_completion_queue *cq, struct function *allocator)
{
	set_batch *next = (set_batch *)(uintptr_t)preload_next(BATCH);
	struct function ours;

	preload_core_need();
	if (!around(&ours, allocator, cq, 0, (void (*)(void))allocate_batch)) {
		next(server, cq, allocator);
		return;
	}
	next(server, cq, &ours);
	function_destroy(&ours);
}
