/* SPDX-License-Identifier: Apache-2.0 */
/* The wrapped calls: whose tags they are, what passes through, and what goes on under a switch. */
#include "grpc_loop.h"

#include <criterion/criterion.h>

#include "rpc/grpc_internal.h"

static struct seen_all all;
static struct rpcprof_grpc_counters counters;
static gpr_timespec ever;

static void on(void)
{
	cr_assert_eq(rpcprof_init(NULL), 0);
	rpcprof_enable(true);
	grpc_init();
	ever = gpr_inf_future(GPR_CLOCK_MONOTONIC);
}

static void off(void)
{
	grpc_shutdown();
}

/* A call that fails at once and needs no server. */
struct lame {
	grpc_channel *channel;
	grpc_completion_queue *cq;
	grpc_call *call;
	grpc_metadata_array trailers;
	grpc_status_code status;
	grpc_slice details;
	grpc_op op;
};

static grpc_call *lame_create(struct lame *l)
{
	return rpcprof_grpc_channel_create_call(l->channel, NULL, 0, l->cq,
	                                        grpc_slice_from_static_string(METHOD), NULL, ever,
	                                        NULL);
}

static void lame_open(struct lame *l, grpc_completion_queue *cq)
{
	memset(l, 0, sizeof(*l));
	l->channel = grpc_lame_client_channel_create("nowhere", GRPC_STATUS_UNAVAILABLE, "lame");
	l->cq = cq;
	grpc_metadata_array_init(&l->trailers);
	l->call = lame_create(l);
	l->op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	l->op.data.recv_status_on_client.trailing_metadata = &l->trailers;
	l->op.data.recv_status_on_client.status = &l->status;
	l->op.data.recv_status_on_client.status_details = &l->details;
}

static void lame_start(struct lame *l, void *tag)
{
	cr_assert_eq(rpcprof_grpc_call_start_batch(l->call, &l->op, 1, tag, NULL), GRPC_CALL_OK);
}

static void lame_close(struct lame *l)
{
	if (l->call)
		rpcprof_grpc_call_unref(l->call);
	grpc_metadata_array_destroy(&l->trailers);
	grpc_slice_unref(l->details);
	grpc_channel_destroy(l->channel);
	grpc_completion_queue_shutdown(l->cq);
	rpcprof_grpc_completion_queue_destroy(l->cq);
}

static grpc_completion_queue *next_queue(void)
{
	return rpcprof_grpc_completion_queue_create_for_next(NULL);
}

static void expect_tag_back(void *tag)
{
	struct lame l;
	grpc_event event;

	lame_open(&l, next_queue());
	lame_start(&l, tag);
	event = rpcprof_grpc_completion_queue_next(l.cq, ever, NULL);
	cr_assert_eq(event.type, GRPC_OP_COMPLETE);
	cr_assert_eq(event.tag, tag);
	lame_close(&l);
	seen_read(&all);
	cr_assert_eq(all.count, 1u);
	cr_assert_eq(all.stat[0].status, (int32_t)l.status);
	cr_assert_neq(l.status, GRPC_STATUS_OK);
}

Test(grpc_wrapped, a_tag_that_is_no_address_comes_back, .init = on, .fini = off)
{
	expect_tag_back((void *)1);
}

Test(grpc_wrapped, a_null_tag_comes_back, .init = on, .fini = off)
{
	expect_tag_back(NULL);
}

Test(grpc_wrapped, a_pluck_queue_gives_the_tag_that_was_asked_for, .init = on, .fini = off)
{
	struct lame l;
	grpc_event event;

	lame_open(&l, rpcprof_grpc_completion_queue_create_for_pluck(NULL));
	lame_start(&l, (void *)7);
	event = rpcprof_grpc_completion_queue_pluck(l.cq, (void *)7, ever, NULL);
	cr_assert_eq(event.type, GRPC_OP_COMPLETE);
	cr_assert_eq(event.tag, (void *)7);
	lame_close(&l);
	seen_read(&all);
	cr_assert_eq(all.count, 1u);
	cr_assert_eq(all.stat[0].status, (int32_t)l.status);
	cr_assert_neq(l.status, GRPC_STATUS_OK);
	cr_assert_eq(seen_stages(&all.stat[0], "/recv/status"), 1u);
}

Test(grpc_wrapped, batches_on_a_pluck_queue_may_be_asked_for_in_any_order, .init = on, .fini = off)
{
	struct lame l;
	grpc_op header;

	lame_open(&l, rpcprof_grpc_completion_queue_create_for_pluck(NULL));
	memset(&header, 0, sizeof(header));
	header.op = GRPC_OP_SEND_INITIAL_METADATA;
	lame_start(&l, (void *)1);
	cr_assert_eq(rpcprof_grpc_call_start_batch(l.call, &header, 1, (void *)2, NULL),
	             GRPC_CALL_OK);
	cr_assert_eq(rpcprof_grpc_completion_queue_pluck(l.cq, (void *)2, ever, NULL).type,
	             GRPC_OP_COMPLETE);
	cr_assert_eq(rpcprof_grpc_completion_queue_pluck(l.cq, (void *)1, ever, NULL).type,
	             GRPC_OP_COMPLETE);
	lame_close(&l);
	seen_read(&all);
	cr_assert_eq(seen_stages(&all.stat[0], "/send/header"), 1u);
	cr_assert_eq(seen_stages(&all.stat[0], "/recv/status"), 1u);
}

Test(grpc_wrapped, a_queue_made_by_core_passes_through_counted, .init = on, .fini = off)
{
	struct lame l;

	lame_open(&l, grpc_completion_queue_create_for_next(NULL));
	lame_start(&l, (void *)1);
	cr_assert_eq(grpc_completion_queue_next(l.cq, ever, NULL).tag, (void *)1);
	lame_close(&l);
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.unknown_queue, 1u);
	seen_read(&all);
	cr_assert_eq(all.count, 0u);
}

Test(grpc_wrapped, destroyed_queues_leave_room_for_others)
{
	static char queues[20000]; /* never looked into, and many more than there is room for */

	for (unsigned i = 0; i < sizeof(queues); i++) {
		grpc_completion_queue *cq = (grpc_completion_queue *)(void *)&queues[i];

		rpcprof_grpc_queue_set(cq, GRPC_QUEUE_PLUCK);
		cr_assert_eq(rpcprof_grpc_queue_kind(cq), GRPC_QUEUE_PLUCK);
		rpcprof_grpc_queue_set(cq, GRPC_QUEUE_UNKNOWN);
		cr_assert_eq(rpcprof_grpc_queue_kind(cq), GRPC_QUEUE_UNKNOWN);
	}
}

Test(grpc_wrapped, a_call_begun_while_off_stays_unrecorded, .init = on, .fini = off)
{
	struct lame l;

	rpcprof_enable(false);
	lame_open(&l, next_queue());
	rpcprof_enable(true);
	lame_start(&l, (void *)1);
	cr_assert(rpcprof_stat_is_null(rpcprof_grpc_call_stat(l.call)));
	cr_assert_eq(rpcprof_grpc_completion_queue_next(l.cq, ever, NULL).tag, (void *)1);
	lame_close(&l);
	seen_read(&all);
	cr_assert_eq(all.count, 0u);
}

Test(grpc_wrapped, a_call_begun_while_on_is_finished_while_off, .init = on, .fini = off)
{
	struct lame l;

	lame_open(&l, next_queue());
	lame_start(&l, (void *)1);
	rpcprof_enable(false);
	cr_assert_eq(rpcprof_grpc_completion_queue_next(l.cq, ever, NULL).tag, (void *)1);
	lame_close(&l);
	seen_read(&all);
	cr_assert_eq(all.count, 1u);
	cr_assert_eq(all.stat[0].status, (int32_t)l.status);
	cr_assert_neq(l.status, GRPC_STATUS_OK);
	cr_assert_eq(seen_stages(&all.stat[0], "/recv/status"), 1u);
}

Test(grpc_wrapped, the_last_reference_ends_the_stat, .init = on, .fini = off)
{
	struct lame l;

	lame_open(&l, next_queue());
	rpcprof_grpc_call_ref(l.call);
	rpcprof_grpc_call_unref(l.call);
	cr_assert_eq(seen_in_flight(), 1);
	rpcprof_grpc_call_unref(l.call);
	l.call = NULL;
	cr_assert_eq(seen_in_flight(), 0);
	lame_close(&l);
	seen_read(&all);
	cr_assert_eq(all.stat[0].status, GRPC_STATUS_CANCELLED);
}

/* Core made another call at the address of one that was given back by core's own function. */
Test(grpc_wrapped, a_call_given_back_behind_our_back_is_finished_by_its_successor, .init = on,
     .fini = off)
{
	struct grpc_record *successor;
	struct lame l;

	lame_open(&l, next_queue());
	successor = rpcprof_grpc_record_open(l.cq, false);
	cr_assert(rpcprof_grpc_record_attach(successor, l.call));
	cr_assert_eq(rpcprof_grpc_calls_find(l.call), successor);
	lame_close(&l);
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.stale, 1u);
	cr_assert_eq(counters.under_way, 0u);
	seen_read(&all);
	cr_assert_eq(all.count, 1u);
	cr_assert_eq(all.stat[0].status, GRPC_STATUS_CANCELLED);
}

Test(grpc_wrapped, a_full_pool_passes_through_counted, .init = on, .fini = off)
{
	enum { REQUESTS = RPCPROF_GRPC_CALLS_MAX + 3 };
	static struct loop_call requests[REQUESTS];
	struct loop loop;

	loop_open(&loop, WRAPPED);
	for (unsigned i = 0; i < REQUESTS; i++)
		loop_request(&requests[i], &loop);
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.under_way, (uint64_t)RPCPROF_GRPC_CALLS_MAX);
	cr_assert_eq(counters.no_record, 3u);
	loop_close(&loop);
	for (unsigned i = 0; i < REQUESTS; i++) {
		cr_assert_not(requests[i].request.under_way);
		cr_assert_not(requests[i].request.success);
		loop_done(&requests[i]);
	}
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.under_way, 0u);
	seen_read(&all);
	cr_assert_eq(all.count, 0u);
}

Test(grpc_wrapped, when_stats_run_out_calls_pass_through_counted)
{
	struct rpcprof_config config = { .size = sizeof(config), .capacity = 64,
		                         .max_in_flight = 1 };
	struct lame l;
	grpc_call *calls[1024];
	unsigned n = 0;

	cr_assert_eq(rpcprof_init(&config), 0);
	rpcprof_enable(true);
	grpc_init();
	ever = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	lame_open(&l, next_queue());
	do
		calls[n++] = lame_create(&l);
	while (!rpcprof_stat_is_null(rpcprof_grpc_call_stat(calls[n - 1])) && n < 1024);
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.no_stat, 1u);
	while (n > 0)
		rpcprof_grpc_call_unref(calls[--n]);
	lame_close(&l);
	rpcprof_grpc_counters_get(&counters);
	cr_assert_eq(counters.under_way, 0u);
	cr_assert_eq(seen_in_flight(), 0);
	grpc_shutdown();
}

/* Registered methods, on both sides. */
Test(grpc_wrapped, registered_methods_have_their_names, .init = on, .fini = off)
{
	grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
	grpc_channel_credentials *channel_credentials = grpc_insecure_credentials_create();
	struct loop loop = { .way = WRAPPED, .cq = next_queue() };
	struct loop_call client, server;
	gpr_timespec deadline;
	void *method, *call_method;
	char address[32];
	int port;

	loop.server = grpc_server_create(NULL, NULL);
	grpc_server_register_completion_queue(loop.server, loop.cq, NULL);
	method = rpcprof_grpc_server_register_method(loop.server, METHOD, NULL,
	                                             GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
	port = grpc_server_add_http2_port(loop.server, "127.0.0.1:0", credentials);
	grpc_server_credentials_release(credentials);
	grpc_server_start(loop.server);
	snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	loop.channel = grpc_channel_create(address, channel_credentials, NULL);
	grpc_channel_credentials_release(channel_credentials);
	call_method = rpcprof_grpc_channel_register_call(loop.channel, METHOD, NULL, NULL);

	loop_call_init(&server, &loop);
	server.request.under_way = true;
	cr_assert_eq(rpcprof_grpc_server_request_registered_call(
			     loop.server, method, &server.call, &deadline, &server.metadata,
			     &server.received, loop.cq, loop.cq, &server.request),
	             GRPC_CALL_OK);
	loop_call_init(&client, &loop);
	client.call = rpcprof_grpc_channel_create_registered_call(
		loop.channel, NULL, 0, loop.cq, call_method, loop_in_ms(10000), NULL);
	loop_send(&client, true, "hello", true);
	loop_receive_status(&client);
	loop_wait(&server.request);
	loop_receive_close(&server);
	loop_send_status(&server, true, GRPC_STATUS_OK);
	loop_done(&server);
	loop_done(&client);
	loop_close(&loop);
	seen_read(&all);
	cr_assert_eq(all.count, 2u);
	for (unsigned i = 0; i < 2; i++)
		cr_assert_str_eq(rpcprof_tag_name(all.stat[i].method, NULL), METHOD);
}
