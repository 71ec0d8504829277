/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ECHO_SERVICES_HPP
#define ECHO_SERVICES_HPP

/* The echo service in each of gRPC C++'s three ways. */
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "echo_message.hpp"
#include "rpcprof/grpcpp.hpp"

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
		std::atomic<uint32_t> left_; /* as in echo_clients.hpp */
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

#endif
