/* SPDX-License-Identifier: Apache-2.0 */
/* The Profiling services on a grpc::Server: who may, every method, what a reader can do to them,
 * and how it ends. */
#include <criterion/criterion.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>

#include "echo.hpp"
#include "grpc_go_profiling.grpc.pb.h"
#include "profiling.grpc.pb.h"
#include "rpcprof/grpcpp_service.hpp"
#include "seen.hpp"

using Ours = rpcprof::v1::Profiling;
using Theirs = grpc::go::profiling::v1alpha::Profiling;
namespace pb = rpcprof::v1;

static const char read_token[] = "the-token-to-read-with";
static const char control_token[] = "the-token-to-control-with";

static void bear(grpc::ClientContext *context, const char *token)
{
	context->AddMetadata("authorization", std::string("Bearer ") + token);
}

/* A server with the sync echo service, the Profiling services, and whatever `more` adds. */
class Server final {
public:
	explicit Server(rpcprof::ProfilingOptions options = {},
	                const std::string &address = "127.0.0.1:0",
	                const std::function<void(grpc::ServerBuilder &)> &more = {})
		: profiling_(std::move(options))
	{
		grpc::ServerBuilder builder;
		grpc::ChannelArguments arguments;
		int port;

		builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
		builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
		builder.RegisterService(&echo_);
		builder.RegisterService(&profiling_);
		if (more)
			more(builder);
		server_ = builder.BuildAndStart();
		cr_assert(server_ != nullptr);
		arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0); /* 64 KiB unread, and no more */
		channel_ = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
		                                     grpc::InsecureChannelCredentials(),
		                                     arguments);
		ours = Ours::NewStub(channel_);
		theirs = Theirs::NewStub(channel_);
		echo = Echo::NewStub(channel_);
	}

	~Server()
	{
		shut_down();
	}

	/* Without a deadline: whatever is under way is ended by stop(). */
	void shut_down()
	{
		profiling_.stop();
		server_->Shutdown();
	}

	const std::shared_ptr<grpc::Channel> &channel() const
	{
		return channel_;
	}

	std::unique_ptr<Ours::Stub> ours;
	std::unique_ptr<Theirs::Stub> theirs;
	std::unique_ptr<Echo::Stub> echo;

private:
	SyncEcho echo_;
	rpcprof::ProfilingService profiling_;
	std::unique_ptr<grpc::Server> server_;
	std::shared_ptr<grpc::Channel> channel_;
};

static void on()
{
	cr_assert_eq(rpcprof_init(nullptr), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static void record(unsigned calls, unsigned stages = 2)
{
	for (unsigned i = 0; i < calls; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		for (unsigned j = 0; j < stages; j++)
			rpcprof_lap(stat, RPCPROF_TAG("/a/stage/of/some/length"));
		rpcprof_stat_end(stat);
	}
}

static grpc::StatusCode status_of(const Server &server, const char *token,
                                  pb::StatusResponse *answer = nullptr)
{
	grpc::ClientContext context;
	pb::StatusResponse ignored;

	if (token != nullptr)
		bear(&context, token);
	return server.ours->Status(&context, {}, answer != nullptr ? answer : &ignored)
	        .error_code();
}

static grpc::StatusCode enable(const Server &server, const char *token, bool enabled)
{
	grpc::ClientContext context;
	pb::EnableResponse answer;
	pb::EnableRequest request;

	if (token != nullptr)
		bear(&context, token);
	request.set_enabled(enabled);
	return server.ours->Enable(&context, request, &answer).error_code();
}

/* All messages of a stream, merged. */
template <class Message> struct Whole {
	Message message;
	int parts = 0;
	size_t largest = 0;
	grpc::Status status;
};

template <class Message, class Reader> static Whole<Message> read_all(Reader reader)
{
	Whole<Message> whole;
	Message part;

	while (reader->Read(&part)) {
		whole.parts++;
		whole.largest = std::max(whole.largest, part.ByteSizeLong());
		whole.message.MergeFrom(part);
	}
	whole.status = reader->Finish();
	return whole;
}

Test(grpcpp_service, peers_on_this_machine_may_all)
{
	pb::StatusResponse answer;

	on();
	Server server;
	cr_assert_eq(status_of(server, nullptr, &answer), grpc::StatusCode::OK);
	cr_assert_eq(answer.header().pid(), static_cast<int64_t>(getpid()));
	cr_assert(answer.header().enabled());
	cr_assert_eq(enable(server, nullptr, false), grpc::StatusCode::OK);
	cr_assert_not(rpcprof_enabled());
}

Test(grpcpp_service, tokens_say_who_may)
{
	on();
	Server server({read_token, control_token});
	cr_assert_eq(status_of(server, nullptr), grpc::StatusCode::UNAUTHENTICATED);
	cr_assert_eq(status_of(server, "the-token-to-guess-with"),
	             grpc::StatusCode::UNAUTHENTICATED);
	cr_assert_eq(status_of(server, read_token), grpc::StatusCode::OK);
	cr_assert_eq(enable(server, read_token, false), grpc::StatusCode::PERMISSION_DENIED);
	cr_assert(rpcprof_enabled());
	cr_assert_eq(enable(server, control_token, false), grpc::StatusCode::OK);
	cr_assert_not(rpcprof_enabled());
}

Test(grpcpp_service, options_that_cannot_be_meant_let_nobody_in)
{
	static const rpcprof::ProfilingOptions bad[] = {
		{"short", ""}, {read_token, read_token}, {"", "", 1}};

	on();
	for (const rpcprof::ProfilingOptions &options : bad) {
		Server server(options);
		cr_assert_eq(status_of(server, nullptr), grpc::StatusCode::UNAUTHENTICATED);
		cr_assert_eq(status_of(server, read_token), grpc::StatusCode::UNAUTHENTICATED);
	}
}

Test(grpcpp_service, before_init_there_is_nothing_to_ask)
{
	Server server;

	cr_assert_eq(status_of(server, nullptr), grpc::StatusCode::FAILED_PRECONDITION);
}

/* Interceptors see these calls, too, and leave them out. */
Test(grpcpp_service, its_calls_are_not_recorded)
{
	on();
	{
		Server server;
		grpc::ClientContext context;
		Message out;

		cr_assert_eq(status_of(server, nullptr), grpc::StatusCode::OK);
		cr_assert(server.echo->Unary(&context, message("hello"), &out).ok());
		cr_assert_eq(status_of(server, nullptr), grpc::StatusCode::OK);
	}
	cr_assert_eq(seen_side(RPCPROF_TAG_SERVER).size(), 1u);
	cr_assert(seen_side(RPCPROF_TAG_SERVER)[0].method == "/test.Echo/Unary");
}

Test(grpcpp_service, a_snapshot_is_a_stream)
{
	on();
	record(8000, 8);
	Server server;
	grpc::ClientContext context;
	auto whole = read_all<pb::Dump>(server.ours->Snapshot(&context, {}));

	cr_assert(whole.status.ok());
	cr_assert_eq(whole.message.stats_size(), 8000);
	cr_assert_gt(whole.parts, 1);
	cr_assert_leq(whole.largest, 1u << 20);
}

static Whole<pb::DrainResponse> drain(const Server &server, const pb::DrainRequest &request)
{
	grpc::ClientContext context;

	return read_all<pb::DrainResponse>(server.ours->Drain(&context, request));
}

Test(grpcpp_service, what_is_drained_comes_again_until_acknowledged)
{
	pb::DrainRequest acknowledge;

	on();
	record(3000);
	Server server;
	auto first = drain(server, {}), again = drain(server, {});
	cr_assert(first.status.ok());
	cr_assert_eq(first.message.stats_size(), 3000);
	cr_assert(first.message.SerializeAsString() == again.message.SerializeAsString());
	acknowledge.set_session(first.message.session());
	acknowledge.set_batch(first.message.batch());
	cr_assert_eq(drain(server, acknowledge).parts, 0);
}

/* What clients take unasked; the rest comes with the next call. */
Test(grpcpp_service, an_answer_fits)
{
	int stats = 0, markers = 0, answers = 0;

	on();
	record(16384, 16);
	Server server;
	for (int before = -1; stats > before;) {
		grpc::go::profiling::v1alpha::GetStreamStatsResponse answer;
		grpc::ClientContext context;

		before = stats;
		grpc::Status status = server.theirs->GetStreamStats(&context, {}, &answer);
		cr_assert(status.ok(), "%s", status.error_message().c_str());
		cr_assert_leq(answer.ByteSizeLong(), RPCPROF_ANSWER_MAX_DEFAULT);
		markers = answer.stream_stats_size() > 0;
		stats += answer.stream_stats_size() - markers;
		answers++;
	}
	cr_assert_gt(answers, 2);
	cr_assert_geq(stats, 16384 - 15 * 2); /* the ring's own remainder a CPU */
}

Test(grpcpp_service, a_profile_takes_its_time)
{
	grpc::ClientContext context;
	pb::ProfileRequest request;

	on();
	Server server;
	request.set_duration_ns(50000000);
	auto whole = read_all<pb::ProfileResponse>(server.ours->Profile(&context, request));
	cr_assert(whole.status.ok(), "%s", whole.status.error_message().c_str());
	cr_assert_geq(whole.message.duration_ns(), 50000000u);
}

/* A call to whatever there is, of bytes. */
static grpc::StatusCode call_raw(const Server &server, const char *method, const std::string &bytes)
{
	grpc::GenericStub stub(server.channel());
	grpc::ClientContext context;
	grpc::CompletionQueue cq;
	grpc::Slice slice(bytes);
	grpc::ByteBuffer in(&slice, 1), out;
	grpc::Status status;
	void *tag;
	bool ok;
	auto call = stub.PrepareUnaryCall(&context, method, in, &cq);

	call->StartCall();
	call->Finish(&out, &status, &cq);
	cq.Next(&tag, &ok);
	cq.Shutdown();
	while (cq.Next(&tag, &ok))
		;
	return status.error_code();
}

Test(grpcpp_service, what_is_wrong_is_said_at_once)
{
	on();
	Server server;
	cr_assert_eq(call_raw(server, "/rpcprof.v1.Profiling/Enable", "\x0a\x7f"),
	             grpc::StatusCode::INVALID_ARGUMENT);
	cr_assert_eq(call_raw(server, "/rpcprof.v1.Profiling/Status", std::string(20000, '\0')),
	             grpc::StatusCode::RESOURCE_EXHAUSTED);
	cr_assert_eq(call_raw(server, "/rpcprof.v1.Profiling/Nothing", ""),
	             grpc::StatusCode::UNIMPLEMENTED);
	cr_assert_eq(status_of(server, nullptr), grpc::StatusCode::OK);
}

/* The program's own generic service goes on to get what no other takes. */
Test(grpcpp_service, beside_a_generic_service)
{
	class Generic final : public grpc::CallbackGenericService {
		grpc::ServerGenericBidiReactor *
		CreateReactor(grpc::GenericCallbackServerContext *) override
		{
			class Reactor final : public grpc::ServerGenericBidiReactor {
			public:
				Reactor()
				{
					Finish({grpc::StatusCode::DATA_LOSS, "mine"});
				}

				void OnDone() override
				{
					delete this;
				}
			};
			return new Reactor;
		}
	} generic;

	on();
	Server server({}, "127.0.0.1:0", [&](grpc::ServerBuilder &builder) {
		builder.RegisterCallbackGenericService(&generic);
	});
	cr_assert_eq(call_raw(server, "/some.Other/Method", ""), grpc::StatusCode::DATA_LOSS);
	cr_assert_eq(status_of(server, nullptr), grpc::StatusCode::OK);
}

/* Waits until so many requests are being answered, by the service's own count. */
static void wait_for_profile(const Server &server, uint64_t begun)
{
	pb::StatusResponse answer;

	do
		cr_assert_eq(status_of(server, nullptr, &answer), grpc::StatusCode::OK);
	while (answer.requests().begun() < begun);
}

/* Who goes away is not waited for: each of these would take an hour. */
Test(grpcpp_service, a_client_goes_away)
{
	pb::ProfileRequest request;

	on();
	Server server;
	request.set_duration_ns(UINT64_C(3600000000000));
	for (int i = 0; i < 20; i++) { /* 16 are taken at one time */
		grpc::ClientContext context;
		auto reader = server.ours->Profile(&context, request);
		pb::ProfileResponse piece;

		context.TryCancel();
		cr_assert_not(reader->Read(&piece));
		cr_assert_eq(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
		std::this_thread::sleep_for(std::chrono::milliseconds(20)); /* under 100 a second */
	}
	cr_assert_eq(status_of(server, nullptr), grpc::StatusCode::OK);
}

Test(grpcpp_service, the_server_shuts_down_under_a_profile)
{
	grpc::ClientContext context;
	pb::ProfileRequest request;
	pb::ProfileResponse piece;

	on();
	Server server;
	request.set_duration_ns(UINT64_C(3600000000000));
	auto reader = server.ours->Profile(&context, request);
	wait_for_profile(server, 2);
	server.shut_down();
	cr_assert_not(reader->Read(&piece));
	cr_assert_neq(reader->Finish().error_code(), grpc::StatusCode::OK);
}

/* More than flow control lets through, and nobody takes it: the call is over after its time, and
 * what was taken out is there for the next. */
Test(grpcpp_service, a_reader_that_takes_nothing_is_cut_off)
{
	grpc::ClientContext context;
	pb::DrainResponse batch;

	on();
	record(16384, 8);
	rpcprof::detail::profiling_send_ns = UINT64_C(1000000000);
	Server server;
	auto reader = server.ours->Drain(&context, {});
	cr_assert(reader->Read(&batch));
	std::this_thread::sleep_for(std::chrono::seconds(3));
	while (reader->Read(&batch))
		;
	cr_assert_eq(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
	rpcprof::detail::profiling_send_ns = UINT64_C(30000000000);
	cr_assert_gt(drain(server, {}).message.stats_size(), 10000);
}

/* Many at once, of all kinds, ended in every way: for the sanitizers. */
Test(grpcpp_service, asked_by_many_while_it_stops)
{
	std::vector<std::thread> askers;
	std::atomic<bool> over{false};

	on();
	record(4000);
	Server server;
	for (int i = 0; i < 4; i++)
		askers.emplace_back([&server, &over, i] {
			while (!over) {
				grpc::ClientContext context;
				pb::ProfileRequest request;

				request.set_duration_ns(1000000);
				context.set_deadline(std::chrono::system_clock::now() +
				                     std::chrono::milliseconds(i * 10 + 1));
				if (i % 2 == 0)
					read_all<pb::Dump>(server.ours->Snapshot(&context, {}));
				else
					read_all<pb::ProfileResponse>(
						server.ours->Profile(&context, request));
			}
		});
	std::this_thread::sleep_for(std::chrono::seconds(2));
	server.shut_down();
	over = true;
	for (std::thread &asker : askers)
		asker.join();
}
