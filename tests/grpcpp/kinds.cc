/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of call, in each of the three ways of server and client: one finished Stat a side, its
 * stages, and frames that add up to its wall time. */
#include <criterion/criterion.h>

#include "echo.hpp"
#include "seen.hpp"

/* The one Stat of a side, well formed. */
static Seen only(uint32_t side, const char *method)
{
	std::vector<Seen> all = seen_side(side);

	cr_assert_eq(all.size(), 1u);
	cr_assert_str_eq(all[0].method.c_str(), method);
	cr_assert_eq(all[0].status, 0);
	cr_assert_neq(all[0].connection, 0u);
	cr_assert_eq(all[0].frames_ns, all[0].wall_ns);
	for (const SeenStage &stage : all[0].stages) {
		cr_assert_leq(all[0].begin, stage.begin);
		cr_assert_leq(stage.begin, stage.end);
		cr_assert_leq(stage.end, all[0].end);
	}
	return all[0];
}

/* How often each stage ran; -1: a matter of chance. */
struct Stages {
	int recv_header, recv_message, recv_status;
	int send_message, send_close, send_status;
	int handler, mine;
};

static void expect(const Seen &seen, const char *stage, int count)
{
	if (count >= 0)
		cr_assert_eq(seen.count(stage), count, "%s: %d, not %d", stage, seen.count(stage),
		             count);
}

static void expect(uint32_t side, const char *method, const Stages &stages)
{
	Seen seen = only(side, method);

	expect(seen, "/recv/header", stages.recv_header);
	expect(seen, "/recv/message", stages.recv_message);
	expect(seen, "/recv/status", stages.recv_status);
	expect(seen, "/send/message", stages.send_message);
	expect(seen, "/send/close", stages.send_close);
	expect(seen, "/send/status", stages.send_status);
	expect(seen, "/handler", stages.handler);
	expect(seen, "/mine", stages.mine);
	cr_assert_geq(seen.count("/send/start_batch"), 1);
}

static void expect_server(const char *method, const Stages &stages)
{
	expect(RPCPROF_TAG_SERVER, method, stages);
}

static void expect_client(const char *method, const Stages &stages)
{
	expect(RPCPROF_TAG_CLIENT, method, stages);
}

/* The call is the only one of its process, so each side's Stat is its. */
template <class Call> static void make(Way way, Call call)
{
	grpc::ClientContext context;

	cr_assert_eq(rpcprof_init(nullptr), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	{
		EchoServer echo(way);

		cr_assert(call(*echo_client(way, echo), &context).ok());
	}
	seen_settle(); /* a client's Stat does not wait for its context */
}

/* The answer goes with the status, in one batch; the client's whole call is one. */
static void unary(Way way)
{
	make(way, [](EchoClient &c, grpc::ClientContext *context) {
		return c.unary(context, message("hello"));
	});
	expect_server("/test.Echo/Unary", {1, 1, 0, 0, 0, 1, 1, 1});
	expect_client("/test.Echo/Unary", {0, 0, 1, 0, 0, 0, 0, 0});
}

/* The fourth message that is waited for is the end. */
static void collect(Way way)
{
	make(way, [](EchoClient &c, grpc::ClientContext *context) { return c.collect(context); });
	expect_server("/test.Echo/Collect", {1, 4, 0, 0, 0, 1, 1, 0});
	expect_client("/test.Echo/Collect", {way == Way::CALLBACK, 0, 1, 3, 1, 0, 0, 0});
}

/* A callback client's status may come before it waits for the message that is the end. */
static void expand(Way way)
{
	int messages = way == Way::CALLBACK ? -1 : 4;

	make(way, [](EchoClient &c, grpc::ClientContext *context) {
		return c.expand(context, message("hello", 3));
	});
	expect_server("/test.Echo/Expand", {1, 1, 0, 3, 0, 1, 1, 0});
	expect_client("/test.Echo/Expand", {way == Way::CALLBACK, messages, 1,
	                                    way != Way::CALLBACK, 0, 0, 0, 0});
}

static void chat(Way way)
{
	int messages = way == Way::CALLBACK ? -1 : 4;

	make(way, [](EchoClient &c, grpc::ClientContext *context) { return c.chat(context); });
	expect_server("/test.Echo/Chat", {1, 4, 0, 3, 0, 1, 1, 0});
	expect_client("/test.Echo/Chat", {way == Way::CALLBACK, messages, 1, 3, 1, 0, 0, 0});
}

#define EACH_WAY(kind)                                                                         \
	Test(grpcpp_kinds, kind##_sync)                                                        \
	{                                                                                      \
		kind(Way::SYNC);                                                               \
	}                                                                                      \
	Test(grpcpp_kinds, kind##_callback)                                                    \
	{                                                                                      \
		kind(Way::CALLBACK);                                                           \
	}                                                                                      \
	Test(grpcpp_kinds, kind##_async)                                                       \
	{                                                                                      \
		kind(Way::ASYNC);                                                              \
	}

EACH_WAY(unary)
EACH_WAY(collect)
EACH_WAY(expand)
EACH_WAY(chat)
