/* SPDX-License-Identifier: Apache-2.0 */
/* How calls end: statuses, cancellation from either side, deadlines, methods that nobody has,
 * calls that are dropped; and what is not recorded. */
#include <criterion/criterion.h>
#include <grpcpp/generic/generic_stub.h>

#include "echo.hpp"
#include "seen.hpp"

static constexpr Way ways[] = {Way::SYNC, Way::CALLBACK, Way::ASYNC};

static void on()
{
	cr_assert_eq(rpcprof_init(nullptr), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

/* The statuses of a side's calls, which are over. */
static std::vector<int32_t> statuses(uint32_t side)
{
	std::vector<int32_t> all;

	seen_settle();
	for (const Seen &seen : seen_side(side)) {
		all.push_back(seen.status);
		cr_assert_eq(seen.frames_ns, seen.wall_ns);
	}
	return all;
}

static void expect(int32_t server, int32_t client)
{
	std::vector<int32_t> of_server = statuses(RPCPROF_TAG_SERVER);
	std::vector<int32_t> of_client = statuses(RPCPROF_TAG_CLIENT);

	cr_assert_eq(of_server.size(), 1u);
	cr_assert_eq(of_client.size(), 1u);
	cr_assert_eq(of_server[0], server, "server: %d", of_server[0]);
	cr_assert_eq(of_client[0], client, "client: %d", of_client[0]);
}

static void answer(Way way)
{
	on();
	{
		EchoServer echo(way);
		grpc::ClientContext context;
		Message in = message("hello");

		in.set_status(grpc::StatusCode::INVALID_ARGUMENT);
		cr_assert_eq(echo_client(way, echo)->unary(&context, in).error_code(),
		             grpc::StatusCode::INVALID_ARGUMENT);
	}
	expect(grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::INVALID_ARGUMENT);
}

Test(grpcpp_status, an_error_is_seen_by_both_sync)
{
	answer(Way::SYNC);
}

Test(grpcpp_status, an_error_is_seen_by_both_callback)
{
	answer(Way::CALLBACK);
}

Test(grpcpp_status, an_error_is_seen_by_both_async)
{
	answer(Way::ASYNC);
}

/* Waits until a server's handler has begun. */
static void wait_for_handler()
{
	while (seen_in_flight() < 2)
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

static void cancel(Way server_way, Way client_way)
{
	on();
	{
		EchoServer echo(server_way);
		grpc::ClientContext context;
		Message in = message("hello");
		std::thread canceller([&context] {
			wait_for_handler();
			context.TryCancel();
		});

		in.set_wait(true);
		cr_assert_eq(echo_client(client_way, echo)->unary(&context, in).error_code(),
		             grpc::StatusCode::CANCELLED);
		canceller.join();
	}
	expect(grpc::StatusCode::CANCELLED, grpc::StatusCode::CANCELLED);
}

Test(grpcpp_status, a_client_cancels_a_sync_server)
{
	cancel(Way::SYNC, Way::SYNC);
}

Test(grpcpp_status, a_client_cancels_a_callback_server)
{
	cancel(Way::CALLBACK, Way::ASYNC);
}

static void run_out_of_time(Way way)
{
	on();
	{
		EchoServer echo(way);
		grpc::ClientContext context;
		Message in = message("hello");

		in.set_wait(true);
		context.set_deadline(std::chrono::system_clock::now() +
		                     std::chrono::milliseconds(200));
		cr_assert_eq(echo_client(way, echo)->unary(&context, in).error_code(),
		             grpc::StatusCode::DEADLINE_EXCEEDED);
	}
	cr_assert_eq(statuses(RPCPROF_TAG_CLIENT)[0], grpc::StatusCode::DEADLINE_EXCEEDED);
}

/* The handler returns OK, which can no longer be sent. */
Test(grpcpp_status, a_deadline_passes_on_a_sync_server)
{
	run_out_of_time(Way::SYNC);
	cr_assert_eq(statuses(RPCPROF_TAG_SERVER)[0], grpc::StatusCode::DEADLINE_EXCEEDED);
}

/* The program says CANCELLED itself: what it says counts. */
Test(grpcpp_status, a_deadline_passes_on_a_callback_server)
{
	run_out_of_time(Way::CALLBACK);
	cr_assert_eq(statuses(RPCPROF_TAG_SERVER)[0], grpc::StatusCode::CANCELLED);
}

/* An async server that is cancelled and destroys its context without an answer. */
Test(grpcpp_status, a_call_that_is_never_answered)
{
	on();
	{
		Echo::AsyncService service;
		grpc::ServerBuilder builder;
		Steps<grpc::ServerCompletionQueue> q;
		int port;

		builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
		builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
		builder.RegisterService(&service);
		q.cq = builder.AddCompletionQueue();
		auto server = builder.BuildAndStart();
		SyncClient client(grpc::experimental::CreateCustomChannelWithInterceptors(
			"127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(),
			grpc::ChannelArguments(), rpcprof::client_interceptors()));
		grpc::ClientContext client_context;
		std::thread caller([&] { client.unary(&client_context, message("hello")); });
		{
			grpc::ServerContext context;
			grpc::ServerAsyncResponseWriter<Message> writer(&context);
			Message in;

			context.AsyncNotifyWhenDone(&context);
			service.RequestUnary(&context, &in, &writer, q.cq.get(), q.cq.get(), &q);
			cr_assert(q.step());
			client_context.TryCancel();
			cr_assert(q.step()); /* it is done */
			cr_assert(context.IsCancelled());
		}
		caller.join();
		server->Shutdown();
		q.close();
	}
	expect(grpc::StatusCode::CANCELLED, grpc::StatusCode::CANCELLED);
}

/* A stream whose reader goes away after the first message. */
Test(grpcpp_status, a_client_drops_its_stream)
{
	on();
	{
		EchoServer echo(Way::SYNC);
		auto stub = Echo::NewStub(echo.channel());
		grpc::ClientContext context;
		Message out;
		auto reader = stub->Expand(&context, message(std::string(100000, 'x'), 1000));

		cr_assert(reader->Read(&out));
		context.TryCancel();
	}
	expect(grpc::StatusCode::CANCELLED, grpc::StatusCode::CANCELLED);
}

static grpc::Status call_unknown(const std::shared_ptr<grpc::Channel> &channel)
{
	grpc::GenericStub stub(channel);
	grpc::ClientContext context;
	grpc::CompletionQueue cq;
	grpc::ByteBuffer in, out;
	grpc::Status status;
	void *tag;
	bool ok;
	auto call = stub.PrepareUnaryCall(&context, "/made.up/Name", in, &cq);

	call->StartCall();
	call->Finish(&out, &status, &cq);
	cq.Next(&tag, &ok);
	cq.Shutdown();
	while (cq.Next(&tag, &ok))
		;
	return status;
}

/* A method that nobody has: its name, made up by the client, is not kept. */
static void unknown(Way way)
{
	std::vector<int32_t> of_one = {grpc::StatusCode::UNIMPLEMENTED};
	uint32_t name;

	on();
	{
		EchoServer echo(way);
		auto plain = grpc::CreateCustomChannel(
			"127.0.0.1:" + std::to_string(echo.port()),
			grpc::InsecureChannelCredentials(), grpc::ChannelArguments());

		cr_assert_eq(call_unknown(plain).error_code(), grpc::StatusCode::UNIMPLEMENTED);
	}
	cr_assert(statuses(RPCPROF_TAG_SERVER) == of_one);
	cr_assert(seen_side(RPCPROF_TAG_SERVER)[0].method == "_OTHER");
	name = rpcprof_tag_find("/made.up/Name", static_cast<size_t>(-1));
	cr_assert_eq(name, RPCPROF_TAG_NONE);
}

Test(grpcpp_status, a_method_that_a_sync_server_does_not_have)
{
	unknown(Way::SYNC);
}

Test(grpcpp_status, a_method_that_an_async_server_does_not_have)
{
	unknown(Way::ASYNC);
}

/* More stages than a cell holds: what is folded is not lost. */
Test(grpcpp_status, a_long_stream_adds_up)
{
	on();
	{
		EchoServer echo(Way::SYNC);
		grpc::ClientContext context;

		cr_assert(SyncClient(echo.channel())
		                  .expand(&context, message("hello", 1000))
		                  .ok());
	}
	expect(grpc::StatusCode::OK, grpc::StatusCode::OK);
}

/* A shut down server gives back the requests that were armed: they are no calls. */
Test(grpcpp_status, requests_without_a_call_leave_nothing)
{
	struct rpcprof_counters counters;

	on();
	{
		EchoServer echo(Way::ASYNC);
	}
	seen_settle();
	cr_assert_eq(seen_side(RPCPROF_TAG_SERVER).size(), 0u);
	rpcprof_counters_get(&counters);
	cr_assert_eq(counters.discarded, 0u);
}

Test(grpcpp_status, nothing_is_recorded_while_off)
{
	on();
	rpcprof_enable(false);
	for (Way way : ways) {
		EchoServer echo(way);
		grpc::ClientContext context;

		cr_assert(echo_client(way, echo)->unary(&context, message("hello")).ok());
	}
	cr_assert_eq(seen_in_flight(), 0);
	cr_assert_eq(seen_side(0).size(), 0u);
}

/* What has begun is finished, whatever the switch does. */
Test(grpcpp_status, switched_off_under_way)
{
	on();
	{
		EchoServer echo(Way::SYNC);
		grpc::ClientContext context;
		auto stub = Echo::NewStub(echo.channel());
		auto stream = stub->Chat(&context);
		Message out;

		cr_assert(stream->Write(message("a")));
		cr_assert(stream->Read(&out));
		rpcprof_enable(false);
		stream->WritesDone();
		cr_assert(stream->Finish().ok());
	}
	expect(grpc::StatusCode::OK, grpc::StatusCode::OK);
}
