/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ECHO_HPP
#define ECHO_HPP

/*
 * The echo service in each of gRPC C++'s three ways, and a client for each: over loopback TCP, with
 * the two lines that record them.
 */
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "echo.grpc.pb.h"
#include "rpcprof/grpcpp.hpp"

using test::Echo;
using test::Message;

inline Message message(const std::string &text, uint32_t count = 0)
{
	Message m;

	m.set_text(text);
	m.set_count(count);
	return m;
}

inline grpc::Status answer_of(const Message &m)
{
	return m.status() == 0
	               ? grpc::Status::OK
	               : grpc::Status(static_cast<grpc::StatusCode>(m.status()), "as asked");
}

class SyncEcho final : public Echo::Service {
	/* The client's clock strikes first: if there is a deadline, it is to have passed here too. */
	static void wait_for_end(grpc::ServerContext *context)
	{
		if (context->deadline() != std::chrono::system_clock::time_point::max())
			std::this_thread::sleep_until(context->deadline());
		while (!context->IsCancelled())
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}

	grpc::Status Unary(grpc::ServerContext *context, const Message *in, Message *out) override
	{
		rpcprof::Scope mine(rpcprof::stat(context), RPCPROF_TAG("/mine"));

		if (in->wait())
			wait_for_end(context);
		*out = *in;
		return answer_of(*in);
	}

	grpc::Status Collect(grpc::ServerContext *, grpc::ServerReader<Message> *reader,
	                     Message *out) override
	{
		Message in;

		while (reader->Read(&in))
			out->set_text(out->text() + in.text());
		return grpc::Status::OK;
	}

	grpc::Status Expand(grpc::ServerContext *, const Message *in,
	                    grpc::ServerWriter<Message> *writer) override
	{
		for (uint32_t i = 0; i < in->count(); i++)
			writer->Write(*in);
		return answer_of(*in);
	}

	grpc::Status Chat(grpc::ServerContext *,
	                  grpc::ServerReaderWriter<Message, Message> *stream) override
	{
		Message in;

		while (stream->Read(&in))
			stream->Write(in);
		return grpc::Status::OK;
	}
};

class CallbackEcho final : public Echo::CallbackService {
	/* Holds on until cancelled, where asked to. */
	class UnaryReactor final : public grpc::ServerUnaryReactor {
	public:
		UnaryReactor(const Message *in, Message *out)
		{
			*out = *in;
			if (!in->wait())
				Finish(answer_of(*in));
		}

		void OnCancel() override
		{
			Finish(grpc::Status::CANCELLED);
		}

		void OnDone() override
		{
			delete this;
		}
	};

	class CollectReactor final : public grpc::ServerReadReactor<Message> {
	public:
		explicit CollectReactor(Message *out) : out_(out)
		{
			StartRead(&in_);
		}

		void OnReadDone(bool ok) override
		{
			if (!ok)
				return Finish(grpc::Status::OK);
			out_->set_text(out_->text() + in_.text());
			StartRead(&in_);
		}

		void OnDone() override
		{
			delete this;
		}

	private:
		Message in_;
		Message *out_;
	};

	class ExpandReactor final : public grpc::ServerWriteReactor<Message> {
	public:
		explicit ExpandReactor(const Message *in) : in_(*in), left_(in->count())
		{
			next();
		}

		void OnWriteDone(bool) override
		{
			next();
		}

		void OnDone() override
		{
			delete this;
		}

	private:
		void next()
		{
			if (left_-- == 0)
				Finish(answer_of(in_));
			else
				StartWrite(&in_);
		}

		Message in_;
		uint32_t left_;
	};

	class ChatReactor final : public grpc::ServerBidiReactor<Message, Message> {
	public:
		ChatReactor()
		{
			StartRead(&in_);
		}

		void OnReadDone(bool ok) override
		{
			if (!ok)
				return Finish(grpc::Status::OK);
			StartWrite(&in_);
		}

		void OnWriteDone(bool) override
		{
			StartRead(&in_);
		}

		void OnDone() override
		{
			delete this;
		}

	private:
		Message in_;
	};

	grpc::ServerUnaryReactor *Unary(grpc::CallbackServerContext *context, const Message *in,
	                                Message *out) override
	{
		rpcprof::Scope mine(rpcprof::stat(context), RPCPROF_TAG("/mine"));

		return new UnaryReactor(in, out);
	}

	grpc::ServerReadReactor<Message> *Collect(grpc::CallbackServerContext *,
	                                          Message *out) override
	{
		return new CollectReactor(out);
	}

	grpc::ServerWriteReactor<Message> *Expand(grpc::CallbackServerContext *,
	                                          const Message *in) override
	{
		return new ExpandReactor(in);
	}

	grpc::ServerBidiReactor<Message, Message> *Chat(grpc::CallbackServerContext *) override
	{
		return new ChatReactor();
	}
};

/* A completion queue used in sequence: one operation, then its event. */
template <class Queue> struct Steps {
	std::unique_ptr<Queue> cq;

	/* Takes the next event; whether it went well. */
	bool step()
	{
		void *tag;
		bool ok;

		return cq->Next(&tag, &ok) && ok;
	}

	void close()
	{
		void *tag;
		bool ok;

		cq->Shutdown();
		while (cq->Next(&tag, &ok))
			;
	}
};

/* Serves each kind in turn, in a thread of its own, one call at a time. */
class AsyncEcho final {
public:
	void add_to(grpc::ServerBuilder &builder)
	{
		builder.RegisterService(&service_);
		for (Steps<grpc::ServerCompletionQueue> &steps : steps_)
			steps.cq = builder.AddCompletionQueue();
	}

	void start()
	{
		threads_.emplace_back([this] { while (unary(steps_[0])) ; });
		threads_.emplace_back([this] { while (collect(steps_[1])) ; });
		threads_.emplace_back([this] { while (expand(steps_[2])) ; });
		threads_.emplace_back([this] { while (chat(steps_[3])) ; });
	}

	/* After the server's shutdown, which gives each thread the event that ends it. */
	void stop()
	{
		for (std::thread &thread : threads_)
			thread.join();
		for (Steps<grpc::ServerCompletionQueue> &steps : steps_)
			steps.close();
	}

private:
	using Queue = Steps<grpc::ServerCompletionQueue>;

	bool unary(Queue &q)
	{
		grpc::ServerContext context;
		grpc::ServerAsyncResponseWriter<Message> writer(&context);
		Message m;

		service_.RequestUnary(&context, &m, &writer, q.cq.get(), q.cq.get(), this);
		if (!q.step())
			return false;
		{
			rpcprof::Scope mine(rpcprof::stat(&context), RPCPROF_TAG("/mine"));
		}
		writer.Finish(m, answer_of(m), this);
		q.step();
		return true;
	}

	bool collect(Queue &q)
	{
		grpc::ServerContext context;
		grpc::ServerAsyncReader<Message, Message> reader(&context);
		Message in, out;

		service_.RequestCollect(&context, &reader, q.cq.get(), q.cq.get(), this);
		if (!q.step())
			return false;
		for (reader.Read(&in, this); q.step(); reader.Read(&in, this))
			out.set_text(out.text() + in.text());
		reader.Finish(out, grpc::Status::OK, this);
		q.step();
		return true;
	}

	bool expand(Queue &q)
	{
		grpc::ServerContext context;
		grpc::ServerAsyncWriter<Message> writer(&context);
		Message m;

		service_.RequestExpand(&context, &m, &writer, q.cq.get(), q.cq.get(), this);
		if (!q.step())
			return false;
		for (uint32_t i = 0; i < m.count(); i++) {
			writer.Write(m, this);
			q.step();
		}
		writer.Finish(answer_of(m), this);
		q.step();
		return true;
	}

	bool chat(Queue &q)
	{
		grpc::ServerContext context;
		grpc::ServerAsyncReaderWriter<Message, Message> stream(&context);
		Message in;

		service_.RequestChat(&context, &stream, q.cq.get(), q.cq.get(), this);
		if (!q.step())
			return false;
		for (stream.Read(&in, this); q.step(); stream.Read(&in, this)) {
			stream.Write(in, this);
			q.step();
		}
		stream.Finish(grpc::Status::OK, this);
		q.step();
		return true;
	}

	Echo::AsyncService service_;
	Queue steps_[4];
	std::vector<std::thread> threads_;
};

enum class Way { SYNC, CALLBACK, ASYNC };

/* A server in one way, and a channel to it. */
class EchoServer final {
public:
	explicit EchoServer(Way way) : way_(way)
	{
		grpc::ServerBuilder builder;

		builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
		builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
		if (way == Way::SYNC)
			builder.RegisterService(&sync_);
		else if (way == Way::CALLBACK)
			builder.RegisterService(&callback_);
		else
			async_.add_to(builder);
		server_ = builder.BuildAndStart();
		if (way == Way::ASYNC)
			async_.start();
		channel_ = grpc::experimental::CreateCustomChannelWithInterceptors(
			"127.0.0.1:" + std::to_string(port_), grpc::InsecureChannelCredentials(),
			grpc::ChannelArguments(), rpcprof::client_interceptors());
	}

	~EchoServer()
	{
		/* The deadline is that of calls that a test left behind. */
		server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
		if (way_ == Way::ASYNC)
			async_.stop();
	}

	int port() const
	{
		return port_;
	}

	const std::shared_ptr<grpc::Channel> &channel() const
	{
		return channel_;
	}

private:
	const Way way_;
	int port_ = 0;
	SyncEcho sync_;
	CallbackEcho callback_;
	AsyncEcho async_;
	std::unique_ptr<grpc::Server> server_;
	std::shared_ptr<grpc::Channel> channel_;
};

/* One call of each kind; streams carry three messages each way. The answer's status. */
struct EchoClient {
	virtual ~EchoClient() = default;
	virtual grpc::Status unary(grpc::ClientContext *context, const Message &in) = 0;
	virtual grpc::Status collect(grpc::ClientContext *context) = 0;
	virtual grpc::Status expand(grpc::ClientContext *context, const Message &in) = 0;
	virtual grpc::Status chat(grpc::ClientContext *context) = 0;
};

class SyncClient final : public EchoClient {
public:
	explicit SyncClient(const std::shared_ptr<grpc::Channel> &channel) : stub_(channel)
	{
	}

	grpc::Status unary(grpc::ClientContext *context, const Message &in) override
	{
		Message out;

		return stub_.Unary(context, in, &out);
	}

	grpc::Status collect(grpc::ClientContext *context) override
	{
		Message out;
		auto writer = stub_.Collect(context, &out);

		for (int i = 0; i < 3; i++)
			writer->Write(message("a"));
		writer->WritesDone();
		return writer->Finish();
	}

	grpc::Status expand(grpc::ClientContext *context, const Message &in) override
	{
		Message out;
		auto reader = stub_.Expand(context, in);

		while (reader->Read(&out))
			;
		return reader->Finish();
	}

	grpc::Status chat(grpc::ClientContext *context) override
	{
		Message out;
		auto stream = stub_.Chat(context);

		for (int i = 0; i < 3; i++) {
			stream->Write(message("a"));
			stream->Read(&out);
		}
		stream->WritesDone();
		stream->Read(&out);
		return stream->Finish();
	}

private:
	Echo::Stub stub_;
};

class CallbackClient final : public EchoClient {
	/* The end of a call, to wait for. */
	class Done {
	public:
		void set(const grpc::Status &status)
		{
			std::lock_guard<std::mutex> lock(mutex_);

			status_ = status;
			done_ = true;
			changed_.notify_all();
		}

		grpc::Status wait()
		{
			std::unique_lock<std::mutex> lock(mutex_);

			changed_.wait(lock, [this] { return done_; });
			return status_;
		}

	private:
		std::mutex mutex_;
		std::condition_variable changed_;
		bool done_ = false;
		grpc::Status status_;
	};

	class CollectReactor final : public grpc::ClientWriteReactor<Message>, public Done {
	public:
		void OnWriteDone(bool) override
		{
			if (--left_ > 0)
				StartWrite(&out_);
			else
				StartWritesDone();
		}

		void OnDone(const grpc::Status &status) override
		{
			set(status);
		}

		Message out_ = message("a"), in_;
		int left_ = 3;
	};

	class ExpandReactor final : public grpc::ClientReadReactor<Message>, public Done {
	public:
		void OnReadDone(bool ok) override
		{
			if (ok)
				StartRead(&in_);
		}

		void OnDone(const grpc::Status &status) override
		{
			set(status);
		}

		Message in_;
	};

	class ChatReactor final : public grpc::ClientBidiReactor<Message, Message>, public Done {
	public:
		void OnWriteDone(bool) override
		{
			StartRead(&in_);
		}

		void OnReadDone(bool ok) override
		{
			if (!ok)
				return;
			if (--left_ > 0)
				StartWrite(&out_);
			else
				StartWritesDone();
		}

		void OnWritesDoneDone(bool) override
		{
			StartRead(&in_);
		}

		void OnDone(const grpc::Status &status) override
		{
			set(status);
		}

		Message out_ = message("a"), in_;
		int left_ = 3;
	};

public:
	explicit CallbackClient(const std::shared_ptr<grpc::Channel> &channel) : stub_(channel)
	{
	}

	grpc::Status unary(grpc::ClientContext *context, const Message &in) override
	{
		Message out;
		Done done;

		stub_.async()->Unary(context, &in, &out,
		                     [&done](const grpc::Status &status) { done.set(status); });
		return done.wait();
	}

	grpc::Status collect(grpc::ClientContext *context) override
	{
		CollectReactor reactor;

		stub_.async()->Collect(context, &reactor.in_, &reactor);
		reactor.StartWrite(&reactor.out_);
		reactor.StartCall();
		return reactor.wait();
	}

	grpc::Status expand(grpc::ClientContext *context, const Message &in) override
	{
		ExpandReactor reactor;

		stub_.async()->Expand(context, &in, &reactor);
		reactor.StartRead(&reactor.in_);
		reactor.StartCall();
		return reactor.wait();
	}

	grpc::Status chat(grpc::ClientContext *context) override
	{
		ChatReactor reactor;

		stub_.async()->Chat(context, &reactor);
		reactor.StartWrite(&reactor.out_);
		reactor.StartCall();
		return reactor.wait();
	}

private:
	Echo::Stub stub_;
};

class AsyncClient final : public EchoClient {
public:
	explicit AsyncClient(const std::shared_ptr<grpc::Channel> &channel) : stub_(channel)
	{
		q_.cq = std::make_unique<grpc::CompletionQueue>();
	}

	~AsyncClient() override
	{
		q_.close();
	}

	grpc::Status unary(grpc::ClientContext *context, const Message &in) override
	{
		grpc::Status status;
		Message out;
		auto reader = stub_.AsyncUnary(context, in, q_.cq.get());

		reader->Finish(&out, &status, this);
		q_.step();
		return status;
	}

	grpc::Status collect(grpc::ClientContext *context) override
	{
		Message out;
		auto writer = stub_.AsyncCollect(context, &out, q_.cq.get(), this);

		q_.step();
		for (int i = 0; i < 3; i++) {
			writer->Write(message("a"), this);
			q_.step();
		}
		writer->WritesDone(this);
		q_.step();
		return finish(*writer);
	}

	grpc::Status expand(grpc::ClientContext *context, const Message &in) override
	{
		Message out;
		auto reader = stub_.AsyncExpand(context, in, q_.cq.get(), this);

		q_.step();
		do
			reader->Read(&out, this);
		while (q_.step());
		return finish(*reader);
	}

	grpc::Status chat(grpc::ClientContext *context) override
	{
		Message out;
		auto stream = stub_.AsyncChat(context, q_.cq.get(), this);

		q_.step();
		for (int i = 0; i < 3; i++) {
			stream->Write(message("a"), this);
			q_.step();
			stream->Read(&out, this);
			q_.step();
		}
		stream->WritesDone(this);
		q_.step();
		stream->Read(&out, this);
		q_.step();
		return finish(*stream);
	}

private:
	template <class Stream> grpc::Status finish(Stream &stream)
	{
		grpc::Status status;

		stream.Finish(&status, this);
		q_.step();
		return status;
	}

	Echo::Stub stub_;
	Steps<grpc::CompletionQueue> q_;
};

inline std::unique_ptr<EchoClient> echo_client(Way way, const EchoServer &server)
{
	if (way == Way::SYNC)
		return std::make_unique<SyncClient>(server.channel());
	if (way == Way::CALLBACK)
		return std::make_unique<CallbackClient>(server.channel());
	return std::make_unique<AsyncClient>(server.channel());
}

#endif
