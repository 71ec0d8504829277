/* SPDX-License-Identifier: Apache-2.0 */
/* Each way a call can end leaves one finished Stat on each side, with the right status. */
#include "grpc_loop.h"

#include <criterion/criterion.h>

#include "rpc/grpc_internal.h"

static struct loop loop;
static struct loop_call client, server;
static struct seen_all all;

static void open_loop(enum way way)
{
	cr_assert_eq(rpcprof_init(NULL), 0);
	rpcprof_enable(true);
	loop_open(&loop, way);
}

static void both_done(void)
{
	struct rpcprof_grpc_counters counters;

	loop_done(&server);
	loop_done(&client);
	loop_close(&loop);
	seen_read(&all);
	cr_assert_eq(all.count, 2u);
	cr_assert_eq(seen_in_flight(), 0);
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.under_way, 0u);
}

static void expect_status(uint32_t side, int32_t status)
{
	cr_assert_eq(seen_side(&all, side)->status, status, "%d, not %d",
	             seen_side(&all, side)->status, status);
}

#define BOTH_WAYS(name)                                                                        \
	static void name(void);                                                                \
	Test(grpc_status_embedded, name)                                                       \
	{                                                                                      \
		open_loop(EMBEDDED);                                                           \
		name();                                                                        \
	}                                                                                      \
	Test(grpc_status_wrapped, name)                                                        \
	{                                                                                      \
		open_loop(WRAPPED);                                                            \
		name();                                                                        \
	}                                                                                      \
	static void name(void)

BOTH_WAYS(unary_that_succeeds_is_ok_on_both_sides)
{
	loop_meet(&loop, &client, &server, METHOD, 10000);
	loop_send(&server, true, "reply", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_OK);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_OK);
}

BOTH_WAYS(unary_that_fails_has_the_handlers_status_on_both_sides)
{
	loop_meet(&loop, &client, &server, METHOD, 10000);
	loop_send_status(&server, true, GRPC_STATUS_NOT_FOUND);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_NOT_FOUND);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_NOT_FOUND);
}

/* The server learns of it by the client's reset or by its own deadline, whichever is first; under
 * load the reset may come while the server's deadline, counted from the call's arrival, is still
 * some way off. */
static void expect_timed_out_server(void)
{
	int32_t status = seen_side(&all, RPCPROF_TAG_SERVER)->status;

	cr_assert(status == GRPC_STATUS_DEADLINE_EXCEEDED || status == GRPC_STATUS_CANCELLED);
}

BOTH_WAYS(unary_that_times_out_is_deadline_exceeded)
{
	loop_connect(&loop); /* else it may be over before it reaches the server */
	loop_meet(&loop, &client, &server, METHOD, 1000);
	loop_wait_all(&server);
	cr_assert_eq(server.cancelled, 1);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_DEADLINE_EXCEEDED);
	expect_timed_out_server();
}

BOTH_WAYS(a_server_that_is_cancelled_past_the_deadline_says_deadline_exceeded)
{
	struct rpcprof_grpc_call *c = &server.prof;

	loop_meet(&loop, &client, &server, METHOD, 10000);
	if (loop.way == WRAPPED)
		c = &rpcprof_grpc_calls_find(server.call)->c;
	c->deadline = gpr_now(GPR_CLOCK_MONOTONIC);
	grpc_call_cancel(client.call, NULL);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_CANCELLED);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_DEADLINE_EXCEEDED);
}

BOTH_WAYS(unary_that_the_client_cancels_is_cancelled_on_both_sides)
{
	loop_meet(&loop, &client, &server, METHOD, 10000);
	grpc_call_cancel(client.call, NULL);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_CANCELLED);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_CANCELLED);
}

BOTH_WAYS(an_answer_that_comes_after_the_clients_cancel_stays_cancelled)
{
	loop_meet(&loop, &client, &server, METHOD, 10000);
	grpc_call_cancel(client.call, NULL);
	loop_wait_all(&client);
	loop_wait(&server.tags[0]);
	loop_send_status(&server, true, GRPC_STATUS_OK);
	both_done();
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_CANCELLED);
}

/* Core took the status, and then the client's cancel before the status was on its way. */
Test(grpc_status_embedded, a_status_that_was_taken_but_overtaken_by_a_cancel_is_cancelled)
{
	struct rpcprof_grpc_batch batch;
	grpc_op op;

	open_loop(EMBEDDED);
	loop_meet(&loop, &client, &server, METHOD, 10000);
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	op.data.send_status_from_server.status = GRPC_STATUS_OK;
	rpcprof_timer_end(rpcprof_grpc_batch_begin(&server.prof, &batch, &op, 1));
	rpcprof_grpc_batch_end(&server.prof, &batch, true);
	grpc_call_cancel(client.call, NULL);
	both_done();
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_CANCELLED);
}

BOTH_WAYS(unary_that_the_server_cancels_has_what_core_told_the_client)
{
	loop_meet(&loop, &client, &server, METHOD, 10000);
	grpc_call_cancel(server.call, NULL);
	both_done();
	cr_assert_neq(client.status, GRPC_STATUS_OK);
	expect_status(RPCPROF_TAG_CLIENT, (int32_t)client.status);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_CANCELLED);
}

/* The client reads messages until the stream ends. */
static void read_stream(uint32_t messages)
{
	uint32_t got = 0;

	loop_wait_all(&client);
	while (client.received && client.started < LOOP_BATCHES) {
		got++;
		loop_wait(loop_receive(&client));
	}
	cr_assert_eq(got, messages);
}

static void write_stream(uint32_t messages)
{
	loop_wait(loop_send(&server, true, NULL, false));
	for (uint32_t i = 0; i < messages; i++)
		loop_wait(loop_send(&server, false, "part", false));
}

/* As loop_meet(), but the client asks for its status when the stream has ended. */
static void meet_stream(int64_t timeout_ms)
{
	loop_request(&server, &loop);
	loop_create(&client, &loop, METHOD, timeout_ms);
	loop_send(&client, true, "hello", true);
	loop_receive_header(&client);
	loop_receive(&client);
	loop_wait(&server.request);
	loop_receive_close(&server);
	loop_wait(loop_receive(&server));
}

BOTH_WAYS(stream_that_succeeds_has_a_timer_for_each_message)
{
	const struct seen *s;

	meet_stream(10000);
	write_stream(5);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	read_stream(5);
	loop_receive_status(&client);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_OK);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_OK);
	s = seen_side(&all, RPCPROF_TAG_SERVER);
	cr_assert_eq(seen_stages(s, "/send/message"), 5u);
	cr_assert_eq(seen_stages(s, "/send/header"), 1u);
	cr_assert_eq(seen_stages(s, "/send/status"), 1u);
	s = seen_side(&all, RPCPROF_TAG_CLIENT);
	cr_assert_eq(seen_stages(s, "/recv/message"), 6u); /* the last finds the end */
	cr_assert_eq(seen_stages(s, "/recv/status"), 1u);
}

BOTH_WAYS(stream_that_fails_midway_has_the_handlers_status)
{
	meet_stream(10000);
	write_stream(2);
	loop_send_status(&server, false, GRPC_STATUS_INTERNAL);
	read_stream(2);
	loop_receive_status(&client);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_INTERNAL);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_INTERNAL);
}

BOTH_WAYS(stream_that_the_client_cancels_midway_is_cancelled)
{
	meet_stream(10000);
	write_stream(2);
	loop_wait_all(&client);
	grpc_call_cancel(client.call, NULL);
	loop_receive_status(&client);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_CANCELLED);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_CANCELLED);
}

BOTH_WAYS(stream_that_times_out_midway_is_deadline_exceeded)
{
	loop_connect(&loop); /* as above; time enough for valgrind to bring it to the server */
	meet_stream(2000);
	write_stream(1);
	loop_receive_status(&client);
	both_done();
	cr_assert_eq(server.cancelled, 1);
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_DEADLINE_EXCEEDED);
	expect_timed_out_server();
}

BOTH_WAYS(stream_that_the_server_cancels_midway_is_cancelled)
{
	meet_stream(10000);
	write_stream(2);
	grpc_call_cancel(server.call, NULL);
	loop_receive_status(&client);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, (int32_t)client.status);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_CANCELLED);
}

BOTH_WAYS(a_client_that_gives_up_unanswered_is_cancelled)
{
	loop_request(&server, &loop);
	loop_create(&client, &loop, METHOD, 10000);
	loop_send(&client, true, "hello", true);
	loop_wait(&server.request);
	loop_receive_close(&server);
	loop_wait_all(&client);
	loop_done(&client);
	client.call = NULL;
	client.received = NULL;
	loop_wait_all(&server);
	loop_done(&server);
	loop_close(&loop);
	seen_read(&all);
	expect_status(RPCPROF_TAG_CLIENT, GRPC_STATUS_CANCELLED);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_CANCELLED);
}

BOTH_WAYS(a_server_that_shuts_down_finishes_the_calls_in_flight)
{
	grpc_server *stopped = loop.server;
	struct loop_call idle;
	struct loop_tag stop = { .owner = &server };

	loop_meet(&loop, &client, &server, METHOD, 10000);
	loop_request(&idle, &loop);
	stop.under_way = true;
	grpc_server_shutdown_and_notify(stopped, loop.cq, &stop);
	grpc_server_cancel_all_calls(stopped);
	loop_wait(&idle.request);
	cr_assert_not(idle.request.success);
	loop_done(&idle);
	both_done();
	expect_status(RPCPROF_TAG_CLIENT, (int32_t)client.status);
	expect_status(RPCPROF_TAG_SERVER, GRPC_STATUS_CANCELLED);
	cr_assert_not(stop.under_way);
}
