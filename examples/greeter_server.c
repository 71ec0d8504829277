/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC server in plain C that says hello, on core's wrapped calls.
 *
 *     greeter_server --address 127.0.0.1:50051 &
 *     greeter_client --address 127.0.0.1:50051 --seconds 10 &
 *     kill -USR1 %1; sleep 2; kill -USR2 %1; kill %1
 *
 * With --service it is asked, and switched on and off, from outside: by the rpcprof command, or by
 * that of grpc-go, google.golang.org/grpc/profiling/cmd.
 *
 * One thread, one queue. What rpcprof needs of it: the prefix on core's calls, and the stages that
 * core cannot see: /decode, /handler, /encode.
 */
#include <grpc/support/alloc.h>
#include <rpcprof/grpc.h>
#include <rpcprof/grpc_service.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "greeter.h"

struct server {
	grpc_server *server;
	grpc_completion_queue *queue;
	unsigned greetings; /* calls and requests under way */
	struct rpcprof_grpc_service *service; /* NULL: nobody may ask */
};

/* What comes back from the queue: a step of a call, and what to do then. */
struct step {
	void (*done)(struct step *step, bool success);
	struct greeting *greeting;
};

/* One call, from the request that waits for it on. */
struct greeting {
	struct server *server;
	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *request;
	int cancelled;
	unsigned steps; /* under way */
	struct step receive, reply, close;
};

static void greeting_request(struct server *server);

/* Frees a greeting when its last step has come back. */
static void greeting_step_done(struct greeting *greeting)
{
	if (--greeting->steps != 0)
		return;
	if (greeting->call)
		rpcprof_grpc_call_unref(greeting->call);
	grpc_byte_buffer_destroy(greeting->request);
	grpc_call_details_destroy(&greeting->details);
	grpc_metadata_array_destroy(&greeting->metadata);
	greeting->server->greetings--;
	free(greeting);
}

static void start(struct greeting *greeting, const grpc_op *ops, size_t nops, struct step *step,
                  void (*done)(struct step *step, bool success))
{
	step->done = done;
	step->greeting = greeting;
	greeting->steps++;
	if (rpcprof_grpc_call_start_batch(greeting->call, ops, nops, step, NULL) != GRPC_CALL_OK)
		abort(); /* batches that core does not take are a mistake in this program */
}

static void last_step(struct step *step, bool success)
{
	(void)success;
	greeting_step_done(step->greeting);
}

static void reply(struct greeting *greeting, grpc_byte_buffer *message, grpc_status_code status)
{
	grpc_op ops[3];
	size_t n = 0;

	memset(ops, 0, sizeof(ops));
	ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	if (message) {
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = message;
	}
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n++].data.send_status_from_server.status = status;
	start(greeting, ops, n, &greeting->reply, last_step);
	grpc_byte_buffer_destroy(message);
}

static void greet(struct greeting *greeting, const Greeter__HelloRequest *request)
{
	struct rpcprof_stat stat = rpcprof_grpc_call_stat(greeting->call);
	Greeter__HelloReply hello = GREETER__HELLO_REPLY__INIT;
	grpc_byte_buffer *message;
	char text[128];

	RPCPROF_LAP(stat, "/handler");
	snprintf(text, sizeof(text), "Hello, %.100s", request->name);
	hello.message = text;
	RPCPROF_LAP(stat, "/encode");
	message = greeter_pack(&hello.base);
	rpcprof_lap(stat, RPCPROF_TAG_NONE);
	reply(greeting, message, GRPC_STATUS_OK);
}

static void received(struct step *step, bool success)
{
	struct greeting *greeting = step->greeting;
	ProtobufCMessage *request;

	(void)success; /* no message then, which reads as none that can be decoded */
	RPCPROF_LAP(rpcprof_grpc_call_stat(greeting->call), "/decode");
	request = greeter_unpack(&greeter__hello_request__descriptor, greeting->request);
	if (request)
		greet(greeting, (const Greeter__HelloRequest *)request);
	else
		reply(greeting, NULL, GRPC_STATUS_INVALID_ARGUMENT);
	protobuf_c_message_free_unpacked(request, NULL);
	greeting_step_done(greeting);
}

static void receive(struct greeting *greeting)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &greeting->request;
	start(greeting, &op, 1, &greeting->receive, received);
}

/* First, and in a batch of its own: it comes back at the call's end and says how that was. */
static void await_close(struct greeting *greeting)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	op.data.recv_close_on_server.cancelled = &greeting->cancelled;
	start(greeting, &op, 1, &greeting->close, last_step);
}

static void requested(struct step *step, bool success)
{
	struct greeting *greeting = step->greeting;

	if (success) {
		greeting_request(greeting->server);
		await_close(greeting);
		if (grpc_slice_str_cmp(greeting->details.method, GREETER_UNARY) == 0)
			receive(greeting);
		else
			reply(greeting, NULL, GRPC_STATUS_UNIMPLEMENTED);
	}
	greeting_step_done(greeting);
}

static void greeting_request(struct server *server)
{
	struct greeting *greeting = calloc(1, sizeof(*greeting));

	if (!greeting)
		abort();
	server->greetings++;
	greeting->server = server;
	greeting->steps = 1;
	greeting->receive.done = requested;
	greeting->receive.greeting = greeting;
	grpc_call_details_init(&greeting->details);
	grpc_metadata_array_init(&greeting->metadata);
	if (rpcprof_grpc_server_request_call(server->server, &greeting->call, &greeting->details,
	                                     &greeting->metadata, server->queue, server->queue,
	                                     &greeting->receive) != GRPC_CALL_OK)
		abort();
}

static void stopped(struct step *step, bool success)
{
	(void)step;
	(void)success;
}

static struct step stop_step = { stopped, NULL };

/* On the thread that takes the signals. */
static void stop(void *arg)
{
	struct server *server = arg;

	grpc_server_shutdown_and_notify(server->server, server->queue, &stop_step);
	grpc_server_cancel_all_calls(server->server);
}

static void serve(struct server *server)
{
	bool stopping = false;

	while (!stopping || server->greetings != 0) {
		grpc_event event = rpcprof_grpc_completion_queue_next(
			server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		struct step *step = event.tag;

		step->done(step, event.success);
		stopping = stopping || step == &stop_step;
	}
}

static void close_server(struct server *server)
{
	grpc_server_destroy(server->server);
	grpc_completion_queue_shutdown(server->queue);
	while (rpcprof_grpc_completion_queue_next(server->queue,
	                                          gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
	               .type != GRPC_QUEUE_SHUTDOWN)
		;
	rpcprof_grpc_completion_queue_destroy(server->queue);
}

/* Starts the server, with the Profiling service beside its own if it is to be there. */
static int start_server(struct server *server, const char *where)
{
	struct rpcprof_grpc_service_config config;

	if (where && strcmp(where, "server") == 0)
		return rpcprof_grpc_server_start(server->server, NULL, &server->service);
	grpc_server_start(server->server);
	if (!where)
		return 0;
	memset(&config, 0, sizeof(config));
	config.size = sizeof(config);
	config.address = strcmp(where, "private") == 0 ? NULL : where;
	return rpcprof_grpc_service_open(&config, &server->service);
}

static int open_server(struct server *server, const char *address)
{
	grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
	int port;

	server->queue = rpcprof_grpc_completion_queue_create_for_next(NULL);
	server->server = grpc_server_create(NULL, NULL);
	grpc_server_register_completion_queue(server->server, server->queue, NULL);
	port = grpc_server_add_http2_port(server->server, address, credentials);
	grpc_server_credentials_release(credentials);
	return port;
}

int main(int argc, char **argv)
{
	struct greeter_options options = { .address = "127.0.0.1:50051", .outstanding = 64 };
	struct server server = { .server = NULL };
	int port, status, error;

	greeter_parse(&options, argc, argv, "A greeter that records its calls with rpcprof.");
	greeter_start(&options);
	rpcprof_grpc_method_declare(GREETER_UNARY);
	grpc_init();
	port = open_server(&server, options.address);
	if (port == 0) {
		fprintf(stderr, "cannot listen on %s\n", options.address);
		return EXIT_FAILURE;
	}
	error = start_server(&server, options.service);
	if (error != 0) {
		fprintf(stderr, "no service at %s: %s (RPCPROF_LOG=1 says more)\n", options.service,
		        strerror(-error));
		return EXIT_FAILURE;
	}
	if (server.service)
		printf("profiling at %s\n", rpcprof_grpc_service_address(server.service));
	printf("listening on port %d\n", port);
	fflush(stdout);
	for (unsigned i = 0; i < options.outstanding; i++)
		greeting_request(&server);
	greeter_control(&options, stop, &server);
	serve(&server);
	status = greeter_finish(&options, "server"); /* no more stop() from here on */
	if (rpcprof_grpc_service_stop(server.service, 5000) != 0)
		status = EXIT_FAILURE;
	close_server(&server);
	grpc_shutdown();
	return status;
}
