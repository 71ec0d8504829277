/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GRPCPP_SERVICE_HPP
#define RPCPROF_GRPCPP_SERVICE_HPP

/*
 * The Profiling services (service.h) on a grpc::Server of yours, beside its own services, be they
 * sync, callback, async or generic:
 *
 *     rpcprof::ProfilingService profiling;
 *
 *     builder.RegisterService(&profiling);
 *     server = builder.BuildAndStart();
 *     ...
 *     profiling.stop();
 *     server->Shutdown();
 *
 * Link librpcprof-export. Who may: as grpc_service.h says for a server of yours. Without tokens,
 * peers at loopback and Unix sockets may control, and nobody else: behind a proxy on the same
 * machine all peers look like that, so set tokens. With tokens, their bearers, over TLS if they
 * come from elsewhere.
 *
 * Answers are made on gRPC's own callback threads. Interceptors of grpcpp.hpp do not record these
 * calls. A reader that takes no message for 30 s is cut off.
 */
#include <grpc/grpc_security_constants.h>
#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/slice.h>
#if __has_include(<grpcpp/impl/server_callback_handlers.h>)
#include <grpcpp/impl/server_callback_handlers.h>
#else
#include <grpcpp/impl/codegen/server_callback_handlers.h> /* gRPC 1.51 */
#endif

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "rpcprof/control.h"
#include "rpcprof/service.h"

namespace rpcprof {

/** How to serve. */
struct ProfilingOptions {
	std::string read_token; /* RPCPROF_TOKEN_MIN to RPCPROF_TOKEN_MAX bytes; empty: none */
	std::string control_token;
	uint32_t answer_max = 0; /* as struct rpcprof_service_request */
	bool insecure_plaintext_token = false; /* something else encrypts (a mesh) */
};

class ProfilingService;

#pragma GCC visibility push(default)
namespace detail {

/* For a message; a test shortens it. Relaxed: a number, of no other's. */
inline std::atomic<uint64_t> profiling_send_ns{UINT64_C(30000000000)};

/*
 * One call. One message at a time is under way, so that a reader that is slow holds no more.
 *
 * Threads: gRPC's, and the alarm's; the lock is held in all that any of them does. gRPC runs none
 * of the reactions within the calls made here. An alarm that was given up may still be about to
 * run, so it holds the object, and knows by its turn that it is too late.
 */
class ProfilingCall final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                            public std::enable_shared_from_this<ProfilingCall> {
public:
	ProfilingCall(ProfilingService *service, grpc::CallbackServerContext *context) noexcept
		: service_(service), context_(context)
	{
	}

	~ProfilingCall() override = default;
	ProfilingCall(const ProfilingCall &) = delete;
	ProfilingCall &operator=(const ProfilingCall &) = delete;

	/* Until OnDone(). */
	void begin(const struct rpcprof_service_request &request)
	{
		std::lock_guard<std::mutex> lock(mutex_);

		self_ = shared_from_this();
		if (rpcprof_service_begin(&answer_, &request) == 0)
			next();
		else
			finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "no memory for the request"});
	}

	void refuse(const grpc::Status &status)
	{
		std::lock_guard<std::mutex> lock(mutex_);

		self_ = shared_from_this();
		finish(status);
	}

	void cut_off()
	{
		std::lock_guard<std::mutex> lock(mutex_);

		cancel();
	}

	void OnWriteDone(bool ok) override
	{
		std::lock_guard<std::mutex> lock(mutex_);

		if (ok) {
			next();
		} else {
			failed_ = true;
			finish(grpc::Status::CANCELLED);
		}
	}

	/* Only who waits for time to pass would not notice by himself. */
	void OnCancel() override
	{
		std::lock_guard<std::mutex> lock(mutex_);

		if (waiting_)
			finish(grpc::Status::CANCELLED);
	}

	inline void OnDone() override;

private:
	void next()
	{
		const void *bytes;
		const char *message;
		size_t length;
		int more = rpcprof_service_next(answer_, &bytes, &length);
		int32_t code;

		if (more == 1) {
			send(bytes, length);
		} else if (more == -EAGAIN) {
			wake_in(rpcprof_service_wait_ns(answer_), true);
		} else {
			code = rpcprof_service_status(answer_, &message);
			finish({static_cast<grpc::StatusCode>(code), message});
		}
	}

	void send(const void *bytes, size_t length)
	{
		grpc::Slice slice(bytes, length);

		message_ = grpc::ByteBuffer(&slice, 1);
		wake_in(profiling_send_ns.load(std::memory_order_relaxed), false);
		StartWrite(&message_);
	}

	void finish(const grpc::Status &status)
	{
		wake_in(profiling_send_ns.load(std::memory_order_relaxed), false);
		Finish(status);
	}

	void cancel()
	{
		failed_ = true;
		if (context_ != nullptr)
			context_->TryCancel();
	}

	/* At the time the answer goes on, if nothing else is under way; else the call is cut off. */
	void wake_in(uint64_t ns, bool waiting)
	{
		uint64_t turn = ++turn_;

		waiting_ = waiting;
		alarm_ = std::make_unique<grpc::Alarm>();
		alarm_->Set(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
		                         gpr_time_from_nanos(static_cast<int64_t>(ns), GPR_TIMESPAN)),
		            [self = shared_from_this(), turn](bool) { self->woken(turn); });
	}

	void woken(uint64_t turn)
	{
		std::lock_guard<std::mutex> lock(mutex_);

		if (turn != turn_)
			return;
		if (waiting_)
			next();
		else
			cancel();
	}

	ProfilingService *const service_;
	std::mutex mutex_;
	std::shared_ptr<ProfilingCall> self_;  /* while gRPC has it */
	grpc::CallbackServerContext *context_; /* nullptr: the call is over */
	struct rpcprof_service_call *answer_ = nullptr;
	grpc::ByteBuffer message_;
	std::unique_ptr<grpc::Alarm> alarm_;
	uint64_t turn_ = 0;
	bool waiting_ = false;
	bool failed_ = false; /* something was not sent */
};

} /* namespace detail */
#pragma GCC visibility pop

/**
 * The Profiling services, for ServerBuilder::RegisterService().
 *
 * Has to outlive the server. With options that cannot be meant (a token of the wrong length, both
 * the same, answer_max too small), which the log tells, nobody may do anything.
 */
class ProfilingService final : public grpc::Service {
public:
	explicit ProfilingService(ProfilingOptions options = {}) : options_(std::move(options))
	{
		usable_ = rpcprof_tokens_validate(&tokens_) == 0;
		if (options_.answer_max != 0 && options_.answer_max < RPCPROF_ANSWER_MAX_LEAST) {
			rpcprof_log(RPCPROF_LOG_ERROR, "service: answer_max is %u; at least %u is "
			            "taken", options_.answer_max, RPCPROF_ANSWER_MAX_LEAST);
			usable_ = false;
		}
		for (size_t i = 0; rpcprof_service_method(i) != nullptr; i++)
			add(static_cast<int>(i), rpcprof_service_method(i));
	}

	/* After the server, so after all calls. */
	~ProfilingService() override
	{
		stop();
	}

	ProfilingService(const ProfilingService &) = delete;
	ProfilingService &operator=(const ProfilingService &) = delete;

	/**
	 * Calls of the services are cancelled, and no more are taken: for Server::Shutdown(), which
	 * would wait for them, and there may be a Profile of an hour.
	 *
	 * Threads:  any
	 * Progress: blocking on answers being made, a few ms
	 */
	void stop()
	{
		std::lock_guard<std::mutex> lock(mutex_);

		stopped_ = true;
		for (detail::ProfilingCall *call : calls_)
			call->cut_off();
	}

private:
	friend class detail::ProfilingCall;

	/* Methods with one answer, too: on the wire that is a stream of one message. What generated
	 * services are made of, since the messages are bytes here. */
	void add(int i, const char *method)
	{
		using grpc::ByteBuffer;
		using grpc::internal::RpcMethod;

		AddMethod(new grpc::internal::RpcServiceMethod(method, RpcMethod::SERVER_STREAMING,
		                                               nullptr));
		MarkMethodRawCallback(
			i, new grpc::internal::CallbackServerStreamingHandler<ByteBuffer, ByteBuffer>(
				   [this, method](grpc::CallbackServerContext *context,
			                          const ByteBuffer *message) {
					   return answer(context, method, *message);
				   }));
	}

	detail::ProfilingCall *answer(grpc::CallbackServerContext *context, const char *method,
	                              const grpc::ByteBuffer &message)
	{
		auto call = std::make_shared<detail::ProfilingCall>(this, context);
		struct rpcprof_service_request request = {};
		grpc::Slice slice;

		if (!enter(call.get())) {
			call->refuse({grpc::StatusCode::UNAVAILABLE, "the service stops"});
		} else if (!message.DumpToSingleSlice(&slice).ok()) {
			call->refuse({grpc::StatusCode::INVALID_ARGUMENT,
			              "a message that cannot be read"});
		} else {
			request.size = sizeof(request);
			request.method = method;
			request.method_bytes = std::strlen(method);
			request.bytes = slice.begin();
			request.length = slice.size();
			request.permission = permission_of(context);
			request.answer_max = usable_ ? options_.answer_max : 0;
			call->begin(request);
		}
		return call.get();
	}

	enum rpcprof_permission permission_of(const grpc::CallbackServerContext *context) const
	{
		const std::string address = context->peer();
		struct rpcprof_peer peer = {};

		if (!usable_)
			return RPCPROF_MAY_NOTHING;
		peer.address = address.c_str();
		peer.token = find_token(context, &peer.token_bytes);
		peer.encrypted = options_.insecure_plaintext_token || is_encrypted(context);
		return rpcprof_peer_check(&tokens_, &peer);
	}

	static const char *find_token(const grpc::CallbackServerContext *context, size_t *bytes)
	{
		auto found = context->client_metadata().equal_range("authorization");
		const char *token = nullptr;

		for (auto i = found.first; i != found.second && token == nullptr; ++i) {
			*bytes = i->second.size();
			token = rpcprof_bearer_token(i->second.data(), bytes);
		}
		return token;
	}

	static bool is_encrypted(const grpc::CallbackServerContext *context)
	{
		for (const grpc::string_ref &type : context->auth_context()->FindPropertyValues(
			     GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME))
			if (type == GRPC_SSL_TRANSPORT_SECURITY_TYPE ||
			    type == GRPC_TLS_TRANSPORT_SECURITY_TYPE)
				return true;
		return false;
	}

	bool enter(detail::ProfilingCall *call)
	{
		std::lock_guard<std::mutex> lock(mutex_);

		if (!stopped_)
			calls_.insert(call);
		return !stopped_;
	}

	void leave(detail::ProfilingCall *call)
	{
		std::lock_guard<std::mutex> lock(mutex_);

		calls_.erase(call);
	}

	static const char *or_null(const std::string &token)
	{
		return token.empty() ? nullptr : token.c_str();
	}

	const ProfilingOptions options_;
	const struct rpcprof_tokens tokens_ = {or_null(options_.read_token),
	                                       or_null(options_.control_token)};
	bool usable_;
	std::mutex mutex_; /* before that of a call */
	std::set<detail::ProfilingCall *> calls_;
	bool stopped_ = false;
};

/* The last of gRPC's reactions. An alarm may have the object for a moment longer. */
inline void detail::ProfilingCall::OnDone()
{
	std::shared_ptr<ProfilingCall> self;

	{
		std::lock_guard<std::mutex> lock(mutex_);

		self = std::move(self_);
		rpcprof_service_end(answer_, !failed_ && !context_->IsCancelled());
		context_ = nullptr;
		turn_++;
		alarm_.reset();
	}
	service_->leave(this);
}

} /* namespace rpcprof */

#endif
