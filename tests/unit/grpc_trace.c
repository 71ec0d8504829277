/* SPDX-License-Identifier: Apache-2.0 */
/* The trace context that joins the two sides of a call. */
#include "grpc_loop.h"

#include <criterion/criterion.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static const uint8_t trace_id[16] = { 0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd,
	                              0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c };
static const uint8_t span_id[8] = { 0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31 };

static struct loop loop;
static struct loop_call client, server;
static struct seen_all all;

static void open_loop(enum way way, bool send)
{
	struct rpcprof_grpc_config config = { .size = sizeof(config), .send_traceparent = send };

	cr_assert_eq(rpcprof_grpc_start(&config), 0);
	loop_open(&loop, way);
}

static void both_done(void)
{
	loop_receive_close(&server);
	loop_send_status(&server, true, GRPC_STATUS_OK);
	loop_done(&server);
	loop_done(&client);
	loop_close(&loop);
	seen_read(&all);
}

/* A call with metadata of the program's own: "first", and the traceparent if there is one. */
static void meet(const char *traceparent)
{
	grpc_metadata metadata[2];
	grpc_op op;

	memset(metadata, 0, sizeof(metadata));
	metadata[0].key = grpc_slice_from_static_string("first");
	metadata[0].value = grpc_slice_from_static_string("value");
	metadata[1].key = grpc_slice_from_static_string("traceparent");
	metadata[1].value = grpc_slice_from_static_string(traceparent ? traceparent : "");
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_SEND_INITIAL_METADATA;
	op.data.send_initial_metadata.count = traceparent ? 2 : 1;
	op.data.send_initial_metadata.metadata = metadata;
	loop_request(&server, &loop);
	loop_create(&client, &loop, METHOD, 10000);
	cr_assert(loop_start(&client, &op, 1));
	loop_receive_header(&client);
	loop_receive_status(&client);
	loop_wait(&server.request);
	cr_assert(server.call);
}

/* What a server's call came with under a key, or nothing. */
static const char *received(const struct loop_call *c, const char *key, char *text, size_t size)
{
	for (size_t i = 0; i < c->metadata.count; i++) {
		const grpc_metadata *m = &c->metadata.metadata[i];

		if (grpc_slice_str_cmp(m->key, key) == 0) {
			snprintf(text, size, "%.*s", (int)GRPC_SLICE_LENGTH(m->value),
			         (const char *)GRPC_SLICE_START_PTR(m->value));
			return text;
		}
	}
	return NULL;
}

#define BOTH_WAYS(name)                                                                        \
	static void name(enum way way);                                                        \
	Test(grpc_trace_embedded, name)                                                        \
	{                                                                                      \
		name(EMBEDDED);                                                                \
	}                                                                                      \
	Test(grpc_trace_wrapped, name)                                                         \
	{                                                                                      \
		name(WRAPPED);                                                                 \
	}                                                                                      \
	static void name(enum way way)

BOTH_WAYS(the_programs_own_context_is_read_on_both_sides)
{
	open_loop(way, false);
	meet("00-" TRACE "-" SPAN "-00");
	both_done();
	for (unsigned i = 0; i < 2; i++) {
		cr_assert(all.stat[i].traced);
		cr_assert_arr_eq(all.stat[i].trace_id, trace_id, 16);
		cr_assert_arr_eq(all.stat[i].span_id, span_id, 8);
	}
}

BOTH_WAYS(without_the_option_nothing_is_sent)
{
	char text[64];

	open_loop(way, false);
	meet(NULL);
	cr_assert_null(received(&server, "traceparent", text, sizeof(text)));
	both_done();
	cr_assert(!all.stat[0].traced && !all.stat[1].traced);
}

/* Whether a context is believed; both sides read by one parser. */
static bool believed(const char *traceparent)
{
	struct rpcprof_grpc_call c = { .trace.origin = RPCPROF_GRPC_TRACE_NONE };
	grpc_metadata metadata;
	grpc_metadata_array array = { .count = 1, .metadata = &metadata };

	c.call.stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	metadata.key = grpc_slice_from_static_string("traceparent");
	metadata.value = grpc_slice_from_static_string(traceparent);
	rpcprof_grpc_server_metadata(&c, &array);
	rpcprof_stat_end(c.call.stat);
	seen_read(&all);
	return all.stat[all.count - 1].traced;
}

Test(grpc_trace, what_is_no_context_is_ignored)
{
	static const char *const wrong[] = {
		"", "00", "00-" TRACE "-" SPAN, "00-" TRACE "-" SPAN "-0", "00-" TRACE "-" SPAN "-0g",
		"00-" TRACE "-" SPAN "-01-", "00-" TRACE "-" SPAN "-01-more",
		"ff-" TRACE "-" SPAN "-01", "0x-" TRACE "-" SPAN "-01", "01-" TRACE "-" SPAN "-01more",
		"00_" TRACE "-" SPAN "-01", "00-" TRACE "_" SPAN "-01", "00-" TRACE "-" SPAN "_01",
		"00-00000000000000000000000000000000-" SPAN "-01",
		"00-" TRACE "-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
	};

	cr_assert_eq(rpcprof_grpc_start(NULL), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_assert_not(believed(wrong[i]), "%s", wrong[i]);
	cr_assert(believed("00-" TRACE "-" SPAN "-01"));
	cr_assert(believed("01-" TRACE "-" SPAN "-01"));
	cr_assert(believed("01-" TRACE "-" SPAN "-01-more"));
}

Test(grpc_trace_wrapped, by_option_a_client_sends_a_context_that_joins_the_sides)
{
	char text[64], other[64];

	open_loop(WRAPPED, true);
	meet(NULL);
	cr_assert(received(&server, "traceparent", text, sizeof(text)));
	cr_assert_eq(strlen(text), 55u);
	cr_assert_eq(strncmp(text, "00-", 3), 0);
	cr_assert_str_eq(text + 52, "-01");
	cr_assert_str_eq(received(&server, "first", other, sizeof(other)), "value");
	both_done();
	cr_assert(all.stat[0].traced && all.stat[1].traced);
	cr_assert_arr_eq(all.stat[0].trace_id, all.stat[1].trace_id, 16);
	cr_assert_arr_eq(all.stat[0].span_id, all.stat[1].span_id, 8);
}

Test(grpc_trace_wrapped, by_option_the_programs_own_context_stays)
{
	char text[64];

	open_loop(WRAPPED, true);
	meet("00-" TRACE "-" SPAN "-00");
	cr_assert_str_eq(received(&server, "traceparent", text, sizeof(text)), "00-" TRACE "-" SPAN "-00");
	both_done();
}

/* The child's trace is the parent's, its span its own, its flags the parent's. */
Test(grpc_trace_wrapped, a_child_call_belongs_to_the_trace_of_its_parent)
{
	struct loop_call child, child_server;
	char text[64];

	open_loop(WRAPPED, true);
	meet("00-" TRACE "-" SPAN "-00");
	loop_request(&child_server, &loop);
	loop_call_init(&child, &loop);
	child.call = rpcprof_grpc_channel_create_call(
		loop.channel, server.call, GRPC_PROPAGATE_DEFAULTS, loop.cq,
		grpc_slice_from_static_string("/test.Echo/Child"), NULL, loop_in_ms(10000), NULL);
	loop_send(&child, true, "hello", true);
	loop_receive_header(&child);
	loop_receive_status(&child);
	loop_wait(&child_server.request);
	loop_receive_close(&child_server);
	loop_send_status(&child_server, true, GRPC_STATUS_OK);
	loop_wait_all(&child);
	cr_assert(received(&child_server, "traceparent", text, sizeof(text)));
	cr_assert_eq(strncmp(text, "00-" TRACE "-", 36), 0);
	cr_assert_neq(strncmp(text + 36, SPAN, 16), 0);
	cr_assert_str_eq(text + 52, "-00");
	loop_done(&child_server);
	loop_done(&child);
	both_done();
	cr_assert_eq(all.count, 4u);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_arr_eq(all.stat[i].trace_id, trace_id, 16);
}

Test(grpc_trace_wrapped, a_thousand_calls_have_a_thousand_contexts)
{
	enum { CALLS = 1000 };
	static char seen[CALLS][64];

	open_loop(WRAPPED, true);
	for (unsigned i = 0; i < CALLS; i++) {
		meet(NULL);
		cr_assert(received(&server, "traceparent", seen[i], sizeof(seen[i])));
		loop_send_status(&server, true, GRPC_STATUS_OK);
		loop_receive_close(&server);
		loop_done(&server);
		loop_done(&client);
		for (unsigned j = 0; j < i; j++)
			cr_assert(strncmp(seen[i] + 3, seen[j] + 3, 32) != 0 &&
			          strncmp(seen[i] + 36, seen[j] + 36, 16) != 0);
	}
	loop_close(&loop);
}
