/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC C++ with callbacks, recorded as greeter_sync.cc. The handler goes on on another thread, which
 * finds the call's Stat by its context. */
#include <grpcpp/grpcpp.h>
#include <rpcprof/dump.h>
#include <rpcprof/grpcpp.hpp>

#include <cstdio>
#include <future>
#include <thread>

#include "greeter.grpc.pb.h"

class Greeter final : public greeter::Greeter::CallbackService {
	grpc::ServerUnaryReactor *SayHello(grpc::CallbackServerContext *context,
	                                   const greeter::HelloRequest *request,
	                                   greeter::HelloReply *reply) override
	{
		grpc::ServerUnaryReactor *reactor = context->DefaultReactor();

		std::thread([=] {
			rpcprof::Scope compose(rpcprof::stat(context), RPCPROF_TAG("/compose"));

			reply->set_message("Hello " + request->name());
			compose.end(); /* before the call can be over */
			reactor->Finish(grpc::Status::OK);
		}).detach();
		return reactor;
	}
};

static bool greet(greeter::Greeter::Stub *stub)
{
	grpc::ClientContext context;
	greeter::HelloRequest request;
	greeter::HelloReply reply;
	std::promise<bool> done;

	request.set_name("world");
	stub->async()->SayHello(&context, &request, &reply, [&done](const grpc::Status &status) {
		done.set_value(status.ok());
	});
	return done.get_future().get() && reply.message() == "Hello world";
}

int main()
{
	grpc::ServerBuilder builder;
	Greeter service;
	int port = 0, greeted = 0;

	rpcprof_init(nullptr), rpcprof_enable(true);
	builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
	builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
	builder.RegisterService(&service);
	auto server = builder.BuildAndStart();

	auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(
		"127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(),
		grpc::ChannelArguments(), rpcprof::client_interceptors());
	auto stub = greeter::Greeter::NewStub(channel);
	for (int i = 0; i < 10; i++)
		greeted += greet(stub.get());

	server->Shutdown();
	return greeted == 10 && rpcprof_dump(stdout, nullptr) > 0 ? 0 : 1;
}
