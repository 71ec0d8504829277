/* SPDX-License-Identifier: Apache-2.0 */
/*
 * greeter_profiling ADDRESS: a greeter in gRPC C++, with callbacks, that is asked what it records
 * where it serves, until it is told to end:
 *
 *     greeter_profiling 127.0.0.1:50051
 *     rpcprof enable --for 5m --address 127.0.0.1:50051
 *     rpcprof top --address 127.0.0.1:50051
 */
#include <grpcpp/grpcpp.h>
#include <rpcprof/grpcpp.hpp>
#include <rpcprof/grpcpp_service.hpp>

#include <csignal>
#include <cstdio>

#include "greeter.grpc.pb.h"

class Greeter final : public greeter::Greeter::CallbackService {
	grpc::ServerUnaryReactor *SayHello(grpc::CallbackServerContext *context,
	                                   const greeter::HelloRequest *request,
	                                   greeter::HelloReply *reply) override
	{
		grpc::ServerUnaryReactor *reactor = context->DefaultReactor();

		reply->set_message("Hello, " + request->name());
		reactor->Finish(grpc::Status::OK);
		return reactor;
	}
};

/* Blocked in this thread and all that it starts, so that only sigwait() takes them. */
static sigset_t block_signals()
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, nullptr);
	return signals;
}

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:50051";
	sigset_t signals = block_signals();
	grpc::ServerBuilder builder;
	Greeter service;
	rpcprof::ProfilingService profiling;
	int port = 0, signal;

	rpcprof_init(nullptr); /* recording is off until somebody asks for it */
	builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
	builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
	builder.RegisterService(&service);
	builder.RegisterService(&profiling);
	auto server = builder.BuildAndStart();
	if (!server) {
		fprintf(stderr, "cannot listen on %s\n", address);
		return 1;
	}
	printf("listening on port %d\n", port);
	fflush(stdout);
	sigwait(&signals, &signal);
	profiling.stop();
	server->Shutdown();
	return 0;
}
