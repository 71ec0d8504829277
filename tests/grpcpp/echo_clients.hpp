/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ECHO_CLIENTS_HPP
#define ECHO_CLIENTS_HPP

/* A client of the echo service in each of gRPC C++'s three ways. */
#include <atomic>
#include <condition_variable>
#include <mutex>

#include "echo_message.hpp"

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
		std::atomic<int> left_{3}; /* ordered by gRPC, which TSan does not see */
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
		std::atomic<int> left_{3}; /* ordered by gRPC, which TSan does not see */
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

#endif
