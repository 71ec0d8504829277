/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of call, and every way one can go wrong: one finished Stat a side, whose parts add up. */
#include "grpc_loop.h"

#include <criterion/criterion.h>

#include "grpc_sums.h"

static struct loop loop;
static struct loop_call client, server;
static struct seen_all all;

static void open_loop(enum way way)
{
	cr_assert_eq(rpcprof_grpc_start(NULL), 0);
	loop_open(&loop, way);
}

/* Closes all; there are so many Stats, none unfinished. */
static void all_done(uint32_t stats)
{
	struct rpcprof_grpc_counters counters;

	loop_close(&loop);
	seen_read(&all);
	cr_assert_eq(all.count, stats, "%u Stats, not %u", all.count, stats);
	cr_assert_eq(sums_add_up(), (int64_t)stats);
	cr_assert_eq(seen_in_flight(), 0);
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.under_way, 0u);
}

static void both_done(void)
{
	loop_done(&server);
	loop_done(&client);
	all_done(2);
}

static void expect_status(uint32_t side, int32_t status)
{
	cr_assert_eq(seen_side(&all, side)->status, status, "%d, not %d",
	             seen_side(&all, side)->status, status);
}

#define BOTH_WAYS(name)                                                                        \
	static void name(void);                                                                \
	Test(grpc_kinds_embedded, name)                                                        \
	{                                                                                      \
		open_loop(EMBEDDED);                                                           \
		name();                                                                        \
	}                                                                                      \
	Test(grpc_kinds_wrapped, name)                                                         \
	{                                                                                      \
		open_loop(WRAPPED);                                                            \
		name();                                                                        \
	}                                                                                      \
	static void name(void)

/* The call has come to the server, and nothing of it but its header is sent. */
static void meet(void)
{
	loop_request(&server, &loop);
	loop_create(&client, &loop, METHOD, 10000);
	loop_wait(loop_send(&client, true, NULL, false));
	loop_receive_header(&client);
	loop_wait(&server.request);
	cr_assert(server.call);
	loop_receive_close(&server);
}

BOTH_WAYS(a_client_stream_has_a_timer_for_each_message_on_both_sides)
{
	const struct seen *s;

	meet();
	for (unsigned i = 0; i < 3; i++) {
		loop_wait(loop_send(&client, false, "part", i == 2));
		loop_wait(loop_receive(&server));
		cr_assert(server.received);
	}
	loop_send(&server, true, "sum", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	loop_receive(&client);
	loop_receive_status(&client);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_OK);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_OK);
	s = seen_side(&all, RPCPROF_TAG_CLIENT);
	cr_assert_eq(seen_stages(s, "/send/header"), 1u);
	cr_assert_eq(seen_stages(s, "/send/message"), 3u);
	cr_assert_eq(seen_stages(s, "/recv/message"), 1u);
	s = seen_side(&all, RPCPROF_TAG_SERVER);
	cr_assert_eq(seen_stages(s, "/recv/message"), 3u);
	cr_assert_eq(seen_stages(s, "/send/message"), 1u);
}

BOTH_WAYS(a_bidirectional_stream_has_a_timer_for_each_message_each_way)
{
	const struct seen *s;

	meet();
	for (unsigned i = 0; i < 3; i++) {
		loop_wait(loop_send(&client, false, "question", i == 2));
		loop_wait(loop_receive(&server));
		loop_wait(loop_send(&server, i == 0, "answer", false));
		loop_wait(loop_receive(&client));
		cr_assert(client.received);
	}
	loop_send_status(&server, false, GRPC_STATUS_OK);
	loop_receive_status(&client);
	both_done();
	for (uint32_t side = RPCPROF_TAG_CLIENT; side <= RPCPROF_TAG_SERVER; side++) {
		expect_status(side, GRPC_STATUS_OK);
		s = seen_side(&all, side);
		cr_assert_eq(seen_stages(s, "/send/message"), 3u);
		cr_assert_eq(seen_stages(s, "/recv/message"), 3u);
	}
}

static uint64_t folded_messages;

static int count_messages(void *arg, const struct rpcprof_view *view)
{
	uint64_t *messages = arg;
	struct rpcprof_timer_view timer;
	struct rpcprof_fold_view fold;
	uint32_t tag = rpcprof_tag_find("/send/message", (size_t)-1);

	if (rpcprof_view_side(view) != RPCPROF_TAG_SERVER)
		return 0;
	for (uint32_t i = 0; i < view->slots; i++)
		*messages += rpcprof_view_timer(view, i, &timer) && timer.tag == tag;
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		if (rpcprof_view_fold(view, i, &fold) && fold.tag == tag)
			folded_messages += fold.count;
	return 0;
}

BOTH_WAYS(a_long_stream_folds_and_every_message_counts)
{
	enum { MESSAGES = 100 };
	uint64_t messages = 0;

	meet();
	loop_wait(loop_send(&server, true, NULL, false));
	for (unsigned i = 0; i < MESSAGES; i++) {
		loop_wait(loop_send(&server, false, "part", false));
		server.started--; /* its tag is free again */
		loop_wait(loop_receive(&client));
		client.started--;
	}
	loop_send_status(&server, false, GRPC_STATUS_OK);
	loop_receive_status(&client);
	both_done();
	rpcprof_snapshot(NULL, count_messages, &messages);
	cr_assert_gt(messages, 0u);
	cr_assert_gt(folded_messages, 0u);
	cr_assert_eq(messages + folded_messages, (uint64_t)MESSAGES);
}

BOTH_WAYS(an_answer_without_a_message_is_a_status_alone)
{
	loop_meet(&loop, &client, &server, METHOD, 10000);
	loop_send_status(&server, true, GRPC_STATUS_PERMISSION_DENIED);
	loop_wait_all(&client);
	cr_assert_null(client.received);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_PERMISSION_DENIED);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_PERMISSION_DENIED);
}

BOTH_WAYS(a_call_that_nobody_listens_for_is_unavailable)
{
	struct loop_call stop = { .loop = &loop, .started = 1 };

	stop.tags[0].owner = &stop;
	stop.tags[0].under_way = true;
	stop.prof.call.stat = rpcprof_stat_none_();
	grpc_server_shutdown_and_notify(loop.server, loop.cq, &stop.tags[0]);
	loop_wait(&stop.tags[0]);
	loop_create(&client, &loop, METHOD, 10000);
	loop_send(&client, true, "hello", true);
	loop_receive_status(&client);
	loop_done(&client);
	all_done(1);
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_UNAVAILABLE);
}

BOTH_WAYS(a_message_to_a_client_that_has_gone_fails_and_the_call_is_cancelled)
{
	struct loop_tag *failed;

	loop_meet(&loop, &client, &server, METHOD, 10000);
	grpc_call_cancel(client.call, NULL);
	loop_wait_all(&client);
	loop_wait(&server.tags[0]); /* the close */
	failed = loop_send(&server, true, "too late", false);
	loop_wait(failed);
	cr_assert_not(failed->success);
	both_done();
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_CANCELLED);
}

BOTH_WAYS(a_channel_that_is_closed_leaves_the_calls_in_flight_to_finish)
{
	grpc_channel_credentials *credentials = grpc_insecure_credentials_create();

	loop_meet(&loop, &client, &server, METHOD, 10000);
	grpc_channel_destroy(loop.channel);
	loop_send(&server, true, "reply", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	loop_wait_all(&client);
	loop.channel = grpc_channel_create("127.0.0.1:1", credentials, NULL);
	grpc_channel_credentials_release(credentials);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_OK);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_OK);
}

/* A second receive at once, an operation of the other side, one with flags that are none, and a
 * second header: each refused, none leaves a trace but on the counters of core. */
BOTH_WAYS(batches_that_core_refuses_leave_the_call_as_it_was)
{
	grpc_op op;

	loop_meet(&loop, &client, &server, METHOD, 10000);
	cr_assert_null(loop_receive_close(&client));
	cr_assert_null(loop_receive_status(&server));
	cr_assert_null(loop_receive_header(&client));
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	op.flags = 0x80000000u;
	cr_assert_null(loop_start(&client, &op, 1));
	loop_send(&server, true, "reply", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_OK);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_OK);
}

Test(grpc_kinds_wrapped, a_request_that_core_refuses_leaves_nothing)
{
	grpc_completion_queue *other;
	struct rpcprof_grpc_counters counters;

	open_loop(WRAPPED);
	other = rpcprof_grpc_completion_queue_create_for_next(NULL);
	loop_call_init(&server, &loop);
	cr_assert_eq(rpcprof_grpc_server_request_call(loop.server, &server.call, &server.details,
	                                              &server.metadata, loop.cq, other,
	                                              &server.request),
	             GRPC_CALL_ERROR_NOT_SERVER_COMPLETION_QUEUE);
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.under_way, 0u);
	grpc_completion_queue_shutdown(other);
	rpcprof_grpc_completion_queue_destroy(other);
	loop_done(&server);
	all_done(0);
}

Test(grpc_kinds_wrapped, a_call_that_is_held_many_times_ends_with_the_last_reference)
{
	enum { REFERENCES = 1000 };

	open_loop(WRAPPED);
	loop_meet(&loop, &client, &server, METHOD, 10000);
	for (unsigned i = 0; i < REFERENCES; i++)
		rpcprof_grpc_call_ref(server.call);
	loop_send_status(&server, true, GRPC_STATUS_OK);
	loop_wait_all(&server);
	loop_wait_all(&client);
	for (unsigned i = 0; i < REFERENCES; i++) {
		cr_assert_eq(seen_in_flight(), 2);
		rpcprof_grpc_call_unref(server.call);
	}
	both_done();
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_OK);
}

/* A call made by a server's handler for the call that it handles: cancelled with it. */
Test(grpc_kinds_wrapped, a_child_call_is_cancelled_with_its_parent)
{
	struct loop_call child;

	open_loop(WRAPPED);
	loop_meet(&loop, &client, &server, METHOD, 10000);
	loop_call_init(&child, &loop);
	child.call = rpcprof_grpc_channel_create_call(
		loop.channel, server.call, GRPC_PROPAGATE_DEFAULTS, loop.cq,
		grpc_slice_from_static_string("/test.Echo/Child"), NULL, loop_in_ms(10000), NULL);
	loop_send(&child, true, "hello", true);
	loop_receive_status(&child);
	cr_assert_neq(loop_stat(&child).bits, loop_stat(&server).bits);
	grpc_call_cancel(client.call, NULL);
	loop_done(&server);
	loop_done(&client);
	loop_done(&child);
	all_done(3);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(all.stat[i].status, GRPC_STATUS_CANCELLED);
}

BOTH_WAYS(connection_and_number_name_one_call_of_a_side)
{
	enum { CALLS = 8 };

	for (unsigned i = 0; i < CALLS; i++) {
		loop_meet(&loop, &client, &server, METHOD, 10000);
		loop_send_status(&server, true, GRPC_STATUS_OK);
		loop_done(&server);
		loop_done(&client);
	}
	all_done(2 * CALLS);
	for (unsigned i = 0; i < all.count; i++)
		for (unsigned j = 0; j < i; j++)
			cr_assert(all.stat[i].side != all.stat[j].side ||
			          (all.stat[i].connection == all.stat[j].connection &&
			           all.stat[i].number != all.stat[j].number));
}
