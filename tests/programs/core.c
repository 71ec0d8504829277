/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program on gRPC core that knows nothing of rpcprof, but for the set-up if it is compiled with
 * grpc_wrap.h. Its tags are numbers, no addresses.
 *
 *     core serve CALLS                      prints its port, answers so many calls
 *     core call PORT CALLS QUEUE [METHODS]  makes them, on a `next` or a `pluck` queue; of so many
 *                                           methods in turn, Say0, Say1, ..., else of Say
 *
 * Exit status: 7 if all is as it should be, which nothing else gives.
 */
#include <grpc/grpc.h>
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h>
#else
#include <grpc/grpc_security.h>
#endif
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METHOD "/programs.Core/Say"

static void check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "%s\n", what);
	_Exit(1);
}

static gpr_timespec soon(void)
{
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(20, GPR_TIMESPAN));
}

static void *number(uintptr_t n)
{
	return (void *)n;
}

static void start(grpc_call *call, const grpc_op *ops, size_t nops, uintptr_t tag)
{
	check(grpc_call_start_batch(call, ops, nops, number(tag), NULL) == GRPC_CALL_OK, "a batch");
}

static void expect(grpc_completion_queue *queue, uintptr_t tag)
{
	grpc_event event = grpc_completion_queue_next(queue, soon(), NULL);

	check(event.type == GRPC_OP_COMPLETE && event.tag == number(tag), "a tag");
}

static grpc_byte_buffer *message(const char *text)
{
	grpc_slice slice = grpc_slice_from_copied_string(text);
	grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);

	grpc_slice_unref(slice);
	return buffer;
}

static void answer(grpc_call *call, grpc_completion_queue *queue)
{
	grpc_byte_buffer *received = NULL, *reply = message("reply");
	grpc_op ops[3];
	int cancelled;

	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_RECV_MESSAGE;
	ops[0].data.recv_message.recv_message = &received;
	start(call, ops, 1, 2);
	expect(queue, 2);
	check(received != NULL, "a message");
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = reply;
	ops[2].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[2].data.send_status_from_server.status = GRPC_STATUS_ALREADY_EXISTS;
	start(call, ops, 3, 3);
	expect(queue, 3);
	ops[0].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	ops[0].data.recv_close_on_server.cancelled = &cancelled;
	start(call, ops, 1, 4);
	expect(queue, 4);
	grpc_byte_buffer_destroy(received);
	grpc_byte_buffer_destroy(reply);
	grpc_call_unref(call);
}

static void serve_one(grpc_server *server, grpc_completion_queue *queue)
{
	grpc_metadata_array metadata;
	grpc_call_details details;
	grpc_call *call;

	grpc_metadata_array_init(&metadata);
	grpc_call_details_init(&details);
	check(grpc_server_request_call(server, &call, &details, &metadata, queue, queue,
	                               number(1)) == GRPC_CALL_OK, "a request");
	expect(queue, 1);
	answer(call, queue);
	grpc_metadata_array_destroy(&metadata);
	grpc_call_details_destroy(&details);
}

static void serve(unsigned calls)
{
	grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
	grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
	grpc_server *server = grpc_server_create(NULL, NULL);

	grpc_server_register_completion_queue(server, queue, NULL);
	printf("%d\n", grpc_server_add_http2_port(server, "127.0.0.1:0", credentials));
	fflush(stdout);
	grpc_server_credentials_release(credentials);
	grpc_server_start(server);
	while (calls-- > 0)
		serve_one(server, queue);
	grpc_server_shutdown_and_notify(server, queue, number(5));
	grpc_server_cancel_all_calls(server);
	expect(queue, 5);
	grpc_server_destroy(server);
	grpc_completion_queue_shutdown(queue);
	check(grpc_completion_queue_next(queue, soon(), NULL).type == GRPC_QUEUE_SHUTDOWN, "its end");
	grpc_completion_queue_destroy(queue);
}

/* All in one batch. */
static void call_one(grpc_channel *channel, grpc_completion_queue *queue, bool pluck,
                     const char *method)
{
	grpc_slice name = grpc_slice_from_copied_string(method);
	grpc_call *call = grpc_channel_create_call(channel, NULL, 0, queue, name, NULL, soon(),
	                                           NULL);
	grpc_byte_buffer *received = NULL, *sent = message("hello");
	grpc_metadata_array header, trailers;
	grpc_slice details;
	grpc_status_code status;
	grpc_op ops[6];

	grpc_metadata_array_init(&header);
	grpc_metadata_array_init(&trailers);
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = sent;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &header;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &received;
	ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[5].data.recv_status_on_client.trailing_metadata = &trailers;
	ops[5].data.recv_status_on_client.status = &status;
	ops[5].data.recv_status_on_client.status_details = &details;
	start(call, ops, 6, 6);
	if (pluck)
		check(grpc_completion_queue_pluck(queue, number(6), soon(), NULL).success, "a tag");
	else
		expect(queue, 6);
	check(received && status == GRPC_STATUS_ALREADY_EXISTS, "an answer");
	grpc_call_unref(call);
	grpc_byte_buffer_destroy(received);
	grpc_byte_buffer_destroy(sent);
	grpc_metadata_array_destroy(&header);
	grpc_metadata_array_destroy(&trailers);
	grpc_slice_unref(details);
	grpc_slice_unref(name);
}

static void call(const char *port, unsigned calls, bool pluck, unsigned methods)
{
	grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
	grpc_completion_queue *queue = pluck ? grpc_completion_queue_create_for_pluck(NULL)
	                                     : grpc_completion_queue_create_for_next(NULL);
	grpc_channel *channel;
	char address[32], method[64] = METHOD;

	snprintf(address, sizeof(address), "127.0.0.1:%s", port);
	channel = grpc_channel_create(address, credentials, NULL);
	grpc_channel_credentials_release(credentials);
	for (unsigned i = 0; i < calls; i++) {
		if (methods > 0)
			snprintf(method, sizeof(method), METHOD "%u", i % methods);
		call_one(channel, queue, pluck, method);
	}
	grpc_channel_destroy(channel);
	grpc_completion_queue_shutdown(queue);
	grpc_completion_queue_destroy(queue);
}

#ifdef RPCPROF_GRPC_WRAP_H
#include <rpcprof/dump.h>
#include <rpcprof/rpcprof.h>

static void record(void)
{
	struct rpcprof_grpc_config config = { .size = sizeof(config),
		                              .send_traceparent = getenv("TRACEPARENT") != NULL };

	check(rpcprof_grpc_start(&config) == 0, "the start");
}

static void dump(void)
{
	struct rpcprof_dump_options options = { .size = sizeof(options),
		                                .format = RPCPROF_DUMP_JSON_LINES };
	FILE *out = fopen(getenv("DUMP"), "w");

	check(out && rpcprof_dump(out, &options) >= 0 && fclose(out) == 0, "the dump");
}
#else
static void record(void) {}
static void dump(void) {}
#endif

int main(int argc, char **argv)
{
	check(argc == 3 || argc == 5 || argc == 6,
	      "core serve CALLS | core call PORT CALLS QUEUE [METHODS]");
	record();
	grpc_init();
	if (argc == 3)
		serve((unsigned)atoi(argv[2]));
	else
		call(argv[2], (unsigned)atoi(argv[3]), strcmp(argv[4], "pluck") == 0,
		     argc == 6 ? (unsigned)atoi(argv[5]) : 0);
	grpc_shutdown();
	dump();
	return 7;
}
