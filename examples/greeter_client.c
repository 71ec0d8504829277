/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load for greeter_server: so many calls at a time, until so many are made or the time is up.
 *
 * Each receive is a batch of its own, so that each is a stage of its own; all are started at once,
 * which costs no round trip.
 */
#include <rpcprof/grpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "greeter.h"

struct client {
	grpc_channel *channel;
	grpc_completion_queue *queue;
	unsigned left;      /* calls to begin yet */
	unsigned under_way;
	unsigned ok, failed;
	uint32_t stopping; /* set by the thread that takes the signals */
};

enum { SEND, HEADER, MESSAGE, STATUS, BATCHES };

/* One call; its tags are the addresses of its batches. */
struct hello {
	struct client *client;
	grpc_call *call;
	grpc_metadata_array header, trailer;
	grpc_byte_buffer *reply;
	grpc_status_code status;
	grpc_slice details;
	unsigned under_way;
	struct hello *batch[BATCHES]; /* each points back here */
};

static void start(struct hello *hello, int batch, const grpc_op *ops, size_t nops)
{
	hello->batch[batch] = hello;
	hello->under_way++;
	if (rpcprof_grpc_call_start_batch(hello->call, ops, nops, &hello->batch[batch], NULL) !=
	    GRPC_CALL_OK)
		abort(); /* batches that core does not take are a mistake in this program */
}

static void send_request(struct hello *hello)
{
	Greeter__HelloRequest request = GREETER__HELLO_REQUEST__INIT;
	grpc_byte_buffer *message;
	grpc_op ops[3];

	RPCPROF_LAP(rpcprof_grpc_call_stat(hello->call), "/encode");
	request.name = (char *)"world";
	message = greeter_pack(&request.base);
	rpcprof_lap(rpcprof_grpc_call_stat(hello->call), RPCPROF_TAG_NONE);
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = message;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	start(hello, SEND, ops, 3);
	grpc_byte_buffer_destroy(message);
}

static void receive(struct hello *hello)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_INITIAL_METADATA;
	op.data.recv_initial_metadata.recv_initial_metadata = &hello->header;
	start(hello, HEADER, &op, 1);

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &hello->reply;
	start(hello, MESSAGE, &op, 1);

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	op.data.recv_status_on_client.trailing_metadata = &hello->trailer;
	op.data.recv_status_on_client.status = &hello->status;
	op.data.recv_status_on_client.status_details = &hello->details;
	start(hello, STATUS, &op, 1);
}

static void say_hello(struct client *client)
{
	struct hello *hello = calloc(1, sizeof(*hello));
	gpr_timespec in_5_s = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
	                                   gpr_time_from_seconds(5, GPR_TIMESPAN));

	if (!hello)
		abort();
	client->left--;
	client->under_way++;
	hello->client = client;
	grpc_metadata_array_init(&hello->header);
	grpc_metadata_array_init(&hello->trailer);
	hello->details = grpc_empty_slice();
	hello->call = rpcprof_grpc_channel_create_call(
		client->channel, NULL, 0, client->queue,
		grpc_slice_from_static_string(GREETER_UNARY), NULL, in_5_s, NULL);
	send_request(hello);
	receive(hello);
}

static bool is_greeting(struct hello *hello)
{
	ProtobufCMessage *message;
	bool good;

	RPCPROF_LAP(rpcprof_grpc_call_stat(hello->call), "/decode");
	message = greeter_unpack(&greeter__hello_reply__descriptor, hello->reply);
	rpcprof_lap(rpcprof_grpc_call_stat(hello->call), RPCPROF_TAG_NONE);
	good = message && strcmp(((Greeter__HelloReply *)message)->message, "Hello, world") == 0;
	protobuf_c_message_free_unpacked(message, NULL);
	return good;
}

static void finish(struct hello *hello)
{
	if (hello->status == GRPC_STATUS_OK && is_greeting(hello))
		hello->client->ok++;
	else
		hello->client->failed++;
	hello->client->under_way--;
	rpcprof_grpc_call_unref(hello->call); /* its Stat ends here */
	grpc_byte_buffer_destroy(hello->reply);
	grpc_metadata_array_destroy(&hello->header);
	grpc_metadata_array_destroy(&hello->trailer);
	grpc_slice_unref(hello->details);
	free(hello);
}

static void run(struct client *client, unsigned outstanding)
{
	for (;;) {
		struct hello *hello;

		if (__atomic_load_n(&client->stopping, __ATOMIC_RELAXED))
			client->left = 0;
		while (client->left != 0 && client->under_way < outstanding)
			say_hello(client);
		if (client->under_way == 0)
			return;
		hello = *(struct hello **)rpcprof_grpc_completion_queue_next(
				 client->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).tag;
		if (--hello->under_way == 0)
			finish(hello);
	}
}

static void stop(void *arg)
{
	struct client *client = arg;

	__atomic_store_n(&client->stopping, 1u, __ATOMIC_RELAXED);
}

static void close_client(struct client *client)
{
	grpc_channel_destroy(client->channel);
	grpc_completion_queue_shutdown(client->queue);
	while (rpcprof_grpc_completion_queue_next(client->queue,
	                                          gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
	               .type != GRPC_QUEUE_SHUTDOWN)
		;
	rpcprof_grpc_completion_queue_destroy(client->queue);
}

int main(int argc, char **argv)
{
	struct greeter_options options = { .address = "127.0.0.1:50051", .outstanding = 1 };
	struct client client = { .left = 0 };
	grpc_channel_credentials *credentials;
	int status;

	greeter_parse(&options, argc, argv, "Load for greeter_server, recorded with rpcprof.");
	greeter_start(&options);
	client.left = options.calls != 0 ? options.calls : ~0u;
	grpc_init();
	credentials = grpc_insecure_credentials_create();
	client.queue = rpcprof_grpc_completion_queue_create_for_next(NULL);
	client.channel = grpc_channel_create(options.address, credentials, NULL);
	grpc_channel_credentials_release(credentials);
	greeter_control(&options, stop, &client);
	printf("calling %s\n", options.address); /* and listening to signals */
	fflush(stdout);
	run(&client, options.outstanding);
	close_client(&client);
	grpc_shutdown();
	printf("%u calls, %u failed\n", client.ok + client.failed, client.failed);
	status = greeter_finish(&options, "client");
	return client.failed == 0 ? status : EXIT_FAILURE;
}
