/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GRPC_WRAP_H
#define RPCPROF_GRPC_WRAP_H

/*
 * Recompile only: core's names stand for the recorded calls of grpc.h.
 *
 * For C programs. Compile all of the program's files that use core with
 *
 *     -include rpcprof/grpc_wrap.h
 *
 * or include it behind core's headers, and call rpcprof_grpc_start() at the program's start. The
 * rules of grpc.h hold: "all of it" above all.
 */
#include "rpcprof/grpc.h"

#define grpc_completion_queue_create_for_next rpcprof_grpc_completion_queue_create_for_next
#define grpc_completion_queue_create_for_pluck rpcprof_grpc_completion_queue_create_for_pluck
#define grpc_completion_queue_create_for_callback rpcprof_grpc_completion_queue_create_for_callback
#define grpc_completion_queue_create rpcprof_grpc_completion_queue_create
#define grpc_completion_queue_destroy rpcprof_grpc_completion_queue_destroy
#define grpc_completion_queue_next rpcprof_grpc_completion_queue_next
#define grpc_completion_queue_pluck rpcprof_grpc_completion_queue_pluck
#define grpc_completion_queue_thread_local_cache_flush \
	rpcprof_grpc_completion_queue_thread_local_cache_flush
#define grpc_server_register_method rpcprof_grpc_server_register_method
#define grpc_channel_register_call rpcprof_grpc_channel_register_call
#define grpc_server_request_call rpcprof_grpc_server_request_call
#define grpc_server_request_registered_call rpcprof_grpc_server_request_registered_call
#define grpc_channel_create_call rpcprof_grpc_channel_create_call
#define grpc_channel_create_registered_call rpcprof_grpc_channel_create_registered_call
#define grpc_call_start_batch rpcprof_grpc_call_start_batch
#define grpc_call_ref rpcprof_grpc_call_ref
#define grpc_call_unref rpcprof_grpc_call_unref

#endif
