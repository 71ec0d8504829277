/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PRELOAD_CORE_INTERNAL_H
#define RPCPROF_PRELOAD_CORE_INTERNAL_H

/* gRPC core's own functions, found at run time: this library links none of them. */
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdint.h>

#include "atomic_internal.h"

/* What this library stands before, then what rpc/ needs beside. */
#define PRELOAD_CORE_FUNCTIONS(X)                                                              \
	X(grpc_completion_queue_create)                                                        \
	X(grpc_completion_queue_create_for_next)                                               \
	X(grpc_completion_queue_create_for_pluck)                                              \
	X(grpc_completion_queue_create_for_callback)                                           \
	X(grpc_completion_queue_destroy)                                                       \
	X(grpc_completion_queue_next)                                                          \
	X(grpc_completion_queue_pluck)                                                         \
	X(grpc_completion_queue_thread_local_cache_flush)                                      \
	X(grpc_server_register_method)                                                         \
	X(grpc_server_request_call)                                                            \
	X(grpc_server_request_registered_call)                                                 \
	X(grpc_channel_register_call)                                                          \
	X(grpc_channel_create_call)                                                            \
	X(grpc_channel_create_registered_call)                                                 \
	X(grpc_call_start_batch)                                                               \
	X(grpc_call_ref)                                                                       \
	X(grpc_call_unref)                                                                     \
	X(grpc_call_get_peer)                                                                  \
	X(grpc_slice_malloc)                                                                   \
	X(grpc_slice_from_static_string)                                                       \
	X(grpc_slice_unref)                                                                    \
	X(gpr_free)                                                                            \
	X(gpr_zalloc)                                                                          \
	X(gpr_inf_future)                                                                      \
	X(gpr_now)                                                                             \
	X(gpr_time_cmp)                                                                        \
	X(gpr_time_sub)                                                                        \
	X(gpr_timespec_to_micros)

struct preload_core {
#define X(name) __typeof__(name) *name;
	PRELOAD_CORE_FUNCTIONS(X)
#undef X
	uint32_t found; /* stored last */
};
extern struct preload_core preload_core;

/* Aborts with a message if there is no core, which cannot be: somebody called it. */
void preload_core_find(void);

/* Before the first use in each function that a program may call: constructors of other libraries
 * may run before ours, and core may be loaded by dlopen(). */
static inline void preload_core_need(void)
{
	/* F1 acquire, pairs with F2: the table before the word. */
	if (__builtin_expect(!rpcprof_load_acquire(&preload_core.found), 0))
		preload_core_find();
}

/* The next definition of a symbol behind ours; NULL if there is none. */
void *preload_next(const char *symbol);

#endif
