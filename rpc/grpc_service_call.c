/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call to the service. All on the service's thread: what comes next is what an event brings,
 * or time. One message at a time is under way, so that a reader that is slow holds no more.
 */
#include <errno.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/grpc_security_constants.h>
#include <grpc/support/alloc.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/grpc_service_internal.h"

#define RECEIVE_NS (10 * UINT64_C(1000000000)) /* for the request to come */
uint64_t rpcprof_grpc_service_send_ns = 30 * UINT64_C(1000000000);

struct step {
	void (*done)(struct grpc_service_call *c, bool success);
	struct grpc_service_call *c;
};

struct grpc_service_call {
	struct grpc_service_call *next, **link; /* of the service's list */
	struct rpcprof_grpc_service *service;
	size_t method; /* of the registered ones */
	grpc_call *call;
	grpc_call_details details; /* of a call to any method */
	grpc_metadata_array metadata;
	grpc_byte_buffer *request;
	gpr_timespec deadline;
	struct rpcprof_service_call *answer;
	gpr_timespec wake; /* infinite: nothing is to happen by time */
	bool waiting;      /* at `wake` the answer goes on; else, the call is cut off */
	bool header_sent, status_sent;
	bool failed;   /* something was not sent */
	int cancelled; /* the client has not seen the end */
	unsigned steps; /* under way */
	struct step close, other;
};

static void wake_in(struct grpc_service_call *c, uint64_t ns, bool waiting)
{
	c->wake = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
	                       gpr_time_from_nanos((int64_t)ns, GPR_TIMESPAN));
	c->waiting = waiting;
}

static void wake_never(struct grpc_service_call *c)
{
	c->wake = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	c->waiting = false;
}

static void call_free(struct grpc_service_call *c)
{
	rpcprof_service_end(c->answer, !c->failed && !c->cancelled && c->status_sent);
	if (c->call != NULL)
		grpc_call_unref(c->call);
	grpc_byte_buffer_destroy(c->request);
	grpc_call_details_destroy(&c->details);
	grpc_metadata_array_destroy(&c->metadata);
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	free(c);
}

static void cut_off(struct grpc_service_call *c, const char *why)
{
	c->failed = true;
	wake_never(c);
	(void)grpc_call_cancel_with_status(c->call, GRPC_STATUS_DEADLINE_EXCEEDED, why, NULL);
}

/* By this step all others of the call have been begun. */
static void start(struct grpc_service_call *c, const grpc_op *ops, size_t nops, struct step *step,
                  void (*done)(struct grpc_service_call *c, bool success))
{
	step->done = done;
	step->c = c;
	c->steps++;
	if (grpc_call_start_batch(c->call, ops, nops, step, NULL) == GRPC_CALL_OK)
		return;
	c->steps--; /* core takes no batch of a call that is over */
	cut_off(c, "the call is over");
}

static void closed(struct grpc_service_call *c, bool success)
{
	(void)success;
	if (c->waiting) /* nothing else of it is under way */
		wake_never(c);
}

static void await_close(struct grpc_service_call *c)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	op.data.recv_close_on_server.cancelled = &c->cancelled;
	start(c, &op, 1, &c->close, closed);
}

static void status_done(struct grpc_service_call *c, bool success)
{
	wake_never(c);
	c->status_sent = success;
}

static void send_status(struct grpc_service_call *c, int32_t code, const char *message)
{
	grpc_slice details = grpc_slice_from_copied_string(message);
	grpc_op ops[2];
	size_t n = 0;

	memset(ops, 0, sizeof(ops));
	if (!c->header_sent)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n].data.send_status_from_server.status = (grpc_status_code)code;
	ops[n++].data.send_status_from_server.status_details = &details;
	c->header_sent = true;
	wake_in(c, rpcprof_grpc_service_send_ns, false);
	start(c, ops, n, &c->other, status_done);
	grpc_slice_unref(details);
}

static void answer_next(struct grpc_service_call *c);

static void message_done(struct grpc_service_call *c, bool success)
{
	wake_never(c);
	c->failed = c->failed || !success;
	if (success)
		answer_next(c);
}

static void send_message(struct grpc_service_call *c, const void *bytes, size_t length)
{
	grpc_slice slice = grpc_slice_from_copied_buffer(bytes, length);
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_op ops[2];
	size_t n = 0;

	memset(ops, 0, sizeof(ops));
	if (!c->header_sent)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[n].op = GRPC_OP_SEND_MESSAGE;
	ops[n++].data.send_message.send_message = message;
	c->header_sent = true;
	wake_in(c, rpcprof_grpc_service_send_ns, false);
	start(c, ops, n, &c->other, message_done);
	grpc_byte_buffer_destroy(message);
	grpc_slice_unref(slice);
}

static void answer_next(struct grpc_service_call *c)
{
	const void *bytes;
	const char *message;
	size_t length;
	int more = rpcprof_service_next(c->answer, &bytes, &length);
	int32_t code;

	if (more == 1) {
		send_message(c, bytes, length);
	} else if (more == -EAGAIN) {
		wake_in(c, rpcprof_service_wait_ns(c->answer), true);
	} else {
		code = rpcprof_service_status(c->answer, &message);
		send_status(c, code, message);
	}
}

/* Who asks. */

static bool is_encrypted(grpc_call *call)
{
	grpc_auth_context *context = grpc_call_auth_context(call);
	grpc_auth_property_iterator iterator;
	const grpc_auth_property *property;
	bool encrypted;

	if (context == NULL)
		return false;
	iterator = grpc_auth_context_find_properties_by_name(
		context, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
	property = grpc_auth_property_iterator_next(&iterator);
	encrypted = property != NULL &&
	            (strcmp(property->value, GRPC_SSL_TRANSPORT_SECURITY_TYPE) == 0 ||
	             strcmp(property->value, GRPC_TLS_TRANSPORT_SECURITY_TYPE) == 0);
	grpc_auth_context_release(context);
	return encrypted;
}

/* The bearer's token: not terminated; NULL if there is none. */
static const char *find_token(const grpc_metadata_array *metadata, size_t *bytes)
{
	const char *token = NULL;

	for (size_t i = 0; i < metadata->count && token == NULL; i++) {
		const grpc_slice *value = &metadata->metadata[i].value;

		if (grpc_slice_str_cmp(metadata->metadata[i].key, "authorization") != 0)
			continue;
		*bytes = GRPC_SLICE_LENGTH(*value);
		token = rpcprof_bearer_token((const char *)GRPC_SLICE_START_PTR(*value), bytes);
	}
	return token;
}

/* A private server's token was let through by what it listens with, or by who configured it. */
static enum rpcprof_permission permission_of(const struct grpc_service_call *c)
{
	const struct rpcprof_grpc_service *service = c->service;
	const struct rpcprof_tokens tokens = {service->read_token, service->control_token};
	struct rpcprof_peer peer = {.encrypted = service->own || service->plaintext_token ||
	                                         is_encrypted(c->call)};
	enum rpcprof_permission permission;
	char *address;

	if (service->trust_all)
		return RPCPROF_MAY_CONTROL;
	address = grpc_call_get_peer(c->call);
	peer.address = address;
	peer.token = find_token(&c->metadata, &peer.token_bytes);
	permission = rpcprof_peer_check(&tokens, &peer);
	gpr_free(address);
	return permission;
}

/* The request is here, with its message if it has one. */
static void answer_begin(struct grpc_service_call *c, const void *bytes, size_t length)
{
	struct rpcprof_service_request request = {.size = sizeof(request),
	                                          .bytes = bytes,
	                                          .length = length,
	                                          .permission = permission_of(c),
	                                          .answer_max = c->service->answer_max};

	if (c->service->methods != NULL) {
		request.method = rpcprof_service_method(c->method);
		request.method_bytes = strlen(request.method);
	} else {
		request.method = (const char *)GRPC_SLICE_START_PTR(c->details.method);
		request.method_bytes = GRPC_SLICE_LENGTH(c->details.method);
	}
	if (rpcprof_service_begin(&c->answer, &request) == 0)
		answer_next(c);
	else
		send_status(c, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory for the request");
}

static void answer(struct grpc_service_call *c)
{
	grpc_byte_buffer_reader reader;
	grpc_slice slice;

	wake_never(c);
	if (c->request == NULL) { /* the client went away, or what it sent was too long */
		send_status(c, GRPC_STATUS_INVALID_ARGUMENT, "a call without a message");
		return;
	}
	if (!grpc_byte_buffer_reader_init(&reader, c->request)) {
		send_status(c, GRPC_STATUS_INVALID_ARGUMENT, "a message that cannot be read");
		return;
	}
	slice = grpc_byte_buffer_reader_readall(&reader);
	answer_begin(c, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
	grpc_slice_unref(slice);
	grpc_byte_buffer_reader_destroy(&reader);
}

static void received(struct grpc_service_call *c, bool success)
{
	(void)success; /* there is no message then */
	answer(c);
}

static bool is_method(const grpc_slice *path)
{
	const char *method;

	for (size_t i = 0; (method = rpcprof_service_method(i)) != NULL; i++)
		if (grpc_slice_str_cmp(*path, method) == 0)
			return true;
	return false;
}

/* A method that is not there gets its answer at once, whatever else the client sends. */
static void receive(struct grpc_service_call *c)
{
	grpc_op op;

	if (!is_method(&c->details.method)) {
		answer_begin(c, NULL, 0);
		return;
	}
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &c->request;
	wake_in(c, RECEIVE_NS, false);
	start(c, &op, 1, &c->other, received);
}

/* Core shuts the server down: calls end now, not when they would have. */
static void give_up_all(struct rpcprof_grpc_service *service)
{
	if (service->stopping)
		return;
	service->stopping = true;
	for (struct grpc_service_call *c = service->calls; c != NULL; c = c->next)
		if (c->call != NULL)
			cut_off(c, "the service stops");
}

static void requested(struct grpc_service_call *c, bool success)
{
	if (!success) {
		give_up_all(c->service);
		return;
	}
	(void)rpcprof_grpc_service_request(c->service, c->method);
	await_close(c);
	if (c->service->methods != NULL)
		answer(c); /* core has received the message, too */
	else
		receive(c);
}

bool rpcprof_grpc_service_request(struct rpcprof_grpc_service *service, size_t i)
{
	struct grpc_service_call *c = calloc(1, sizeof(*c));
	grpc_call_error error;

	if (c == NULL)
		return false;
	c->service = service;
	c->method = i;
	c->wake = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	c->other = (struct step){requested, c};
	c->steps = 1;
	grpc_call_details_init(&c->details);
	grpc_metadata_array_init(&c->metadata);
	c->next = service->calls;
	c->link = &service->calls;
	if (c->next != NULL)
		c->next->link = &c->next;
	service->calls = c;
	error = service->methods != NULL
	                ? grpc_server_request_registered_call(
				  service->server, service->methods[i], &c->call, &c->deadline,
				  &c->metadata, &c->request, service->queue, service->queue,
				  &c->other)
	                : grpc_server_request_call(service->server, &c->call, &c->details,
	                                           &c->metadata, service->queue,
	                                           service->queue, &c->other);
	if (error == GRPC_CALL_OK)
		return true;
	call_free(c);
	return false;
}

void rpcprof_grpc_service_event(const grpc_event *event)
{
	struct step *step = event->tag;

	if (step == NULL) /* of the shutdown of our own server */
		return;
	step->done(step->c, event->success != 0);
	if (--step->c->steps == 0)
		call_free(step->c);
}

gpr_timespec rpcprof_grpc_service_due(struct rpcprof_grpc_service *service)
{
	gpr_timespec next = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);

	for (struct grpc_service_call *c = service->calls; c != NULL; c = c->next) {
		if (gpr_time_cmp(c->wake, now) <= 0) {
			if (!c->waiting)
				cut_off(c, "the peer took too long");
			else
				answer_next(c);
		}
		next = gpr_time_min(next, c->wake);
	}
	return next;
}
