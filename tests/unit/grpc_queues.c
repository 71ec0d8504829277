/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on each kind of queue, with several batches, with one for all, and with that one split. */
#include "grpc_loop.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "grpc_sums.h"

#include "rpc/grpc_internal.h"

static struct loop loop;
static struct loop_call client, server;
static struct seen_all all;

/* A functor of the user's that is told when his callback queue has shut down. */
static struct loop_tag shut_down;

static grpc_completion_queue *queue(grpc_cq_completion_type type)
{
	grpc_completion_queue_attributes attributes = {
		.version = GRPC_CQ_CURRENT_VERSION,
		.cq_completion_type = type,
		.cq_polling_type = GRPC_CQ_DEFAULT_POLLING,
		.cq_shutdown_cb = &shut_down.functor,
	};

	shut_down.functor.functor_run = loop_functor_run;
	__atomic_store_n(&shut_down.under_way, true, __ATOMIC_RELEASE);
	return rpcprof_grpc_completion_queue_create(
		grpc_completion_queue_factory_lookup(&attributes), &attributes, NULL);
}

static void open_loop(grpc_cq_completion_type type, bool split)
{
	struct rpcprof_grpc_config config = { .size = sizeof(config), .split_batches = split };

	cr_assert_eq(rpcprof_grpc_start(&config), 0);
	loop_open(&loop, WRAPPED);
	if (type != GRPC_CQ_NEXT)
		loop_use_queue(&loop, type, queue(type));
}

static void close_loop(void)
{
	if (loop.client_type != GRPC_CQ_NEXT) {
		grpc_completion_queue_shutdown(loop.client_cq);
		while (loop.client_type == GRPC_CQ_CALLBACK &&
		       loop_under_way(&shut_down))
			loop_step(&loop, 5);
		rpcprof_grpc_completion_queue_destroy(loop.client_cq);
	}
	loop_close(&loop);
}

static void both_done(int32_t status)
{
	struct rpcprof_grpc_counters counters;

	loop_done(&server);
	loop_done(&client);
	close_loop();
	seen_read(&all);
	cr_assert_eq(all.count, 2u);
	cr_assert_eq(sums_add_up(), 2);
	cr_assert_eq(seen_side(&all, RPCPROF_TAG_CLIENT)->status, status);
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.under_way, 0u);
	cr_assert_eq(counters.unknown_queue, 0u);
}

static void several_batches(grpc_cq_completion_type type)
{
	static const char *const stages[] = { "/send/message", "/recv/header", "/recv/message",
		                              "/recv/status" };

	open_loop(type, false);
	loop_meet(&loop, &client, &server, METHOD, 10000);
	loop_send(&server, true, "reply", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	loop_wait_all(&client);
	cr_assert(client.received);
	both_done(GRPC_STATUS_OK);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(seen_stages(seen_side(&all, RPCPROF_TAG_CLIENT), stages[i]), 1u);
}

/* The client's six operations in one batch, in no particular order. */
static struct loop_tag *start_all(uint32_t send_flags)
{
	grpc_slice slice = grpc_slice_from_static_string("hello");
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	struct loop_tag *tag;
	grpc_op ops[6];

	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[0].data.recv_status_on_client.trailing_metadata = &client.trailers;
	ops[0].data.recv_status_on_client.status = &client.status;
	ops[0].data.recv_status_on_client.status_details = &client.status_details;
	ops[1].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[2].op = GRPC_OP_SEND_MESSAGE;
	ops[2].flags = send_flags;
	ops[2].data.send_message.send_message = message;
	ops[3].op = GRPC_OP_RECV_MESSAGE;
	ops[3].data.recv_message.recv_message = &client.received;
	ops[4].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[5].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[5].data.recv_initial_metadata.recv_initial_metadata = &client.metadata;
	tag = loop_start(&client, ops, 6);
	grpc_byte_buffer_destroy(message);
	return tag;
}

static void one_batch(grpc_cq_completion_type type, bool split)
{
	open_loop(type, split);
	loop_request(&server, &loop);
	loop_create(&client, &loop, METHOD, 10000);
	cr_assert(start_all(0));
	loop_wait(&server.request);
	loop_receive_close(&server);
	loop_wait(loop_receive(&server));
	cr_assert(server.received);
	cr_assert(loop_under_way(&client.tags[0]));
	loop_send(&server, true, "reply", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	loop_wait_all(&client);
	cr_assert(client.tags[0].success);
	cr_assert(client.received);
	both_done(GRPC_STATUS_OK);
}

static void expect_whole(void)
{
	const struct seen *s = seen_side(&all, RPCPROF_TAG_CLIENT);

	cr_assert_eq(s->timers, 3u);
	cr_assert_eq(seen_stages(s, "/recv/status"), 1u);
}

static void expect_split(void)
{
	const struct seen *s = seen_side(&all, RPCPROF_TAG_CLIENT);
	const struct rpcprof_timer_view *header = seen_stage(s, "/recv/header");
	const struct rpcprof_timer_view *message = seen_stage(s, "/recv/message");
	const struct rpcprof_timer_view *status = seen_stage(s, "/recv/status");

	cr_assert_eq(s->timers, 6u); /* and /create, /send/message, /send/start_batch */
	cr_assert_eq(seen_stages(s, "/send/message"), 1u);
	cr_assert(header && message && status);
	cr_assert_leq(header->begin, header->end);
	cr_assert_eq(message->begin, header->end);
	cr_assert_eq(status->begin, message->end);
}

#define EACH_QUEUE(name)                                                                       \
	static void name(grpc_cq_completion_type type);                                        \
	Test(grpc_queues, name##_next)                                                         \
	{                                                                                      \
		name(GRPC_CQ_NEXT);                                                            \
	}                                                                                      \
	Test(grpc_queues, name##_pluck)                                                        \
	{                                                                                      \
		name(GRPC_CQ_PLUCK);                                                           \
	}                                                                                      \
	Test(grpc_queues, name##_callback)                                                     \
	{                                                                                      \
		name(GRPC_CQ_CALLBACK);                                                        \
	}                                                                                      \
	static void name(grpc_cq_completion_type type)

EACH_QUEUE(each_of_several_batches_is_a_stage)
{
	several_batches(type);
}

EACH_QUEUE(one_batch_for_all_is_one_stage)
{
	one_batch(type, false);
	expect_whole();
}

EACH_QUEUE(one_batch_for_all_that_is_split_has_each_stage_and_one_event)
{
	one_batch(type, true);
	expect_split();
}

/* Header and message never come: their parts fail, the batch does not. */
EACH_QUEUE(a_split_batch_of_a_call_that_fails_succeeds_as_a_whole)
{
	open_loop(type, true);
	loop_create(&client, &loop, METHOD, 10000);
	cr_assert(start_all(0));
	grpc_call_cancel(client.call, NULL);
	loop_wait_all(&client);
	cr_assert(client.tags[0].success);
	cr_assert_eq(client.status, GRPC_STATUS_CANCELLED);
	loop_done(&client);
	close_loop();
	seen_read(&all);
	cr_assert_eq(all.count, 1u);
	cr_assert_eq(all.stat[0].status, GRPC_STATUS_CANCELLED);
}

/* The queue would not shut down if a part were under way. */
EACH_QUEUE(a_split_batch_that_core_refuses_has_started_nothing)
{
	open_loop(type, true);
	loop_create(&client, &loop, METHOD, 10000);
	cr_assert_null(start_all(0x00010000u));
	loop_done(&client);
	close_loop();
	seen_read(&all);
	cr_assert_eq(all.count, 1u);
	for (uint32_t i = 0; i < all.stat[0].timers; i++)
		cr_assert_neq(all.stat[0].timer[i].end, 0u);
}

EACH_QUEUE(a_server_on_the_queue_is_recorded)
{
	/* A server takes requests from a queue that it knows, so only the calls are on this one. */
	open_loop(type, false);
	loop_call_init(&server, &loop);
	server.request.owner = &server;
	server.request.under_way = true;
	server.client = true; /* waits as a client on the queue of its own */
	cr_assert_eq(rpcprof_grpc_server_request_call(loop.server, &server.call, &server.details,
	                                              &server.metadata, loop.client_cq, loop.cq,
	                                              &server.request),
	             GRPC_CALL_OK);
	loop_create(&client, &loop, METHOD, 10000);
	loop_send(&client, true, "hello", true);
	loop_receive_header(&client);
	loop_receive(&client);
	loop_receive_status(&client);
	while (server.request.under_way)
		loop_step(&loop, 5);
	loop_receive_close(&server);
	loop_send(&server, true, "reply", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	both_done(GRPC_STATUS_OK);
	cr_assert_eq(seen_side(&all, RPCPROF_TAG_SERVER)->status, GRPC_STATUS_OK);
	cr_assert_eq(seen_stages(seen_side(&all, RPCPROF_TAG_SERVER), "/send/message"), 1u);
	cr_assert_eq(seen_stages(seen_side(&all, RPCPROF_TAG_SERVER), "/send/status"), 1u);
}

/* Someone waits for the tag before the batch is started. */
static void *pluck_early(void *arg)
{
	struct loop_tag *tag = arg;
	grpc_event event;

	event = rpcprof_grpc_completion_queue_pluck(loop.client_cq, tag,
	                                            gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	cr_assert_eq(event.type, GRPC_OP_COMPLETE);
	loop_functor_run(&tag->functor, event.success);
	return NULL;
}

Test(grpc_queues, a_split_batch_that_is_plucked_before_it_starts_comes_whole)
{
	pthread_t thread;

	open_loop(GRPC_CQ_PLUCK, true);
	loop_request(&server, &loop);
	loop_create(&client, &loop, METHOD, 10000);
	pthread_create(&thread, NULL, pluck_early, &client.tags[0]);
	loop_step(&loop, 50); /* lets it get there */
	cr_assert(start_all(0));
	loop_wait(&server.request);
	loop_receive_close(&server);
	loop_send(&server, true, "reply", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	while (loop_under_way(&client.tags[0]))
		loop_step(&loop, 5);
	pthread_join(thread, NULL);
	cr_assert(client.received);
	both_done(GRPC_STATUS_OK);
}

/* Their addresses come again, for queues of the other kind. */
Test(grpc_queues, a_thousand_queues_are_known_by_their_kinds)
{
	grpc_completion_queue *queues[1000];

	grpc_init();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 1000; i++)
			queues[i] = i % 2 == round
			                    ? rpcprof_grpc_completion_queue_create_for_next(NULL)
			                    : rpcprof_grpc_completion_queue_create_for_pluck(NULL);
		for (int i = 0; i < 1000; i++)
			cr_assert_eq(rpcprof_grpc_queue_kind(queues[i]),
			             i % 2 == round ? GRPC_QUEUE_NEXT : GRPC_QUEUE_PLUCK);
		for (int i = 0; i < 1000; i++) {
			grpc_completion_queue_shutdown(queues[i]);
			rpcprof_grpc_completion_queue_destroy(queues[i]);
			cr_assert_eq(rpcprof_grpc_queue_kind(queues[i]), GRPC_QUEUE_UNKNOWN);
		}
	}
	grpc_shutdown();
}
