/* SPDX-License-Identifier: Apache-2.0 */
/* A client's call that blocks its thread: a pluck queue, and each event waited for by its tag. */
#include <rpcprof/grpc.h>
#include <stdlib.h>
#include <string.h>

#include "greeter.h"

struct blocking {
	grpc_completion_queue *queue;
	grpc_call *call;
	grpc_metadata_array header, trailer;
	grpc_status_code status;
	grpc_slice details;
};

static void batch(struct blocking *b, const grpc_op *ops, size_t nops)
{
	void *tag = b; /* one batch at a time: any tag will do */

	if (rpcprof_grpc_call_start_batch(b->call, ops, nops, tag, NULL) != GRPC_CALL_OK)
		abort(); /* batches that core does not take are a mistake in this program */
	rpcprof_grpc_completion_queue_pluck(b->queue, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC),
	                                    NULL);
}

static void send_request(struct blocking *b, unsigned count)
{
	Greeter__HelloRequest request = GREETER__HELLO_REQUEST__INIT;
	grpc_byte_buffer *message;
	grpc_op ops[3];

	request.name = (char *)"world";
	request.count = count;
	message = greeter_pack(&request.base);
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = message;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	batch(b, ops, 3);
	grpc_byte_buffer_destroy(message);
}

static void receive_header(struct blocking *b)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_INITIAL_METADATA;
	op.data.recv_initial_metadata.recv_initial_metadata = &b->header;
	batch(b, &op, 1);
}

static bool receive_reply(struct blocking *b)
{
	ProtobufCMessage *reply;
	grpc_byte_buffer *buffer = NULL;
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &buffer;
	batch(b, &op, 1);
	reply = greeter_unpack(&greeter__hello_reply__descriptor, buffer);
	grpc_byte_buffer_destroy(buffer);
	if (!reply)
		return false;
	protobuf_c_message_free_unpacked(reply, NULL);
	return true;
}

static void receive_status(struct blocking *b)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	op.data.recv_status_on_client.trailing_metadata = &b->trailer;
	op.data.recv_status_on_client.status = &b->status;
	op.data.recv_status_on_client.status_details = &b->details;
	batch(b, &op, 1);
}

static void close_call(struct blocking *b)
{
	rpcprof_grpc_call_unref(b->call);
	grpc_metadata_array_destroy(&b->header);
	grpc_metadata_array_destroy(&b->trailer);
	grpc_slice_unref(b->details);
	grpc_completion_queue_shutdown(b->queue);
	rpcprof_grpc_completion_queue_destroy(b->queue);
}

unsigned greeter_call(grpc_channel *channel, const char *method, unsigned count)
{
	gpr_timespec in_5_s = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
	                                   gpr_time_from_seconds(5, GPR_TIMESPAN));
	struct blocking b;
	unsigned replies = 0;

	memset(&b, 0, sizeof(b));
	grpc_metadata_array_init(&b.header);
	grpc_metadata_array_init(&b.trailer);
	b.details = grpc_empty_slice();
	b.queue = rpcprof_grpc_completion_queue_create_for_pluck(NULL);
	b.call = rpcprof_grpc_channel_create_call(channel, NULL, 0, b.queue,
	                                          grpc_slice_from_static_string(method), NULL,
	                                          in_5_s, NULL);
	send_request(&b, count);
	receive_header(&b);
	while (receive_reply(&b))
		replies++;
	receive_status(&b);
	close_call(&b);
	return b.status == GRPC_STATUS_OK ? replies : 0;
}
