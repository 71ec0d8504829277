/* SPDX-License-Identifier: Apache-2.0 */
/* Which stages a call on gRPC core has, and that they lie as they happened. */
#include "grpc_loop.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "grpc_sums.h"

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
	loop_done(&server);
	loop_done(&client);
	loop_close(&loop);
	seen_read(&all);
	cr_assert_eq(all.count, 2u);
	cr_assert_eq(sums_add_up(), 2);
}

static void unary(void)
{
	loop_meet(&loop, &client, &server, METHOD, 10000);
	loop_send(&server, true, "reply", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	both_done();
}

#define BOTH_WAYS(name)                                                                        \
	static void name(void);                                                                \
	Test(grpc_stages_embedded, name)                                                       \
	{                                                                                      \
		open_loop(EMBEDDED);                                                           \
		name();                                                                        \
	}                                                                                      \
	Test(grpc_stages_wrapped, name)                                                        \
	{                                                                                      \
		open_loop(WRAPPED);                                                            \
		name();                                                                        \
	}                                                                                      \
	static void name(void)

static void expect_stages(uint32_t side, const char *const *names, uint32_t count)
{
	const struct seen *s = seen_side(&all, side);

	cr_assert_eq(s->timers, count, "%u timers", s->timers);
	for (uint32_t i = 0; i < count; i++)
		cr_assert_eq(seen_stages(s, names[i]), i > 0 && names[i] == names[i - 1] ? 2u : 1u,
		             "%s", names[i]);
	for (uint32_t i = 0; i < count; i++) {
		cr_assert_neq(s->timer[i].end, 0u, "%s is open", names[i]);
		cr_assert(s->timer[i].begin >= s->begin && s->timer[i].begin <= s->timer[i].end &&
		          s->timer[i].end <= s->end);
	}
}

BOTH_WAYS(a_server_has_its_stages_and_the_close_is_none)
{
	static const char start[] = "/send/start_batch";
	static const char *const names[] = { "/recv/header", "/recv/message", "/send/message",
		                             "/send/status" };
	const struct seen *s;

	unary();
	s = seen_side(&all, RPCPROF_TAG_SERVER);
	cr_assert_eq(s->timers, 6u);
	cr_assert_eq(seen_stages(s, start), 2u);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(seen_stages(s, names[i]), 1u, "%s", names[i]);
}

BOTH_WAYS(a_servers_stat_begins_with_the_header)
{
	const struct rpcprof_timer_view *header;
	const struct seen *s;

	unary();
	s = seen_side(&all, RPCPROF_TAG_SERVER);
	header = seen_stage(s, "/recv/header");
	cr_assert_eq(header->begin, s->begin);
	cr_assert_eq(header->end, s->begin);
}

BOTH_WAYS(a_client_with_four_batches_has_a_stage_for_each)
{
	static const char *const names[] = { "/create", "/send/message", "/send/start_batch",
		                             "/recv/header", "/recv/message", "/recv/status" };

	unary();
	expect_stages(RPCPROF_TAG_CLIENT, names, 6);
}

BOTH_WAYS(receives_started_together_follow_one_another)
{
	const struct rpcprof_timer_view *header, *message, *status;
	const struct seen *s;

	unary();
	s = seen_side(&all, RPCPROF_TAG_CLIENT);
	header = seen_stage(s, "/recv/header");
	message = seen_stage(s, "/recv/message");
	status = seen_stage(s, "/recv/status");
	cr_assert_eq(message->begin, header->end);
	cr_assert_eq(status->begin, message->end);
}

BOTH_WAYS(a_batch_of_all_six_operations_is_one_stage)
{
	static const char *const names[] = { "/create", "/recv/status", "/send/start_batch" };
	grpc_slice slice = grpc_slice_from_static_string("hello");
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_op ops[6];

	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = message;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &client.metadata;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &client.received;
	ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[5].data.recv_status_on_client.trailing_metadata = &client.trailers;
	ops[5].data.recv_status_on_client.status = &client.status;
	ops[5].data.recv_status_on_client.status_details = &client.status_details;
	loop_request(&server, &loop);
	loop_create(&client, &loop, METHOD, 10000);
	loop_start(&client, ops, 6);
	loop_wait(&server.request);
	loop_receive_close(&server);
	loop_send(&server, true, "reply", false);
	loop_send_status(&server, false, GRPC_STATUS_OK);
	both_done();
	grpc_byte_buffer_destroy(message);
	expect_stages(RPCPROF_TAG_CLIENT, names, 3);
	cr_assert_eq(seen_side(&all, RPCPROF_TAG_CLIENT)->status, GRPC_STATUS_OK);
}

BOTH_WAYS(a_batch_that_core_refuses_leaves_no_stage_open)
{
	const struct seen *s;

	loop_request(&server, &loop);
	loop_create(&client, &loop, METHOD, 10000);
	loop_send(&client, true, "hello", true);
	loop_receive(&client);
	cr_assert_null(loop_receive(&client)); /* a second one at the same time */
	loop_receive_header(&client);
	loop_receive_status(&client);
	loop_wait(&server.request);
	loop_receive_close(&server);
	loop_send_status(&server, true, GRPC_STATUS_OK);
	both_done();
	s = seen_side(&all, RPCPROF_TAG_CLIENT);
	for (uint32_t i = 0; i < s->timers; i++)
		cr_assert_neq(s->timer[i].end, 0u);
}

/* Each thread adds its stage by a reference of its own. */
static void *add_stage(void *arg)
{
	struct rpcprof_stat *stat = arg;
	struct rpcprof_timer timer = rpcprof_timer_begin(*stat, RPCPROF_TAG("/handler"));

	rpcprof_timer_end(timer);
	rpcprof_stat_end(*stat);
	return NULL;
}

BOTH_WAYS(a_call_handled_by_three_threads_has_the_stages_of_each)
{
	struct rpcprof_stat stat;
	pthread_t threads[3];

	loop_meet(&loop, &client, &server, METHOD, 10000);
	stat = loop_stat(&server);
	for (unsigned i = 0; i < 3; i++) {
		rpcprof_stat_retain(stat);
		pthread_create(&threads[i], NULL, add_stage, &stat);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	loop_send_status(&server, true, GRPC_STATUS_OK);
	both_done();
	cr_assert_eq(seen_stages(seen_side(&all, RPCPROF_TAG_SERVER), "/handler"), 3u);
}

BOTH_WAYS(a_servers_connection_is_its_peers)
{
	uint64_t expected;
	char *peer;

	loop_meet(&loop, &client, &server, METHOD, 10000);
	peer = grpc_call_get_peer(server.call);
	expected = rpcprof_call_connection(peer, strlen(peer));
	gpr_free(peer);
	loop_send_status(&server, true, GRPC_STATUS_OK);
	both_done();
	cr_assert_eq(seen_side(&all, RPCPROF_TAG_SERVER)->connection, expected);
}

static const char *server_method(grpc_status_code answer)
{
	/* Both sides are one process here, and the client's own name would be believed: so a
	 * client that is not recorded. */
	rpcprof_enable(false);
	loop_create(&client, &loop, "/made.Up/Name", 10000);
	rpcprof_enable(true);
	loop_request(&server, &loop);
	loop_send(&client, true, "hello", true);
	loop_receive_status(&client);
	loop_wait(&server.request);
	loop_receive_close(&server);
	loop_send_status(&server, true, answer);
	loop_done(&server);
	loop_done(&client);
	loop_close(&loop);
	seen_read(&all);
	return rpcprof_tag_name(seen_side(&all, RPCPROF_TAG_SERVER)->method, NULL);
}

Test(grpc_stages_wrapped, a_strangers_method_is_named_once_answered)
{
	open_loop(WRAPPED);
	cr_assert_str_eq(server_method(GRPC_STATUS_OK), "/made.Up/Name");
}

Test(grpc_stages_wrapped, a_method_that_does_not_exist_is_not_named)
{
	open_loop(WRAPPED);
	cr_assert_str_eq(server_method(GRPC_STATUS_UNIMPLEMENTED), "_OTHER");
}
