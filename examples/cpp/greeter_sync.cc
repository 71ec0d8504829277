/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC C++, sync: a server and its client in one process, recorded by one header and two lines a
 * side. Ends with the last calls as a table. */
#include <grpcpp/grpcpp.h>
#include <rpcprof/dump.h>
#include <rpcprof/grpcpp.hpp>

#include <cstdio>

#include "greeter.grpc.pb.h"

class Greeter final : public greeter::Greeter::Service {
	grpc::Status SayHello(grpc::ServerContext *context, const greeter::HelloRequest *request,
	                      greeter::HelloReply *reply) override
	{
		/* A stage of your own, in the call's Stat: */
		rpcprof::Scope compose(rpcprof::stat(context), RPCPROF_TAG("/compose"));

		reply->set_message("Hello " + request->name());
		return grpc::Status::OK;
	}
};

static bool greet(greeter::Greeter::Stub *stub)
{
	grpc::ClientContext context;
	greeter::HelloRequest request;
	greeter::HelloReply reply;

	request.set_name("world");
	return stub->SayHello(&context, request, &reply).ok() && reply.message() == "Hello world";
}

int main()
{
	grpc::ServerBuilder builder;
	Greeter service;
	int port = 0, greeted = 0;

	rpcprof_init(nullptr), rpcprof_enable(true);                                       /* 1 */
	builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());     /* 2 */
	builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
	builder.RegisterService(&service);
	auto server = builder.BuildAndStart();

	auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(            /* 2 */
		"127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(),
		grpc::ChannelArguments(), rpcprof::client_interceptors());
	auto stub = greeter::Greeter::NewStub(channel);
	for (int i = 0; i < 10; i++)
		greeted += greet(stub.get());

	server->Shutdown();
	return greeted == 10 && rpcprof_dump(stdout, nullptr) == 20 ? 0 : 1;
}
