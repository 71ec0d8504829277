/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GRPCPP_HPP
#define RPCPROF_GRPCPP_HPP

/*
 * The calls of gRPC C++, recorded by interceptors: sync, callback and async, servers and clients.
 *
 *     builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
 *
 *     channel = grpc::experimental::CreateCustomChannelWithInterceptors(
 *             target, credentials, arguments, rpcprof::client_interceptors());
 *
 * Where there are interceptors already, add a rpcprof::ServerInterceptorFactory or
 * ClientInterceptorFactory to their vector, last: the closer to the transport, the less of the
 * others' work is counted as sending. Stages of your own go on rpcprof::stat(context):
 *
 *     rpcprof::Scope look_up(rpcprof::stat(context), RPCPROF_TAG("/look_up"));
 *
 * The stages have the names of grpc_call.h, and mean the same but for this:
 *
 *     /recv/header        server: an instant, the begin of the Stat: the first that a process sees
 *                         of a call through this API
 *     /recv/message       with its decoding, but for the request that an async server armed with
 *                         its message: that is decoded before anything can be seen
 *     /handler            server: from when the call is handed to the program until the program
 *                         hands over the status. Stages of your own lie in it
 *     /send/start_batch   with the encoding, but for what an async API sends: that is encoded
 *                         before
 *
 * A client's unary call is one batch, so one stage, /recv/status, and /send/start_batch in it. Not
 * seen: the creation of a client's call, and the way from a finished batch to the program through
 * its completion queue or callback.
 *
 * The two sides are joined by their W3C trace context: the `traceparent` that came with a server's
 * call, that went with a client's. client_interceptors(Traceparent::SEND) adds one where the
 * program has none.
 *
 * A server's Stat ends when its context is destroyed and the call is over, whichever is later; a
 * client's when its status has come and no other batch is under way, or with its context.
 */
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/client_interceptor.h>
#include <grpcpp/support/interceptor.h>
#include <grpcpp/support/server_interceptor.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rpcprof/grpcpp_call.hpp"
#include "rpcprof/trace.h"

namespace rpcprof {

/** Whether a client adds a W3C trace context to calls that have none: by it the two sides of a call
 * are joined. It allocates, and others on the way may act upon it. */
enum class Traceparent { NO, SEND };

#pragma GCC visibility push(default)
namespace detail {

static constexpr char TRACEPARENT[] = "traceparent";

/* The trace context in metadata, either side's; false: there is none, or it is malformed. */
template <class Metadata>
inline bool read_trace(struct rpcprof_trace *trace, const Metadata &metadata) noexcept
{
	auto found = metadata.find(TRACEPARENT);

	return found != metadata.end() &&
	       rpcprof_trace_parse(trace, found->second.data(), found->second.size());
}

inline std::string write_trace(const struct rpcprof_trace &trace)
{
	char text[RPCPROF_TRACEPARENT_BYTES];

	rpcprof_trace_format(&trace, text);
	return {text, sizeof(text)};
}

class ServerInterceptor final : public CallInterceptor {
public:
	explicit ServerInterceptor(grpc::experimental::ServerRpcInfo *info) noexcept
		: info_(info), begin_(rpcprof_clock_now())
	{
	}

	~ServerInterceptor() override
	{
		if (!is_recorded())
			return;
		call_table.remove(place_);
		drop();
	}

private:
	bool on_event(Methods *methods) override
	{
		uint64_t now = rpcprof_clock_now();

		if (methods->QueryInterceptionHookPoint(Hook::POST_RECV_INITIAL_METADATA))
			arrive(methods, now);
		else if (methods->QueryInterceptionHookPoint(Hook::POST_RECV_CLOSE))
			closed(now);
		else
			return false;
		return true;
	}

	/* The context may be gone, so it cannot be asked whether the call was cancelled. */
	void closed(uint64_t now) noexcept
	{
		if (!(state() & ANSWERED))
			cancelled(now);
		set(CLOSED);
	}

	/* The first event. Interceptors are made for requests that never came, too, when a server
	 * shuts down: so only here does the Stat begin. */
	void arrive(Methods *methods, uint64_t now)
	{
		grpc::ServerContextBase *context = info_->server_context();
		struct rpcprof_stat stat;

		if (!rpcprof_call_begin_at(&call_, RPCPROF_TAG_SERVER, begin_))
			return;
		stat = rpcprof_call_stat(&call_);
		set_method(context);
		set_connection(context->c_call());
		set_trace(*methods->GetRecvInitialMetadata());
		deadline_ = context->raw_deadline();
		add_stage(RPCPROF_TAG("/recv/header"), begin_, begin_);
		if (methods->QueryInterceptionHookPoint(Hook::POST_RECV_MESSAGE))
			add_stage(RPCPROF_TAG("/recv/message"), begin_, now);
		handler_ = rpcprof_timer_begin_at(stat, RPCPROF_TAG("/handler"), now);
		place_ = call_table.insert(context->c_call(), stat);
		set_recorded();
	}

	void set_trace(const std::multimap<grpc::string_ref, grpc::string_ref> &metadata) noexcept
	{
		struct rpcprof_trace trace;

		if (read_trace(&trace, metadata))
			rpcprof_stat_set_trace(rpcprof_call_stat(&call_), trace.trace_id,
			                       trace.span_id);
	}

	/* Names of registered methods are the program's own; those of generic calls are the
	 * client's. The handler of unknown methods has a name that is none. */
	void set_method(grpc::ServerContextBase *context)
	{
		const char *name = info_->method();

		if (info_->type() == grpc::experimental::ServerRpcInfo::Type::BIDI_STREAMING &&
		    (dynamic_cast<grpc::GenericServerContext *>(context) != nullptr ||
		     dynamic_cast<grpc::GenericCallbackServerContext *>(context) != nullptr))
			rpcprof_call_set_method_name(&call_, name, std::strlen(name));
		else if (name[0] == '/')
			rpcprof_call_set_method(
				&call_, rpcprof_call_declare_method(name, std::strlen(name)));
		else
			rpcprof_call_set_method(&call_, RPCPROF_TAG_UNKNOWN_METHOD);
	}

	void set_connection(grpc_call *call)
	{
		char *peer = grpc_call_get_peer(call);

		rpcprof_call_set_connection(&call_,
		                            rpcprof_call_connection(peer, std::strlen(peer)));
		gpr_free(peer);
	}

	bool is_uncertain(uint32_t) const noexcept override
	{
		return false;
	}

	uint32_t on_batch(Methods *methods, uint32_t sends, uint64_t now) override
	{
		if (sends & SEND_STATUS) {
			status_.store(static_cast<int32_t>(methods->GetSendStatus().error_code()),
			              std::memory_order_relaxed);
			set(ANSWERED);
			rpcprof_timer_end_at(handler_, now);
		}
		return sends | (methods->GetRecvMessage() != nullptr ? RECV_MESSAGE : 0u);
	}

	/* The program has not got the event yet, so the context is there. */
	void on_batch_end(Methods *methods, uint32_t ops, uint64_t now) override
	{
		if ((ops & SEND_MESSAGE && !methods->GetSendMessageStatus()) ||
		    (ops & RECV_MESSAGE && methods->GetRecvMessage() == nullptr &&
		     grpc_call_failed_before_recv_message(info_->server_context()->c_call())))
			cancelled(now);
	}

	void cancelled(uint64_t now) noexcept
	{
		if (!(state() & CANCELLED))
			set(deadline_passed(now) ? CANCELLED | DEADLINE_PASSED : CANCELLED);
	}

	/* Whether a call that was cancelled ran out of time; see the same in rpc/grpc_stages.c: the
	 * client's clock strikes first, and the wire rounds the timeout up. */
	bool deadline_passed(uint64_t now) const noexcept
	{
		struct rpcprof_clock_info info;
		gpr_timespec left;

		if (gpr_time_cmp(deadline_, gpr_inf_future(deadline_.clock_type)) == 0 ||
		    rpcprof_clock_get_info(&info) != 0)
			return false;
		left = gpr_time_sub(deadline_, gpr_now(deadline_.clock_type));
		return gpr_timespec_to_micros(left) / 1e6 <=
		       static_cast<double>(now - begin_) / info.ticks_per_second / 64 + 0.002;
	}

	void on_end() noexcept override
	{
		int32_t status = status_.load(std::memory_order_relaxed);
		uint32_t bits = state();

		if (!(bits & ANSWERED))
			rpcprof_timer_end(handler_);
		if (status > 0 || (status == 0 && !(bits & CANCELLED)))
			rpcprof_call_set_status(&call_, status);
		else if (bits & DEADLINE_PASSED)
			rpcprof_call_abort(&call_, GRPC_STATUS_DEADLINE_EXCEEDED);
		else if (bits & CANCELLED)
			rpcprof_call_abort(&call_, GRPC_STATUS_CANCELLED);
	}

	grpc::experimental::ServerRpcInfo *const info_; /* which owns this object */
	const uint64_t begin_;                          /* ticks */
	gpr_timespec deadline_;
	struct rpcprof_timer handler_ = rpcprof_timer_none_();
	uint32_t place_ = CallTable::NOWHERE;
};

class ClientInterceptor final : public CallInterceptor {
public:
	ClientInterceptor(grpc::experimental::ClientRpcInfo *info, Traceparent traceparent) noexcept
		: traceparent_(traceparent)
	{
		grpc::ChannelInterface *channel = info->channel();

		if (!rpcprof_call_begin(&call_, RPCPROF_TAG_CLIENT))
			return;
		rpcprof_call_set_method(&call_, rpcprof_call_declare_method(
			info->method(), std::strlen(info->method())));
		rpcprof_call_set_connection(&call_,
		                            rpcprof_call_connection(&channel, sizeof(channel)));
		set_recorded();
	}

	~ClientInterceptor() override
	{
		if (is_recorded() && status_.load(std::memory_order_relaxed) < 0)
			drop();
	}

private:
	bool on_event(Methods *) override
	{
		return false;
	}

	/* That a batch receives the header is not seen before it came. */
	bool is_uncertain(uint32_t ops) const noexcept override
	{
		return ops & (SEND_HEADER | RECV_STATUS) ||
		       (ops & RECV_MESSAGE && !(state() & HEADER_CAME));
	}

	uint32_t on_batch(Methods *methods, uint32_t sends, uint64_t) override
	{
		uint32_t ops = sends | (methods->GetRecvMessage() != nullptr ? RECV_MESSAGE : 0u) |
		               (methods->GetRecvStatus() != nullptr ? RECV_STATUS : 0u);

		if (sends & SEND_HEADER)
			trace(methods->GetSendInitialMetadata());
		return ops != 0 ? ops : RECV_HEADER; /* what else is there */
	}

	/* The program's own goes out as it is, even if it is malformed. */
	void trace(std::multimap<std::string, std::string> *metadata)
	{
		struct rpcprof_trace trace;

		if (traceparent_ == Traceparent::SEND && metadata->count(TRACEPARENT) == 0) {
			rpcprof_trace_begin(&trace, nullptr);
			metadata->emplace(TRACEPARENT, write_trace(trace));
		} else if (!read_trace(&trace, *metadata)) {
			return;
		}
		rpcprof_stat_set_trace(rpcprof_call_stat(&call_), trace.trace_id, trace.span_id);
	}

	void on_batch_end(Methods *methods, uint32_t ops, uint64_t) override
	{
		if (ops & RECV_HEADER)
			set(HEADER_CAME);
		if (!(ops & RECV_STATUS))
			return;
		status_.store(static_cast<int32_t>(methods->GetRecvStatus()->error_code()),
		              std::memory_order_relaxed);
		drop(); /* the call's own hold */
	}

	void on_end() noexcept override
	{
		int32_t status = status_.load(std::memory_order_relaxed);

		if (status >= 0)
			rpcprof_call_set_status(&call_, status);
		else
			rpcprof_call_abort(&call_, GRPC_STATUS_CANCELLED);
	}

	const Traceparent traceparent_;
};

} /* namespace detail */
#pragma GCC visibility pop

namespace detail {

/* What asks about the recorded calls is none of them. */
inline bool asks_profiling(const char *method) noexcept
{
	static constexpr char ours[] = "/rpcprof.v1.Profiling/";
	static constexpr char grpc_gos[] = "/grpc.go.profiling.v1alpha.Profiling/";

	return std::strncmp(method, ours, sizeof(ours) - 1) == 0 ||
	       std::strncmp(method, grpc_gos, sizeof(grpc_gos) - 1) == 0;
}

} /* namespace detail */

/** Makes an interceptor for each call that begins while the switch is on, but for those of the
 * Profiling services (grpcpp_service.hpp). */
class ServerInterceptorFactory final
	: public grpc::experimental::ServerInterceptorFactoryInterface {
public:
	grpc::experimental::Interceptor *
	CreateServerInterceptor(grpc::experimental::ServerRpcInfo *info) override
	{
		if (!rpcprof_enabled() || detail::asks_profiling(info->method()))
			return nullptr;
		return new detail::ServerInterceptor(info);
	}
};

/** As ServerInterceptorFactory, for a channel's calls. */
class ClientInterceptorFactory final
	: public grpc::experimental::ClientInterceptorFactoryInterface {
public:
	explicit ClientInterceptorFactory(Traceparent traceparent = Traceparent::NO) noexcept
		: traceparent_(traceparent)
	{
	}

	grpc::experimental::Interceptor *
	CreateClientInterceptor(grpc::experimental::ClientRpcInfo *info) override
	{
		return rpcprof_enabled() ? new detail::ClientInterceptor(info, traceparent_)
		                         : nullptr;
	}

private:
	const Traceparent traceparent_;
};

/** For ServerBuilder::experimental().SetInterceptorCreators(), where it is the only one. */
inline std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
server_interceptors()
{
	std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> one;

	one.push_back(std::make_unique<ServerInterceptorFactory>());
	return one;
}

/** For grpc::experimental::CreateCustomChannelWithInterceptors(), where it is the only one. */
inline std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
client_interceptors(Traceparent traceparent = Traceparent::NO)
{
	std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> one;

	one.push_back(std::make_unique<ClientInterceptorFactory>(traceparent));
	return one;
}

/**
 * The Stat of a server's call, for stages of your own.
 *
 * @param context  what the handler got: ServerContext, CallbackServerContext, generic or not
 * @return         borrowed: good until the context is destroyed; rpcprof_stat_retain() it to keep
 *                 it longer. The null Stat for a call that is not recorded
 *
 * Threads:  any that may use the context
 * Progress: wait-free; allocates: never
 */
inline struct rpcprof_stat stat(grpc::ServerContextBase *context) noexcept
{
	return detail::call_table.find(context->c_call());
}

/**
 * A client's call is made for one that is served here: it goes out in its trace, as a span of its
 * own, whatever Traceparent says. Where that one came without a trace nothing is done.
 *
 * Before the call begins. (ClientContext::FromServerContext() does not tell interceptors of it.)
 */
inline void continue_trace(const grpc::ServerContextBase &served, grpc::ClientContext *client)
{
	struct rpcprof_trace trace;

	if (!detail::read_trace(&trace, served.client_metadata()))
		return;
	rpcprof_trace_begin(&trace, &trace);
	client->AddMetadata(detail::TRACEPARENT, detail::write_trace(trace));
}

} /* namespace rpcprof */

#endif
