/* SPDX-License-Identifier: Apache-2.0 */
#include "rpcprof/call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "rpcprof/rpcprof.h"

static void on(void)
{
	cr_assert_eq(rpcprof_init(NULL), 0);
	rpcprof_enable(true);
}

struct last {
	char method[256];
	int32_t status; /* -1: not set */
	uint64_t connection;
	uint32_t number;
	bool connected;
};

static int read_last(void *arg, const struct rpcprof_view *view)
{
	struct last *last = arg;

	snprintf(last->method, sizeof(last->method), "%s",
	         rpcprof_tag_name(rpcprof_view_method(view), NULL));
	last->status = rpcprof_view_has(view, RPCPROF_HAS_STATUS) ? rpcprof_view_status(view) : -1;
	last->connected = rpcprof_view_connection(view, &last->connection, &last->number);
	return 0;
}

static struct last last_call(void)
{
	struct last last;

	memset(&last, 0, sizeof(last));
	cr_assert_eq(rpcprof_drain(read_last, &last), 1);
	return last;
}

static void serve(const char *name, int32_t status)
{
	struct rpcprof_call call;

	cr_assert(rpcprof_call_begin(&call, RPCPROF_TAG_SERVER));
	rpcprof_call_set_method_name(&call, name, strlen(name));
	rpcprof_call_set_status(&call, status);
	rpcprof_call_end(&call);
}

/* A call of this name that is answered with that status, as recorded. */
static struct last answer(const char *name, int32_t status)
{
	serve(name, status);
	return last_call();
}

Test(call, a_declared_method_has_its_name_at_once, .init = on)
{
	cr_assert_neq(rpcprof_call_declare_method("/a.B/C", (size_t)-1), 0u);
	cr_assert_str_eq(answer("/a.B/C", RPCPROF_CALL_UNIMPLEMENTED).method, "/a.B/C");
}

Test(call, an_answer_proves_a_strangers_method, .init = on)
{
	struct last last = answer("/a.B/C", 5);

	cr_assert_str_eq(last.method, "/a.B/C");
	cr_assert_eq(last.status, 5);
}

Test(call, an_unimplemented_method_stays_other, .init = on)
{
	cr_assert_str_eq(answer("/no.Such/Method", RPCPROF_CALL_UNIMPLEMENTED).method, "_OTHER");
	cr_assert_eq(rpcprof_tag_find("/no.Such/Method", 15), 0u);
}

Test(call, a_strangers_method_is_other_while_in_flight, .init = on)
{
	struct rpcprof_call call;
	struct last last;

	rpcprof_call_begin(&call, RPCPROF_TAG_SERVER);
	rpcprof_call_set_method_name(&call, "/a.B/C", 6);
	cr_assert_eq(rpcprof_inflight(NULL, read_last, &last), 1);
	cr_assert_str_eq(last.method, "_OTHER");
	rpcprof_call_discard(&call);
}

Test(call, an_abort_gives_the_status_but_proves_nothing, .init = on)
{
	struct rpcprof_call call;
	struct last last;

	rpcprof_call_begin(&call, RPCPROF_TAG_SERVER);
	rpcprof_call_set_method_name(&call, "/a.B/C", 6);
	rpcprof_call_abort(&call, 1);
	rpcprof_call_end(&call);
	last = last_call();
	cr_assert_str_eq(last.method, "_OTHER");
	cr_assert_eq(last.status, 1);
}

Test(call, a_name_too_long_to_keep_stays_other_unless_declared, .init = on)
{
	char name[RPCPROF_CALL_NAME_MAX + 2];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert_str_eq(answer(name, 0).method, "_OTHER");
	rpcprof_call_declare_method(name, (size_t)-1);
	cr_assert_str_eq(answer(name, 0).method, name);
	name[RPCPROF_CALL_NAME_MAX] = '\0';
	cr_assert_str_eq(answer(name, 0).method, name);
}

Test(call, made_up_names_leave_room_for_real_ones, .init = on)
{
	struct rpcprof_counters counters;
	struct last last;
	char name[32];

	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "/made.Up/%u", i);
		serve(name, RPCPROF_CALL_UNIMPLEMENTED);
	}
	rpcprof_drain(read_last, &last);
	cr_assert_str_eq(answer("/real.Service/Method", 0).method, "/real.Service/Method");
	cr_assert_eq(rpcprof_counters_get(&counters), 0);
	cr_assert_eq(counters.tag_overflow[RPCPROF_TAG_METHOD], 0u);
}

/* More than are remembered, so that they take each other's places. */
Test(call, many_methods_are_told_apart, .init = on)
{
	uint32_t tags[600];
	char name[32];

	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 600; i++) {
			int bytes = snprintf(name, sizeof(name), "/one.Of/Many%u", i);
			uint32_t tag = rpcprof_call_declare_method(name, (size_t)bytes);

			cr_assert_str_eq(rpcprof_tag_name(tag, NULL), name);
			cr_assert(round == 0 || tag == tags[i]);
			tags[i] = tag;
			cr_assert_eq(tag, rpcprof_call_declare_method(name, (size_t)-1));
			cr_assert_str_eq(answer(name, 0).method, name);
		}
}

Test(call, names_differ_in_any_byte_and_in_length, .init = on)
{
	char name[] = "ipv4:127.0.0.1:50051";
	uint64_t whole = rpcprof_call_connection(name, sizeof(name) - 1);

	for (size_t i = 0; i < sizeof(name) - 1; i++) {
		name[i] ^= 1;
		cr_assert_neq(rpcprof_call_connection(name, sizeof(name) - 1), whole);
		name[i] ^= 1;
		cr_assert_neq(rpcprof_call_connection(name, i), whole);
	}
	cr_assert_neq(rpcprof_call_connection("", 0), rpcprof_call_connection("\0", 1));
	cr_assert_eq(rpcprof_call_connection(name, sizeof(name) - 1), whole);
}

Test(call, calls_of_a_connection_have_numbers_of_their_own, .init = on)
{
	uint64_t peer = rpcprof_call_connection("ipv4:127.0.0.1:5", 16);
	struct last last[2];

	cr_assert_neq(peer, rpcprof_call_connection("ipv4:127.0.0.1:6", 16));
	for (int i = 0; i < 2; i++) {
		struct rpcprof_call call;

		rpcprof_call_begin(&call, RPCPROF_TAG_CLIENT);
		rpcprof_call_set_connection(&call, peer);
		rpcprof_call_end(&call);
		last[i] = last_call();
		cr_assert(last[i].connected);
		cr_assert_eq(last[i].connection, peer);
	}
	cr_assert_neq(last[0].number, last[1].number);
}

Test(call, a_call_without_a_status_has_none, .init = on)
{
	struct rpcprof_call call;

	rpcprof_call_begin(&call, RPCPROF_TAG_SERVER);
	rpcprof_call_end(&call);
	cr_assert_eq(last_call().status, -1);
}

Test(call, a_call_ends_once, .init = on)
{
	struct rpcprof_call call;
	struct rpcprof_counters counters;

	rpcprof_call_begin(&call, RPCPROF_TAG_SERVER);
	rpcprof_call_end(&call);
	rpcprof_call_end(&call);
	cr_assert_eq(rpcprof_counters_get(&counters), 0);
	cr_assert_eq(counters.pushed, 1u);
	cr_assert_eq(counters.late, 0u);
}

Test(call, while_off_nothing_is_recorded)
{
	struct rpcprof_call call;
	struct rpcprof_counters counters;

	memset(&call, 0xff, sizeof(call));
	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert_not(rpcprof_call_begin(&call, RPCPROF_TAG_SERVER));
	rpcprof_call_set_method_name(&call, "/a.B/C", 6);
	rpcprof_call_set_connection(&call, 1);
	rpcprof_call_set_status(&call, 0);
	rpcprof_call_end(&call);
	cr_assert_eq(rpcprof_counters_get(&counters), 0);
	cr_assert_eq(counters.pushed + counters.late, 0u);
}
