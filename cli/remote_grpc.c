/* SPDX-License-Identifier: Apache-2.0 */
/* A call on gRPC core: one request, any number of answers. */
#include "cli/remote_internal.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES_MAX (16 << 20) /* the service promises 1 MiB */

struct asking {
	const struct remote_call *call;
	grpc_completion_queue *queue;
	grpc_call *grpc;
	gpr_timespec begin;
	grpc_metadata authorization;
};

static grpc_channel *open_channel(const struct remote_call *call)
{
	grpc_ssl_pem_key_cert_pair pair = {call->key, call->certificate};
	grpc_arg arg = {.type = GRPC_ARG_INTEGER,
	                .key = (char *)(uintptr_t)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
	                .value.integer = MESSAGE_BYTES_MAX};
	grpc_channel_args args = {1, &arg};
	grpc_channel_credentials *credentials =
		call->tls ? grpc_ssl_credentials_create(call->ca, call->key != NULL ? &pair : NULL,
		                                        NULL, NULL)
		          : grpc_insecure_credentials_create();
	grpc_channel *channel = NULL;

	if (credentials == NULL)
		return NULL;
	channel = grpc_channel_create(call->target, credentials, &args);
	grpc_channel_credentials_release(credentials);
	return channel;
}

/* Waits for the batch of this tag, which has no other name than its address. */
static bool done(struct asking *asking, void *tag)
{
	const gpr_timespec step = gpr_time_from_millis(200, GPR_TIMESPAN);
	grpc_event event;

	do {
		progress_wait(asking->call->target, asking->call->longer_ns);
		event = grpc_completion_queue_pluck(
			asking->queue, tag, gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), step), NULL);
	} while (event.type == GRPC_QUEUE_TIMEOUT);
	return event.success != 0;
}

static bool start(struct asking *asking, const grpc_op *ops, size_t count, void *tag)
{
	return grpc_call_start_batch(asking->grpc, ops, count, tag, NULL) == GRPC_CALL_OK;
}

static bool send_request(struct asking *asking)
{
	const struct remote_call *call = asking->call;
	grpc_slice slice = grpc_slice_from_copied_buffer((const char *)call->request, call->length);
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_metadata_array metadata;
	grpc_op ops[4];
	bool sent;

	memset(ops, 0, sizeof(ops));
	grpc_metadata_array_init(&metadata);
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[0].data.send_initial_metadata.count = call->authorization != NULL;
	ops[0].data.send_initial_metadata.metadata = &asking->authorization;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = message;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &metadata;
	sent = start(asking, ops, 4, ops) && done(asking, ops);
	grpc_metadata_array_destroy(&metadata);
	grpc_byte_buffer_destroy(message);
	grpc_slice_unref(slice);
	return sent;
}

static int give(const struct remote_call *call, grpc_byte_buffer *message)
{
	grpc_byte_buffer_reader reader;
	grpc_slice slice;
	int said;

	if (!grpc_byte_buffer_reader_init(&reader, message))
		return complain(EXIT_REMOTE, "%s: a message that cannot be read", call->target);
	slice = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	said = call->fn(call->arg, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
	grpc_slice_unref(slice);
	return said;
}

/* Until there are no more, or fn wants none. */
static int receive(struct asking *asking)
{
	int said = EXIT_DONE;

	while (said == EXIT_DONE) {
		grpc_byte_buffer *message = NULL;
		grpc_op op;

		memset(&op, 0, sizeof(op));
		op.op = GRPC_OP_RECV_MESSAGE;
		op.data.recv_message.recv_message = &message;
		if (!start(asking, &op, 1, &op) || !done(asking, &op) || message == NULL)
			break;
		said = give(asking->call, message);
		grpc_byte_buffer_destroy(message);
	}
	if (said != EXIT_DONE)
		(void)grpc_call_cancel(asking->grpc, NULL);
	return said;
}

static int32_t run(struct asking *asking, char **words, int *said)
{
	grpc_status_code code = GRPC_STATUS_UNKNOWN;
	grpc_slice details = grpc_empty_slice();
	grpc_metadata_array trailing;
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	grpc_metadata_array_init(&trailing);
	op.data.recv_status_on_client.status = &code;
	op.data.recv_status_on_client.status_details = &details;
	op.data.recv_status_on_client.trailing_metadata = &trailing;
	if (start(asking, &op, 1, &op)) {
		*said = send_request(asking) ? receive(asking) : EXIT_DONE;
		(void)done(asking, &op);
	}
	*words = strndup((const char *)GRPC_SLICE_START_PTR(details), GRPC_SLICE_LENGTH(details));
	grpc_slice_unref(details);
	grpc_metadata_array_destroy(&trailing);
	return (int32_t)code;
}

int32_t remote_grpc(const struct remote_call *call, char **words, int *said)
{
	struct asking asking = {.call = call, .begin = gpr_now(GPR_CLOCK_MONOTONIC)};
	int32_t code = GRPC_STATUS_INVALID_ARGUMENT;
	grpc_channel *channel;

	*words = NULL;
	*said = EXIT_DONE;
	grpc_init();
	channel = open_channel(call);
	if (channel != NULL) {
		if (call->authorization != NULL) {
			asking.authorization.key = grpc_slice_from_static_string("authorization");
			asking.authorization.value =
				grpc_slice_from_static_string(call->authorization);
		}
		asking.queue = grpc_completion_queue_create_for_pluck(NULL);
		asking.grpc = grpc_channel_create_call(
			channel, NULL, GRPC_PROPAGATE_DEFAULTS, asking.queue,
			grpc_slice_from_static_string(call->path), NULL,
			gpr_time_add(asking.begin,
		                     gpr_time_from_nanos((int64_t)(call->timeout_ns + call->longer_ns),
		                                         GPR_TIMESPAN)),
			NULL);
		code = run(&asking, words, said);
		grpc_call_unref(asking.grpc);
		grpc_completion_queue_shutdown(asking.queue);
		while (grpc_completion_queue_pluck(asking.queue, NULL,
		                                   gpr_inf_future(GPR_CLOCK_REALTIME), NULL)
		               .type != GRPC_QUEUE_SHUTDOWN)
			;
		grpc_completion_queue_destroy(asking.queue);
		grpc_channel_destroy(channel);
	}
	grpc_shutdown();
	return code;
}
