/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC C++ on completion queues, recorded as greeter_sync.cc. */
#include <grpcpp/grpcpp.h>
#include <rpcprof/dump.h>
#include <rpcprof/grpcpp.hpp>

#include <cstdio>
#include <thread>

#include "greeter.grpc.pb.h"

/* One call of the server, from its request on; its own tag. */
class Greeting {
public:
	Greeting(greeter::Greeter::AsyncService *service, grpc::ServerCompletionQueue *cq)
		: service_(service), cq_(cq), writer_(&context_)
	{
		service_->RequestSayHello(&context_, &request_, &writer_, cq_, cq_, this);
	}

	void event(bool ok)
	{
		if (!ok || answered_) {
			delete this;
			return;
		}
		new Greeting(service_, cq_);
		answered_ = true;
		answer();
	}

private:
	void answer()
	{
		greeter::HelloReply reply;
		rpcprof::Scope compose(rpcprof::stat(&context_), RPCPROF_TAG("/compose"));

		reply.set_message("Hello " + request_.name());
		compose.end(); /* before the call can be over */
		writer_.Finish(reply, grpc::Status::OK, this);
	}

	greeter::Greeter::AsyncService *service_;
	grpc::ServerCompletionQueue *cq_;
	grpc::ServerContext context_;
	grpc::ServerAsyncResponseWriter<greeter::HelloReply> writer_;
	greeter::HelloRequest request_;
	bool answered_ = false;
};

static void serve(grpc::ServerCompletionQueue *cq)
{
	void *tag;
	bool ok;

	while (cq->Next(&tag, &ok))
		static_cast<Greeting *>(tag)->event(ok);
}

static bool greet(greeter::Greeter::Stub *stub, grpc::CompletionQueue *cq)
{
	grpc::ClientContext context;
	greeter::HelloRequest request;
	greeter::HelloReply reply;
	grpc::Status status;
	void *tag;
	bool ok;

	request.set_name("world");
	auto reader = stub->AsyncSayHello(&context, request, cq);
	reader->Finish(&reply, &status, &reply);
	return cq->Next(&tag, &ok) && ok && status.ok() && reply.message() == "Hello world";
}

int main()
{
	grpc::ServerBuilder builder;
	greeter::Greeter::AsyncService service;
	grpc::CompletionQueue client_cq;
	int port = 0, greeted = 0;

	rpcprof_init(nullptr), rpcprof_enable(true);
	builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
	builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
	builder.RegisterService(&service);
	auto cq = builder.AddCompletionQueue();
	auto server = builder.BuildAndStart();
	new Greeting(&service, cq.get());
	std::thread server_thread(serve, cq.get());

	auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(
		"127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(),
		grpc::ChannelArguments(), rpcprof::client_interceptors());
	auto stub = greeter::Greeter::NewStub(channel);
	for (int i = 0; i < 10; i++)
		greeted += greet(stub.get(), &client_cq);

	client_cq.Shutdown();
	server->Shutdown();
	cq->Shutdown();
	server_thread.join();
	return greeted == 10 && rpcprof_dump(stdout, nullptr) == 20 ? 0 : 1;
}
