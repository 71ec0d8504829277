/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that answers one request with a stream of replies: each reply is a timer of its own.
 * A stream longer than a Stat has room for loses no time: further timers are added up by stage.
 *
 * Server and client in one program, on core's wrapped calls; the server blocks one thread per call
 * by a pluck queue, as the client does.
 */
#include <grpc/support/alloc.h>
#include <pthread.h>
#include <rpcprof/dump.h>
#include <rpcprof/grpc.h>
#include <rpcprof/rpcprof.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "greeter.h"

static grpc_server *server;
static grpc_completion_queue *requests; /* where new calls come out */

/* One call, on a queue of its own. */
struct stream {
	grpc_call *call;
	grpc_completion_queue *queue;
	int cancelled;
};

static bool batch(struct stream *s, const grpc_op *ops, size_t nops)
{
	if (rpcprof_grpc_call_start_batch(s->call, ops, nops, s, NULL) != GRPC_CALL_OK)
		abort(); /* batches that core does not take are a mistake in this program */
	return rpcprof_grpc_completion_queue_pluck(s->queue, s,
	                                           gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
	               .success != 0;
}

/* How many replies the client asks for. */
static unsigned receive_count(struct stream *s)
{
	struct rpcprof_timer decode;
	grpc_byte_buffer *buffer = NULL;
	ProtobufCMessage *request;
	unsigned count = 0;
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &buffer;
	batch(s, &op, 1);
	decode = RPCPROF_TIMER_BEGIN(rpcprof_grpc_call_stat(s->call), "/decode");
	request = greeter_unpack(&greeter__hello_request__descriptor, buffer);
	rpcprof_timer_end(decode);
	if (request)
		count = ((Greeter__HelloRequest *)request)->count;
	protobuf_c_message_free_unpacked(request, NULL);
	grpc_byte_buffer_destroy(buffer);
	return count;
}

static bool send_header(struct stream *s)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_SEND_INITIAL_METADATA;
	return batch(s, &op, 1);
}

static bool send_reply(struct stream *s, unsigned number)
{
	Greeter__HelloReply hello = GREETER__HELLO_REPLY__INIT;
	struct rpcprof_timer encode;
	char text[32];
	grpc_op op;
	bool sent;

	encode = RPCPROF_TIMER_BEGIN(rpcprof_grpc_call_stat(s->call), "/encode");
	snprintf(text, sizeof(text), "Hello %u", number);
	hello.message = text;
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_SEND_MESSAGE;
	op.data.send_message.send_message = greeter_pack(&hello.base);
	rpcprof_timer_end(encode);
	sent = batch(s, &op, 1);
	grpc_byte_buffer_destroy(op.data.send_message.send_message);
	return sent;
}

static void send_status(struct stream *s)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	op.data.send_status_from_server.status = GRPC_STATUS_OK;
	batch(s, &op, 1);
}

static void serve(struct stream *s)
{
	static const char close_tag; /* an address of its own: it is under way beside the others */
	unsigned count;
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	op.data.recv_close_on_server.cancelled = &s->cancelled;
	rpcprof_grpc_call_start_batch(s->call, &op, 1, (void *)(uintptr_t)&close_tag, NULL);
	count = receive_count(s);
	if (send_header(s))
		for (unsigned i = 0; i < count && send_reply(s, i); i++)
			;
	send_status(s);
	rpcprof_grpc_completion_queue_pluck(s->queue, (void *)(uintptr_t)&close_tag,
	                                    gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	rpcprof_grpc_call_unref(s->call);
}

static void close_queue(grpc_completion_queue *queue)
{
	grpc_completion_queue_shutdown(queue);
	rpcprof_grpc_completion_queue_destroy(queue);
}

/* Takes calls until the server shuts down. */
static void *serve_all(void *arg)
{
	grpc_event event;

	(void)arg;
	do {
		struct stream s = { NULL, rpcprof_grpc_completion_queue_create_for_pluck(NULL), 0 };
		grpc_call_details details;
		grpc_metadata_array metadata;

		grpc_call_details_init(&details);
		grpc_metadata_array_init(&metadata);
		rpcprof_grpc_server_request_call(server, &s.call, &details, &metadata, s.queue,
		                                 requests, &s);
		event = rpcprof_grpc_completion_queue_next(
			requests, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		if (event.success && s.call)
			serve(&s);
		grpc_call_details_destroy(&details);
		grpc_metadata_array_destroy(&metadata);
		close_queue(s.queue);
	} while (event.success && event.tag != &server);
	return NULL;
}

static void stop_server(pthread_t thread)
{
	grpc_server_shutdown_and_notify(server, requests, &server);
	pthread_join(thread, NULL);
	grpc_completion_queue_shutdown(requests);
	while (rpcprof_grpc_completion_queue_next(requests, gpr_inf_future(GPR_CLOCK_MONOTONIC),
	                                          NULL)
	               .type != GRPC_QUEUE_SHUTDOWN)
		;
	grpc_server_destroy(server);
	rpcprof_grpc_completion_queue_destroy(requests);
}

int main(void)
{
	static const unsigned streams[] = { 3, 5, 1000 };
	grpc_channel *channel;
	pthread_t thread;
	bool good = true;

	if (rpcprof_init(NULL) != 0)
		return EXIT_FAILURE;
	rpcprof_grpc_method_declare(GREETER_STREAM);
	rpcprof_enable(true);
	grpc_init();
	requests = rpcprof_grpc_completion_queue_create_for_next(NULL);
	channel = greeter_connect(greeter_listen(&server, requests));
	pthread_create(&thread, NULL, serve_all, NULL);
	for (unsigned i = 0; i < sizeof(streams) / sizeof(*streams); i++)
		good &= greeter_call(channel, GREETER_STREAM, streams[i]) == streams[i];
	grpc_channel_destroy(channel);
	stop_server(thread);
	grpc_shutdown();
	rpcprof_dump(stdout, NULL);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
