/* SPDX-License-Identifier: Apache-2.0 */
/* The trace context that joins the two sides of a call: of the program's own, of the option, of the
 * call that is served; and that nobody's is sent unasked. */
#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "echo.hpp"
#include "seen.hpp"

static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
static const std::string parent_trace =
	"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c";
static const std::string parent_span = "\xb7\xad\x6b\x71\x69\x20\x33\x31";

static void on()
{
	cr_assert_eq(rpcprof_init(nullptr), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static std::vector<std::string> traces(uint32_t side)
{
	std::vector<std::string> all;

	seen_settle();
	for (const Seen &seen : seen_side(side))
		all.push_back(seen.trace);
	std::sort(all.begin(), all.end());
	return all;
}

static std::shared_ptr<grpc::Channel> channel_to(int port, rpcprof::Traceparent traceparent)
{
	return grpc::experimental::CreateCustomChannelWithInterceptors(
		"127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(),
		grpc::ChannelArguments(), rpcprof::client_interceptors(traceparent));
}

static const Way ways[] = {Way::SYNC, Way::CALLBACK, Way::ASYNC};

/* One call in each way; what both sides have of its context. */
static std::vector<std::string> call_each_way(const char *own, rpcprof::Traceparent traceparent)
{
	std::vector<std::string> both;

	on();
	for (Way way : ways) {
		EchoServer echo(way);
		grpc::ClientContext context;

		if (own != nullptr)
			context.AddMetadata("traceparent", own);
		cr_assert(SyncClient(channel_to(echo.port(), traceparent))
		                  .unary(&context, message("hello"))
		                  .ok());
	}
	both = traces(RPCPROF_TAG_SERVER);
	cr_assert_eq(both.size(), 3u);
	cr_assert(both == traces(RPCPROF_TAG_CLIENT));
	return both;
}

Test(grpcpp_trace, the_programs_own_is_read_on_both_sides)
{
	for (const std::string &trace : call_each_way(parent, rpcprof::Traceparent::NO))
		cr_assert(trace == parent_trace + parent_span);
}

/* The option adds one only where there is none. */
Test(grpcpp_trace, the_programs_own_goes_before_the_option)
{
	for (const std::string &trace : call_each_way(parent, rpcprof::Traceparent::SEND))
		cr_assert(trace == parent_trace + parent_span);
}

Test(grpcpp_trace, what_is_malformed_is_left_as_it_is)
{
	for (const std::string &trace : call_each_way("00-what", rpcprof::Traceparent::SEND))
		cr_assert(trace.empty());
}

Test(grpcpp_trace, nothing_is_sent_unasked)
{
	for (const std::string &trace : call_each_way(nullptr, rpcprof::Traceparent::NO))
		cr_assert(trace.empty());
}

/* A call that is made for another belongs to its trace. */
Test(grpcpp_trace, a_trace_goes_on)
{
	class Relay final : public Echo::Service {
	public:
		std::unique_ptr<Echo::Stub> next;

	private:
		grpc::Status Unary(grpc::ServerContext *context, const Message *in,
		                   Message *out) override
		{
			grpc::ClientContext client;

			rpcprof::continue_trace(*context, &client);
			return next->Unary(&client, *in, out);
		}
	} relay;
	std::vector<std::string> of_servers;

	on();
	{
		EchoServer echo(Way::CALLBACK);
		grpc::ServerBuilder builder;
		grpc::ClientContext context;
		Message out;
		int port;

		relay.next = Echo::NewStub(channel_to(echo.port(), rpcprof::Traceparent::NO));
		builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
		builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
		builder.RegisterService(&relay);
		auto server = builder.BuildAndStart();
		context.AddMetadata("traceparent", parent);
		cr_assert(Echo::NewStub(channel_to(port, rpcprof::Traceparent::NO))
		                  ->Unary(&context, message("hello"), &out)
		                  .ok());
		server->Shutdown();
	}
	of_servers = traces(RPCPROF_TAG_SERVER);
	cr_assert_eq(of_servers.size(), 2u);
	cr_assert(of_servers[0].substr(0, 16) == parent_trace);
	cr_assert(of_servers[1].substr(0, 16) == parent_trace);
	cr_assert(of_servers[0] != of_servers[1]);
	cr_assert(of_servers == traces(RPCPROF_TAG_CLIENT));
}

/* A process that serves until the pipe ends, then writes what it has of its calls' contexts. */
static void serve(int from_client, int to_client)
{
	std::string all;
	char byte;

	on();
	{
		EchoServer echo(Way::SYNC);
		int port = echo.port();

		if (write(to_client, &port, sizeof(port)) != sizeof(port))
			_exit(1);
		while (read(from_client, &byte, 1) > 0)
			;
	}
	for (const std::string &trace : traces(RPCPROF_TAG_SERVER))
		all += trace;
	for (size_t done = 0; done < all.size();) {
		ssize_t more = write(to_client, all.data() + done, all.size() - done);

		if (more <= 0)
			_exit(1);
		done += static_cast<size_t>(more);
	}
	_exit(0);
}

/* The contexts of 1000 calls between two processes, as each side has them. */
static void two_processes(rpcprof::Traceparent traceparent, std::string *server,
                          std::vector<std::string> *client)
{
	int down[2], up[2], port;
	char bytes[4096];
	ssize_t more;
	pid_t child;

	cr_assert_eq(pipe(down) | pipe(up), 0);
	child = fork(); /* before gRPC begins, which is of no use in a child */
	if (child == 0) {
		close(down[1]);
		serve(down[0], up[1]);
	}
	close(up[1]);
	cr_assert_eq(read(up[0], &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
	on();
	{
		auto stub = Echo::NewStub(channel_to(port, traceparent));

		for (int i = 0; i < 1000; i++) {
			grpc::ClientContext context;
			Message out;

			cr_assert(stub->Unary(&context, message("hello"), &out).ok());
		}
	}
	close(down[1]);
	while ((more = read(up[0], bytes, sizeof(bytes))) > 0)
		server->append(bytes, static_cast<size_t>(more));
	cr_assert_eq(waitpid(child, nullptr, 0), child);
	*client = traces(RPCPROF_TAG_CLIENT);
	cr_assert_eq(client->size(), 1000u);
}

Test(grpcpp_trace, two_processes_are_joined_by_the_option)
{
	std::vector<std::string> client;
	std::string server, all;

	two_processes(rpcprof::Traceparent::SEND, &server, &client);
	cr_assert(std::unique(client.begin(), client.end()) == client.end());
	for (const std::string &trace : client)
		all += trace;
	cr_assert_eq(all.size(), 1000u * 24);
	cr_assert(server == all);
}

Test(grpcpp_trace, two_processes_are_not_joined_without)
{
	std::vector<std::string> client;
	std::string server;

	two_processes(rpcprof::Traceparent::NO, &server, &client);
	cr_assert(server.empty());
	cr_assert(client.back().empty());
}
