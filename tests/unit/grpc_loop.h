/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GRPC_LOOP_H
#define GRPC_LOOP_H

/*
 * A server and a client over loopback TCP in one thread and on one completion queue, recorded
 * either way: by a struct embedded in the call (grpc_call.h), or by the wrapped calls (grpc.h).
 */
#include <assert.h>
#include <grpc/grpc.h>
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h>
#else
#include <grpc/grpc_security.h>
#endif
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <string.h>

#include "rpcprof/grpc.h"
#include "rpcprof/rpcprof.h"

enum way { EMBEDDED, WRAPPED };

#define METHOD "/test.Echo/Say"
#define LOOP_BATCHES 16

struct loop {
	enum way way;
	grpc_completion_queue *cq;
	grpc_completion_queue *client_cq; /* the same, or a pluck or callback queue */
	grpc_cq_completion_type client_type;
	grpc_server *server;
	grpc_channel *channel;
};

struct loop_call;

/* The user's tag of one batch. */
struct loop_tag {
	grpc_completion_queue_functor functor; /* on a callback queue, which then runs it */
	struct loop_call *owner;
	struct rpcprof_grpc_batch batch;
	bool under_way;
	bool success;
};

/* The user's struct of one call, either side. */
struct loop_call {
	struct loop *loop;
	grpc_call *call;
	struct rpcprof_grpc_call prof;
	struct loop_tag tags[LOOP_BATCHES];
	unsigned started;
	struct loop_tag request;
	bool client;
	grpc_call_details details;
	grpc_metadata_array metadata, trailers;
	grpc_byte_buffer *received;
	grpc_slice status_details;
	grpc_status_code status;
	int cancelled;
};

/* A functor may run on a thread of core's. */
static inline bool loop_under_way(const struct loop_tag *tag)
{
	return __atomic_load_n(&tag->under_way, __ATOMIC_ACQUIRE);
}

static inline gpr_timespec loop_in_ms(int64_t ms)
{
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
	                    gpr_time_from_millis(ms, GPR_TIMESPAN));
}

static inline void loop_open(struct loop *l, enum way way)
{
	grpc_channel_credentials *channel = NULL;
	grpc_server_credentials *server = NULL;
	char address[32];
	int port;

	grpc_init();
	l->way = way;
	l->cq = rpcprof_grpc_completion_queue_create_for_next(NULL);
	l->client_cq = l->cq;
	l->client_type = GRPC_CQ_NEXT;
	l->server = grpc_server_create(NULL, NULL);
	grpc_server_register_completion_queue(l->server, l->cq, NULL);
	server = grpc_insecure_server_credentials_create();
	port = grpc_server_add_http2_port(l->server, "127.0.0.1:0", server);
	assert(port > 0);
	grpc_server_credentials_release(server);
	grpc_server_start(l->server);
	snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	channel = grpc_insecure_credentials_create();
	l->channel = grpc_channel_create(address, channel, NULL);
	grpc_channel_credentials_release(channel);
}

static inline void loop_call_init(struct loop_call *c, struct loop *l)
{
	memset(c, 0, sizeof(*c));
	c->loop = l;
	c->status = (grpc_status_code)-1;
	c->cancelled = -1;
	c->request.owner = c;
	c->status_details = grpc_empty_slice();
	grpc_call_details_init(&c->details);
	grpc_metadata_array_init(&c->metadata);
	grpc_metadata_array_init(&c->trailers);
}

/* One event; its tag must be one of the user's own. */
static inline bool loop_step(struct loop *l, int64_t ms)
{
	grpc_event event = l->way == WRAPPED
		? rpcprof_grpc_completion_queue_next(l->cq, loop_in_ms(ms), NULL)
		: grpc_completion_queue_next(l->cq, loop_in_ms(ms), NULL);
	struct loop_tag *tag = event.tag;

	if (event.type != GRPC_OP_COMPLETE)
		return false;
	assert(tag->owner && tag->under_way);
	tag->under_way = false;
	tag->success = event.success;
	if (l->way == WRAPPED)
		return true;
	if (tag != &tag->owner->request) {
		rpcprof_grpc_batch_end(&tag->owner->prof, &tag->batch, event.success);
	} else if (event.success) {
		rpcprof_grpc_server_begin(&tag->owner->prof, tag->owner->call, &tag->owner->details);
		rpcprof_grpc_server_metadata(&tag->owner->prof, &tag->owner->metadata);
	}
	return true;
}

/* The connection is there; else the first call waits for it. */
static inline void loop_connect(struct loop *l)
{
	while (grpc_channel_check_connectivity_state(l->channel, 1) != GRPC_CHANNEL_READY)
		loop_step(l, 5);
}

/* The client's calls are on a queue of their own from now on. */
static inline void loop_use_queue(struct loop *l, grpc_cq_completion_type type,
                                  grpc_completion_queue *cq)
{
	l->client_type = type;
	l->client_cq = cq;
}

static inline void loop_functor_run(grpc_completion_queue_functor *functor, int success)
{
	struct loop_tag *tag = (struct loop_tag *)functor;

	tag->success = success;
	__atomic_store_n(&tag->under_way, false, __ATOMIC_RELEASE);
}

/* Looks whether a tag has come on a queue of the client's own, while the server goes on. */
static inline void loop_look(struct loop_tag *tag)
{
	struct loop *l = tag->owner->loop;
	grpc_event event;

	loop_step(l, 5);
	if (l->client_type != GRPC_CQ_PLUCK)
		return;
	event = rpcprof_grpc_completion_queue_pluck(l->client_cq, tag, loop_in_ms(5), NULL);
	if (event.type != GRPC_OP_COMPLETE)
		return;
	assert(event.tag == tag);
	loop_functor_run(&tag->functor, event.success);
}

static inline void loop_wait(struct loop_tag *tag)
{
	while (loop_under_way(tag)) {
		if (tag->owner->client && tag->owner->loop->client_type != GRPC_CQ_NEXT)
			loop_look(tag);
		else
			loop_step(tag->owner->loop, 10000);
	}
}

static inline void loop_wait_all(struct loop_call *c)
{
	for (unsigned i = 0; i < c->started; i++)
		loop_wait(&c->tags[i]);
}

static inline struct loop_tag *loop_start(struct loop_call *c, const grpc_op *ops, size_t nops)
{
	struct loop_tag *tag = &c->tags[c->started++];
	grpc_call_error error;

	assert(c->started <= LOOP_BATCHES);
	tag->owner = c;
	tag->functor.functor_run = loop_functor_run;
	__atomic_store_n(&tag->under_way, true, __ATOMIC_RELEASE);
	if (c->loop->way == WRAPPED) {
		error = rpcprof_grpc_call_start_batch(c->call, ops, nops, tag, NULL);
	} else {
		struct rpcprof_timer timer =
			rpcprof_grpc_batch_begin(&c->prof, &tag->batch, ops, nops);

		error = grpc_call_start_batch(c->call, ops, nops, tag, NULL);
		rpcprof_timer_end(timer);
		if (error != GRPC_CALL_OK)
			rpcprof_grpc_batch_refused(&c->prof, &tag->batch);
	}
	if (error != GRPC_CALL_OK) {
		tag->under_way = false;
		c->started--;
		return NULL;
	}
	return tag;
}

static inline void loop_request(struct loop_call *c, struct loop *l)
{
	grpc_call_error error;

	loop_call_init(c, l);
	c->request.under_way = true;
	if (l->way == WRAPPED)
		error = rpcprof_grpc_server_request_call(l->server, &c->call, &c->details,
		                                         &c->metadata, l->cq, l->cq, &c->request);
	else
		error = grpc_server_request_call(l->server, &c->call, &c->details, &c->metadata,
		                                 l->cq, l->cq, &c->request);
	assert(error == GRPC_CALL_OK);
}

static inline void loop_create(struct loop_call *c, struct loop *l, const char *method,
                               int64_t timeout_ms)
{
	grpc_slice name = grpc_slice_from_copied_string(method);

	loop_call_init(c, l);
	c->client = true;
	if (l->way == WRAPPED) {
		c->call = rpcprof_grpc_channel_create_call(l->channel, NULL, 0, l->client_cq, name,
		                                           NULL, loop_in_ms(timeout_ms), NULL);
	} else {
		struct rpcprof_timer timer = rpcprof_grpc_client_begin(
			&c->prof, l->channel, rpcprof_call_declare_method(method, strlen(method)));

		c->call = grpc_channel_create_call(l->channel, NULL, 0, l->cq, name, NULL,
		                                   loop_in_ms(timeout_ms), NULL);
		rpcprof_timer_end(timer);
	}
	grpc_slice_unref(name);
}

static inline struct rpcprof_stat loop_stat(struct loop_call *c)
{
	return c->loop->way == WRAPPED ? rpcprof_grpc_call_stat(c->call)
	                               : rpcprof_grpc_stat(&c->prof);
}

/* The user is done with the call. */
static inline void loop_done(struct loop_call *c)
{
	loop_wait_all(c);
	if (c->call && c->loop->way == WRAPPED) {
		rpcprof_grpc_call_unref(c->call);
	} else if (c->call) {
		rpcprof_grpc_end(&c->prof);
		grpc_call_unref(c->call);
	}
	grpc_byte_buffer_destroy(c->received);
	grpc_call_details_destroy(&c->details);
	grpc_metadata_array_destroy(&c->metadata);
	grpc_metadata_array_destroy(&c->trailers);
	grpc_slice_unref(c->status_details);
}

static inline void loop_close(struct loop *l)
{
	struct loop_call last = { .loop = l };

	last.request.owner = &last;
	last.request.under_way = true;
	grpc_server_shutdown_and_notify(l->server, l->cq, &last.tags[0]);
	last.tags[0] = last.request;
	last.started = 1;
	grpc_server_cancel_all_calls(l->server);
	last.prof.call.stat = rpcprof_stat_none_();
	loop_wait_all(&last);
	grpc_server_destroy(l->server);
	grpc_channel_destroy(l->channel);
	grpc_completion_queue_shutdown(l->cq);
	while (loop_step(l, 1000))
		;
	rpcprof_grpc_completion_queue_destroy(l->cq);
	grpc_shutdown();
}

/* Batches. */

static inline struct loop_tag *loop_send(struct loop_call *c, bool header, const char *text,
                                         bool close)
{
	grpc_slice slice = grpc_slice_from_copied_string(text ? text : "");
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_op ops[3];
	size_t n = 0;
	struct loop_tag *tag;

	memset(ops, 0, sizeof(ops));
	if (header)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	if (text) {
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = message;
	}
	if (close)
		ops[n++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	tag = loop_start(c, ops, n);
	grpc_byte_buffer_destroy(message);
	grpc_slice_unref(slice);
	return tag;
}

static inline struct loop_tag *loop_receive_header(struct loop_call *c)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_INITIAL_METADATA;
	op.data.recv_initial_metadata.recv_initial_metadata = &c->metadata;
	return loop_start(c, &op, 1);
}

static inline struct loop_tag *loop_receive(struct loop_call *c)
{
	grpc_op op;

	grpc_byte_buffer_destroy(c->received);
	c->received = NULL;
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &c->received;
	return loop_start(c, &op, 1);
}

static inline struct loop_tag *loop_receive_status(struct loop_call *c)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	op.data.recv_status_on_client.trailing_metadata = &c->trailers;
	op.data.recv_status_on_client.status = &c->status;
	op.data.recv_status_on_client.status_details = &c->status_details;
	return loop_start(c, &op, 1);
}

static inline struct loop_tag *loop_receive_close(struct loop_call *c)
{
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	op.data.recv_close_on_server.cancelled = &c->cancelled;
	return loop_start(c, &op, 1);
}

static inline struct loop_tag *loop_send_status(struct loop_call *c, bool header,
                                                grpc_status_code status)
{
	grpc_op ops[2];
	size_t n = 0;

	memset(ops, 0, sizeof(ops));
	if (header)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n++].data.send_status_from_server.status = status;
	return loop_start(c, ops, n);
}

/* A client's call with its four batches under way at once, and the server's that has come. */
static inline void loop_meet(struct loop *l, struct loop_call *client, struct loop_call *server,
                             const char *method, int64_t timeout_ms)
{
	loop_request(server, l);
	loop_create(client, l, method, timeout_ms);
	loop_send(client, true, "hello", true);
	loop_receive_status(client);
	loop_receive_header(client);
	loop_receive(client);
	loop_wait(&server->request);
	assert(server->call);
	loop_receive_close(server);
	loop_wait(loop_receive(server));
}

/* What was recorded. */

#define SEEN_TIMERS 32

struct seen {
	uint32_t side, method;
	int32_t status; /* -1: not set */
	uint64_t begin, end;
	uint64_t connection;
	uint32_t number;
	bool traced;
	uint8_t trace_id[16], span_id[8];
	uint32_t timers;
	struct rpcprof_timer_view timer[SEEN_TIMERS];
};

struct seen_all {
	uint32_t count;
	struct seen stat[64];
};

static inline int seen_add(void *arg, const struct rpcprof_view *view)
{
	struct seen_all *all = arg;
	struct seen *s = &all->stat[all->count++];

	assert(all->count <= 64);
	s->side = rpcprof_view_side(view);
	s->method = rpcprof_view_method(view);
	s->status = rpcprof_view_has(view, RPCPROF_HAS_STATUS) ? rpcprof_view_status(view) : -1;
	s->begin = rpcprof_view_begin(view);
	s->end = rpcprof_view_end(view);
	s->timers = 0;
	rpcprof_view_connection(view, &s->connection, &s->number);
	s->traced = rpcprof_view_trace(view, s->trace_id, s->span_id);
	for (uint32_t i = 0; i < view->slots; i++)
		if (rpcprof_view_timer(view, i, &s->timer[s->timers]))
			s->timers++;
	return 0;
}

static inline void seen_read(struct seen_all *all)
{
	memset(all, 0, sizeof(*all));
	rpcprof_snapshot(NULL, seen_add, all);
}

/* The one Stat of that side; asserts that there is exactly one. */
static inline const struct seen *seen_side(const struct seen_all *all, uint32_t side)
{
	const struct seen *found = NULL;

	for (uint32_t i = 0; i < all->count; i++)
		if (all->stat[i].side == side) {
			assert(!found);
			found = &all->stat[i];
		}
	assert(found);
	return found;
}

static inline uint32_t seen_stages(const struct seen *s, const char *stage)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->timers; i++)
		count += strcmp(rpcprof_tag_name(s->timer[i].tag, NULL), stage) == 0;
	return count;
}

static inline const struct rpcprof_timer_view *seen_stage(const struct seen *s, const char *stage)
{
	for (uint32_t i = 0; i < s->timers; i++)
		if (strcmp(rpcprof_tag_name(s->timer[i].tag, NULL), stage) == 0)
			return &s->timer[i];
	return NULL;
}

static inline int seen_nothing(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	(void)view;
	return 0;
}

/* How many Stats are unfinished. */
static inline int64_t seen_in_flight(void)
{
	return rpcprof_inflight(NULL, seen_nothing, NULL);
}

#endif
