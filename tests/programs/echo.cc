// SPDX-License-Identifier: Apache-2.0
// A C++ program that knows nothing of rpcprof: echo SERVER CLIENT CALLS makes so many calls of each
// kind from a client to a server within one process, and checks every answer.
//
//     SERVER  sync, async or callback      CLIENT  sync, async or callback
//
// Exit status: 7 if all is as it should be, which nothing else gives.
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "echo.grpc.pb.h"

using programs::Echo;
using programs::Text;

static void check(bool right, const char *what)
{
	if (right)
		return;
	std::cerr << what << "\n";
	_Exit(1);
}

static Text text(const std::string &s)
{
	Text t;
	t.set_text(s);
	return t;
}

class SyncEcho final : public Echo::Service {
	grpc::Status Say(grpc::ServerContext *, const Text *in, Text *out) override
	{
		*out = *in;
		return grpc::Status::OK;
	}
	grpc::Status Collect(grpc::ServerContext *, grpc::ServerReader<Text> *in, Text *out) override
	{
		for (Text t; in->Read(&t);)
			out->set_text(out->text() + t.text());
		return grpc::Status::OK;
	}
	grpc::Status Repeat(grpc::ServerContext *, const Text *in,
	                    grpc::ServerWriter<Text> *out) override
	{
		for (int i = 0; i < 3; i++)
			out->Write(*in);
		return grpc::Status::OK;
	}
	grpc::Status Talk(grpc::ServerContext *, grpc::ServerReaderWriter<Text, Text> *both) override
	{
		for (Text t; both->Read(&t);)
			both->Write(t);
		return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "over");
	}
};

class CallbackEcho final : public Echo::CallbackService {
	grpc::ServerUnaryReactor *Say(grpc::CallbackServerContext *context, const Text *in,
	                              Text *out) override
	{
		auto *reactor = context->DefaultReactor();
		*out = *in;
		reactor->Finish(grpc::Status::OK);
		return reactor;
	}
};

// Unary only: one step object per call.
class AsyncEcho {
public:
	explicit AsyncEcho(grpc::ServerBuilder &builder)
	{
		builder.RegisterService(&service);
		queue = builder.AddCompletionQueue();
	}
	void run()
	{
		new Step(this);
		void *tag;
		bool ok;
		while (queue->Next(&tag, &ok))
			static_cast<Step *>(tag)->go(ok);
	}
	std::unique_ptr<grpc::ServerCompletionQueue> queue;

private:
	struct Step {
		explicit Step(AsyncEcho *e) : echo(e), writer(&context)
		{
			echo->service.RequestSay(&context, &in, &writer, echo->queue.get(),
			                         echo->queue.get(), this);
		}
		void go(bool ok)
		{
			if (!ok || finished) {
				delete this;
				return;
			}
			new Step(echo);
			finished = true;
			writer.Finish(in, grpc::Status::OK, this);
		}
		AsyncEcho *echo;
		grpc::ServerContext context;
		Text in;
		grpc::ServerAsyncResponseWriter<Text> writer;
		bool finished = false;
	};
	Echo::AsyncService service;
};

static void streams(Echo::Stub &stub, const std::string &word)
{
	{
		grpc::ClientContext context;
		Text out;
		auto in = stub.Collect(&context, &out);
		for (int i = 0; i < 3; i++)
			in->Write(text(word));
		in->WritesDone();
		check(in->Finish().ok() && out.text() == word + word + word, "Collect");
	}
	{
		grpc::ClientContext context;
		auto out = stub.Repeat(&context, text(word));
		int n = 0;
		for (Text t; out->Read(&t); n++)
			check(t.text() == word, "Repeat");
		check(out->Finish().ok() && n == 3, "Repeat");
	}
	{
		grpc::ClientContext context;
		auto both = stub.Talk(&context);
		for (int i = 0; i < 3; i++) {
			Text t;
			check(both->Write(text(word)) && both->Read(&t) && t.text() == word, "Talk");
		}
		both->WritesDone();
		check(both->Finish().error_code() == grpc::StatusCode::OUT_OF_RANGE, "Talk");
	}
}

static void say_sync(Echo::Stub &stub, const std::string &word)
{
	grpc::ClientContext context;
	Text out;
	check(stub.Say(&context, text(word), &out).ok() && out.text() == word, "Say");
}

static void say_async(Echo::Stub &stub, const std::string &word)
{
	grpc::CompletionQueue queue;
	grpc::ClientContext context;
	grpc::Status status;
	Text out;
	void *tag;
	bool ok;
	auto reader = stub.AsyncSay(&context, text(word), &queue);
	reader->Finish(&out, &status, &out);
	check(queue.Next(&tag, &ok) && ok && tag == &out, "the tag");
	check(status.ok() && out.text() == word, "Say");
}

static void say_callback(Echo::Stub &stub, const std::string &word)
{
	grpc::ClientContext context;
	std::condition_variable done;
	std::mutex mutex;
	bool over = false;
	Text in = text(word), out;
	stub.async()->Say(&context, &in, &out, [&](grpc::Status status) {
		check(status.ok() && out.text() == word, "Say");
		std::lock_guard<std::mutex> lock(mutex);
		over = true;
		done.notify_one();
	});
	std::unique_lock<std::mutex> lock(mutex);
	done.wait(lock, [&] { return over; });
}

int main(int argc, char **argv)
{
	check(argc == 4, "echo SERVER CLIENT CALLS");
	std::string server_kind = argv[1], client_kind = argv[2];
	int port = 0, calls = std::atoi(argv[3]);
	grpc::ServerBuilder builder;
	SyncEcho sync;
	CallbackEcho callback;
	std::unique_ptr<AsyncEcho> async;
	std::thread thread;

	builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
	if (server_kind == "sync")
		builder.RegisterService(&sync);
	else if (server_kind == "callback")
		builder.RegisterService(&callback);
	else
		async = std::make_unique<AsyncEcho>(builder);
	auto server = builder.BuildAndStart();
	if (async)
		thread = std::thread([&] { async->run(); });
	{
		auto stub = Echo::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
		                                              grpc::InsecureChannelCredentials()));
		for (int i = 0; i < calls; i++) {
			std::string word = "word" + std::to_string(i);
			if (client_kind == "sync")
				say_sync(*stub, word);
			else if (client_kind == "async")
				say_async(*stub, word);
			else
				say_callback(*stub, word);
			if (server_kind == "sync")
				streams(*stub, word);
		}
	}
	server->Shutdown();
	if (async) {
		async->queue->Shutdown();
		thread.join();
	}
	return 7;
}
