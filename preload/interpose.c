/* SPDX-License-Identifier: Apache-2.0 */
/* Core's names, as programs find them when this library comes first: each is the recorded call of
 * rpcprof/grpc.h, which goes on to core. */
#include "preload/core_internal.h"
#include "rpcprof/grpc.h"

grpc_completion_queue *grpc_completion_queue_create_for_next(void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_completion_queue_create_for_next(reserved);
}

grpc_completion_queue *grpc_completion_queue_create_for_pluck(void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_completion_queue_create_for_pluck(reserved);
}

grpc_completion_queue *grpc_completion_queue_create_for_callback(
	grpc_completion_queue_functor *shutdown_callback, void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_completion_queue_create_for_callback(shutdown_callback, reserved);
}

grpc_completion_queue *grpc_completion_queue_create(const grpc_completion_queue_factory *factory,
                                                    const grpc_completion_queue_attributes *attributes,
                                                    void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_completion_queue_create(factory, attributes, reserved);
}

void grpc_completion_queue_destroy(grpc_completion_queue *cq)
{
	preload_core_need();
	rpcprof_grpc_completion_queue_destroy(cq);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue *cq, gpr_timespec deadline,
                                      void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_completion_queue_next(cq, deadline, reserved);
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue *cq, void *tag, gpr_timespec deadline,
                                       void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_completion_queue_pluck(cq, tag, deadline, reserved);
}

int grpc_completion_queue_thread_local_cache_flush(grpc_completion_queue *cq, void **tag, int *ok)
{
	preload_core_need();
	return rpcprof_grpc_completion_queue_thread_local_cache_flush(cq, tag, ok);
}

void *grpc_server_register_method(grpc_server *server, const char *method, const char *host,
                                  grpc_server_register_method_payload_handling payload_handling,
                                  uint32_t flags)
{
	preload_core_need();
	return rpcprof_grpc_server_register_method(server, method, host, payload_handling, flags);
}

void *grpc_channel_register_call(grpc_channel *channel, const char *method, const char *host,
                                 void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_channel_register_call(channel, method, host, reserved);
}

grpc_call_error grpc_server_request_call(grpc_server *server, grpc_call **call,
                                         grpc_call_details *details,
                                         grpc_metadata_array *request_metadata,
                                         grpc_completion_queue *cq_bound_to_call,
                                         grpc_completion_queue *cq_for_notification, void *tag_new)
{
	preload_core_need();
	return rpcprof_grpc_server_request_call(server, call, details, request_metadata,
	                                        cq_bound_to_call, cq_for_notification, tag_new);
}

grpc_call_error grpc_server_request_registered_call(grpc_server *server, void *registered_method,
                                                    grpc_call **call, gpr_timespec *deadline,
                                                    grpc_metadata_array *request_metadata,
                                                    grpc_byte_buffer **optional_payload,
                                                    grpc_completion_queue *cq_bound_to_call,
                                                    grpc_completion_queue *cq_for_notification,
                                                    void *tag_new)
{
	preload_core_need();
	return rpcprof_grpc_server_request_registered_call(server, registered_method, call,
	                                                   deadline, request_metadata,
	                                                   optional_payload, cq_bound_to_call,
	                                                   cq_for_notification, tag_new);
}

grpc_call *grpc_channel_create_call(grpc_channel *channel, grpc_call *parent_call,
                                    uint32_t propagation_mask,
                                    grpc_completion_queue *completion_queue, grpc_slice method,
                                    const grpc_slice *host, gpr_timespec deadline, void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_channel_create_call(channel, parent_call, propagation_mask,
	                                        completion_queue, method, host, deadline, reserved);
}

grpc_call *grpc_channel_create_registered_call(grpc_channel *channel, grpc_call *parent_call,
                                               uint32_t propagation_mask,
                                               grpc_completion_queue *completion_queue,
                                               void *registered_call_handle, gpr_timespec deadline,
                                               void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_channel_create_registered_call(channel, parent_call, propagation_mask,
	                                                   completion_queue, registered_call_handle,
	                                                   deadline, reserved);
}

grpc_call_error grpc_call_start_batch(grpc_call *call, const grpc_op *ops, size_t nops, void *tag,
                                      void *reserved)
{
	preload_core_need();
	return rpcprof_grpc_call_start_batch(call, ops, nops, tag, reserved);
}

void grpc_call_ref(grpc_call *call)
{
	preload_core_need();
	rpcprof_grpc_call_ref(call);
}

void grpc_call_unref(grpc_call *call)
{
	preload_core_need();
	rpcprof_grpc_call_unref(call);
}

