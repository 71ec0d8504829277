/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_GRPC_SERVICE_CLIENT_H
#define RPCPROF_TESTS_GRPC_SERVICE_CLIENT_H

/* What the tests of the services on gRPC core share: a service, and clients of it. */
#include "tests/unit/service_harness.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h>
#else
#include <grpc/grpc_security.h>
#endif
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "rpcprof/grpc_service.h"

#define READ "the-token-to-read-with"
#define CONTROL "the-token-to-control-with"
#define STOP_MS 20000

static char last_log[512];

static inline void keep_log(void *arg, enum rpcprof_log_level level, const char *message)
{
	(void)arg;
	(void)level;
	snprintf(last_log, sizeof(last_log), "%s", message);
}

static inline bool logged(const char *part)
{
	return strstr(last_log, part) != NULL;
}

static char directory[64];

/* A directory of the test's own, for sockets; $XDG_RUNTIME_DIR too. */
static inline void start_here(void)
{
	struct rpcprof_config config = {.size = sizeof(config), .log = keep_log};

	strcpy(directory, "/tmp/rpcprof-service-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	setenv("XDG_RUNTIME_DIR", directory, 1);
	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	grpc_init();
}

static inline void end_here(void)
{
	char command[128];

	grpc_shutdown();
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

static struct rpcprof_grpc_service *service;

static inline int open_at(const char *address)
{
	struct rpcprof_grpc_service_config config = {.size = sizeof(config), .address = address};

	return rpcprof_grpc_service_open(&config, &service);
}

static inline void stop(void)
{
	cr_assert_eq(rpcprof_grpc_service_stop(service, STOP_MS), 0);
	service = NULL;
}

/* A client: one call at a time, that blocks. */

struct client {
	grpc_channel *channel;
	grpc_completion_queue *queue;
	grpc_call *call;
	grpc_metadata_array header, trailer;
	grpc_status_code status;
	grpc_slice details;
	unsigned messages;
	size_t bytes;
};

static inline void client_open(struct client *client, const char *address)
{
	grpc_channel_credentials *credentials = grpc_insecure_credentials_create();

	memset(client, 0, sizeof(*client));
	client->channel = grpc_channel_create(address, credentials, NULL);
	client->queue = grpc_completion_queue_create_for_pluck(NULL);
	grpc_channel_credentials_release(credentials);
}

static inline void client_close(struct client *client)
{
	grpc_channel_destroy(client->channel);
	grpc_completion_queue_shutdown(client->queue);
	grpc_completion_queue_destroy(client->queue);
}

static inline void batch(struct client *client, const grpc_op *ops, size_t nops)
{
	cr_assert_eq(grpc_call_start_batch(client->call, ops, nops, client, NULL), GRPC_CALL_OK);
	grpc_completion_queue_pluck(client->queue, client, gpr_inf_future(GPR_CLOCK_MONOTONIC),
	                            NULL);
}

static inline void send_request(struct client *client, const char *token, const void *bytes,
                                size_t length)
{
	char bearer[128];
	grpc_metadata metadata;
	grpc_slice slice = grpc_slice_from_copied_buffer(bytes, length);
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_op ops[4];

	snprintf(bearer, sizeof(bearer), "Bearer %s", token != NULL ? token : "");
	memset(&metadata, 0, sizeof(metadata));
	metadata.key = grpc_slice_from_static_string("authorization");
	metadata.value = grpc_slice_from_copied_string(bearer);
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[0].data.send_initial_metadata.count = token != NULL;
	ops[0].data.send_initial_metadata.metadata = &metadata;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = message;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &client->header;
	batch(client, ops, 4);
	grpc_byte_buffer_destroy(message);
	grpc_slice_unref(slice);
	grpc_slice_unref(metadata.value);
}

static inline bool receive_message(struct client *client)
{
	grpc_byte_buffer *message = NULL;
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &message;
	batch(client, &op, 1);
	if (message == NULL)
		return false;
	client->messages++;
	client->bytes += grpc_byte_buffer_length(message);
	grpc_byte_buffer_destroy(message);
	return true;
}

static inline void call_open(struct client *client, const char *method)
{
	gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
	                                     gpr_time_from_seconds(20, GPR_TIMESPAN));
	grpc_slice path = grpc_slice_from_copied_string(method);

	client->messages = 0;
	client->bytes = 0;
	grpc_metadata_array_init(&client->header);
	grpc_metadata_array_init(&client->trailer);
	client->call = grpc_channel_create_call(client->channel, NULL, 0, client->queue,
	                                        path, NULL, deadline, NULL);
	grpc_slice_unref(path);
}

static inline grpc_status_code call_close(struct client *client)
{
	grpc_op op;

	while (receive_message(client))
		;
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	op.data.recv_status_on_client.trailing_metadata = &client->trailer;
	op.data.recv_status_on_client.status = &client->status;
	op.data.recv_status_on_client.status_details = &client->details;
	batch(client, &op, 1);
	grpc_call_unref(client->call);
	grpc_slice_unref(client->details);
	grpc_metadata_array_destroy(&client->header);
	grpc_metadata_array_destroy(&client->trailer);
	return client->status;
}

static inline grpc_status_code ask_on(struct client *client, const char *method, const char *token,
                                      const void *bytes, size_t length)
{
	call_open(client, method);
	send_request(client, token, bytes, length);
	return call_close(client);
}

static inline grpc_status_code ask_at(const char *address, const char *method, const char *token)
{
	struct client client;

	client_open(&client, address);
	ask_on(&client, method, token, "", 0);
	client_close(&client);
	return client.status;
}

static inline grpc_status_code ask_service(const char *method, const char *token)
{
	return ask_at(rpcprof_grpc_service_address(service), method, token);
}

#define HERE .init = start_here, .fini = end_here

static inline void name_abstract(struct sockaddr_un *address, socklen_t *length)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	                      (size_t)snprintf(address->sun_path + 1, 64, "rpcprof-%d", getpid()));
}

static inline int connect_to(const struct sockaddr_un *address, socklen_t length)
{
	int file = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_eq(connect(file, (const struct sockaddr *)address, length), 0);
	return file;
}

/* HTTP/2 by hand: a client that asks, and then gives no leave to send more than 64 KiB. */

static inline void put_frame(int file, uint8_t type, uint8_t flags, const void *payload,
                             size_t length)
{
	uint8_t header[9] = {0, (uint8_t)(length >> 8), (uint8_t)length, type, flags, 0, 0, 0,
	                     type == 4 ? 0 : 1 /* stream; 0 for settings */};

	cr_assert_eq(write(file, header, sizeof(header)), (ssize_t)sizeof(header));
	cr_assert_eq(write(file, payload, length), (ssize_t)length);
}

static inline void ask_by_hand(int file)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	/* POST, http, path, authority, te, content-type: no indexing, no Huffman codes */
	static const char headers[] = "\x83\x86"
				      "\x04\x1e/rpcprof.v1.Profiling/Snapshot"
				      "\x01\x01x"
				      "\x00\x02te\x08trailers"
				      "\x0f\x10\x10" "application/grpc";

	cr_assert_eq(write(file, preface, sizeof(preface) - 1), (ssize_t)sizeof(preface) - 1);
	put_frame(file, 4, 0, "", 0);
	put_frame(file, 1, 4, headers, sizeof(headers) - 1);
	put_frame(file, 0, 1, "\0\0\0\0\0", 5);
}

#endif
