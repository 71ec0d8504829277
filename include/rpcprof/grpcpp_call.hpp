/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GRPCPP_CALL_HPP
#define RPCPROF_GRPCPP_CALL_HPP

/*
 * Of grpcpp.hpp, which includes it: what both sides' interceptors are made of. A call's batches,
 * from the events of gRPC C++ to stages, and the table that finds a server's call again.
 */
#include <grpc/grpc.h>
#include <grpcpp/support/interceptor.h>

#include <atomic>
#include <cstdint>

#include "rpcprof/call.h"
#include "rpcprof/rpcprof.hpp"

namespace rpcprof {

#pragma GCC visibility push(default) /* one table per process, whatever its libraries hide */
namespace detail {

/*
 * From a server's call to its Stat: bounded, without locks or allocation.
 *
 * A key lives in one of the buckets from its own on, as many as find() looks at. Each key is one
 * interceptor's: grpc_call pointers are unique among living calls, and gRPC C++ destroys a call's
 * interceptors before it gives up its reference to the call.
 *
 * All relaxed: who looks a call up has its context, and so comes after the insert that went before
 * that was handed out, and before the removal that comes with its destruction.
 */
class CallTable {
public:
	static constexpr uint32_t NOWHERE = UINT32_MAX;

	/* Where it was put; NOWHERE: no room, and its Stat cannot be found. */
	uint32_t insert(const grpc_call *call, struct rpcprof_stat stat) noexcept
	{
		uint32_t first = first_of(call);

		for (uint32_t i = first; i < first + PROBES * WAYS; i++) {
			Place &place = at(i);
			const grpc_call *none = nullptr;

			if (place.call.load(std::memory_order_relaxed) == nullptr &&
			    place.call.compare_exchange_strong(none, call,
			                                       std::memory_order_relaxed)) {
				place.stat.store(stat.bits, std::memory_order_relaxed);
				return i;
			}
		}
		return NOWHERE;
	}

	void remove(uint32_t i) noexcept
	{
		if (i != NOWHERE)
			at(i).call.store(nullptr, std::memory_order_relaxed);
	}

	struct rpcprof_stat find(const grpc_call *call) noexcept
	{
		struct rpcprof_stat stat = rpcprof_stat_none_();
		uint32_t first = first_of(call);

		for (uint32_t i = first; call != nullptr && i < first + PROBES * WAYS; i++)
			if (at(i).call.load(std::memory_order_relaxed) == call) {
				stat.bits = at(i).stat.load(std::memory_order_relaxed);
				break;
			}
		return stat;
	}

private:
	static constexpr uint32_t BUCKET_BITS = 13;
	static constexpr uint32_t WAYS = 4; /* a cache line */
	static constexpr uint32_t PROBES = 8;

	struct Place {
		std::atomic<const grpc_call *> call;
		std::atomic<uint64_t> stat;
	};

	static uint32_t first_of(const grpc_call *call) noexcept
	{
		uint64_t hash = reinterpret_cast<uintptr_t>(call) * UINT64_C(0x9e3779b97f4a7c15);

		return static_cast<uint32_t>(hash >> (64 - BUCKET_BITS)) * WAYS;
	}

	Place &at(uint32_t i) noexcept
	{
		return places_[i & ((WAYS << BUCKET_BITS) - 1)];
	}

	alignas(RPCPROF_CACHE_LINE) Place places_[WAYS << BUCKET_BITS];
};

inline CallTable call_table;

using Hook = grpc::experimental::InterceptionHookPoints;
using Methods = grpc::experimental::InterceptorBatchMethods;

/* Operations of a batch, in the order in which they name it: the last one does. */
enum Op : uint32_t {
	SEND_CLOSE = 1 << 0,
	SEND_HEADER = 1 << 1,
	SEND_MESSAGE = 1 << 2,
	SEND_STATUS = 1 << 3,
	RECV_HEADER = 1 << 4,
	RECV_MESSAGE = 1 << 5,
	RECV_STATUS = 1 << 6
};
constexpr uint32_t SENDS = SEND_CLOSE | SEND_HEADER | SEND_MESSAGE | SEND_STATUS;
constexpr uint32_t RECEIVES = RECV_HEADER | RECV_MESSAGE;

inline uint32_t stage_tag(uint32_t ops) noexcept
{
	if (ops & RECV_STATUS)
		return RPCPROF_TAG("/recv/status");
	if (ops & RECV_MESSAGE)
		return RPCPROF_TAG("/recv/message");
	if (ops & RECV_HEADER)
		return RPCPROF_TAG("/recv/header");
	if (ops & SEND_STATUS)
		return RPCPROF_TAG("/send/status");
	if (ops & SEND_MESSAGE)
		return RPCPROF_TAG("/send/message");
	return ops & SEND_HEADER ? RPCPROF_TAG("/send/header") : RPCPROF_TAG("/send/close");
}

inline uint32_t ops_sent(Methods *methods)
{
	return (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_INITIAL_METADATA) ? SEND_HEADER
	                                                                             : 0u) |
	       (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_MESSAGE) ? SEND_MESSAGE : 0u) |
	       (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_STATUS) ? SEND_STATUS : 0u) |
	       (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_CLOSE) ? SEND_CLOSE : 0u);
}

inline uint32_t ops_received(Methods *methods)
{
	return (methods->QueryInterceptionHookPoint(Hook::POST_RECV_INITIAL_METADATA) ? RECV_HEADER
	                                                                              : 0u) |
	       (methods->QueryInterceptionHookPoint(Hook::POST_RECV_MESSAGE) ? RECV_MESSAGE : 0u) |
	       (methods->QueryInterceptionHookPoint(Hook::POST_RECV_STATUS) ? RECV_STATUS : 0u);
}

/* A batch under way: begun by one call of Intercept(), ended by the next with the same methods,
 * which belong to the batch. There is no hook for every end (nor, for receiving, for a begin). */
struct Batch {
	std::atomic<Methods *> methods{nullptr}; /* while it is under way */
	uint64_t begin; /* ticks */
	struct rpcprof_timer timer;
	uint32_t ops;
};

/*
 * One call, either side.
 *
 * Threads: batches of a call begin and end on several threads at once; each batch is one thread's
 * at a time. What they share are the atomics here. holds_ has a bit for each batch that is taken,
 * and HOLD for the call itself; who drops the last one ends the Stat (H1: release and acquire), so
 * has seen all.
 * Intercept() touches nothing of the object once it has handed the call on: by Proceed() the
 * program may destroy it.
 */
class CallInterceptor : public grpc::experimental::Interceptor {
public:
	CallInterceptor(const CallInterceptor &) = delete;
	CallInterceptor &operator=(const CallInterceptor &) = delete;

	void Intercept(Methods *methods) final
	{
		uint32_t sends;
		Batch *batch;

		(void)state(); /* S2 acquire, pairs with S1: what the first event's thread stored */
		/* Before all else: nothing but this may be asked of a cancellation's methods. */
		if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_CANCEL))
			return methods->Proceed();
		sends = ops_sent(methods);
		batch = sends != 0 ? nullptr : batch_of(methods);
		if (batch != nullptr) {
			end_batch(*batch, methods);
		} else if (sends != 0 || !on_event(methods)) {
			if (is_recorded())
				return run_batch(methods, sends);
		}
		methods->Proceed();
	}

protected:
	enum State : uint32_t {
		RECORDED = 1 << 0,
		ANSWERED = 1 << 1,        /* server: the program has given a status */
		CANCELLED = 1 << 2,       /* server */
		DEADLINE_PASSED = 1 << 3, /* server: when it was cancelled */
		CLOSED = 1 << 4,          /* server: the call is over, on the wire */
		HEADER_CAME = 1 << 5      /* client */
	};

	CallInterceptor() noexcept = default;
	~CallInterceptor() override = default;

	/* What belongs to no batch of the program's; false if this does. */
	virtual bool on_event(Methods *methods) = 0;
	/* A batch begins that sends this: all that it will do, as far as can be seen. */
	virtual uint32_t on_batch(Methods *methods, uint32_t sends, uint64_t now) = 0;
	/* Whether a batch may turn out to do more. */
	virtual bool is_uncertain(uint32_t ops) const noexcept = 0;
	virtual void on_batch_end(Methods *methods, uint32_t ops, uint64_t now) = 0;
	/* Nothing more comes: the status. */
	virtual void on_end() noexcept = 0;

	uint32_t state() const noexcept
	{
		return state_.load(std::memory_order_acquire); /* S2 */
	}

	bool is_recorded() const noexcept
	{
		return state() & RECORDED;
	}

	/* By whoever has the call alone. S1 release, as in set(). */
	void set_recorded() noexcept
	{
		state_.store(RECORDED, std::memory_order_release);
	}

	/* S1 release, pairs with S2: what was stored before is seen with the bits. */
	void set(uint32_t bits) noexcept
	{
		state_.fetch_or(bits, std::memory_order_acq_rel);
	}

	void add_stage(uint32_t tag, uint64_t begin, uint64_t end) noexcept
	{
		rpcprof_timer_add_(rpcprof_call_stat(&call_), tag, begin, end);
	}

	void drop() noexcept
	{
		drop(HOLD);
	}

	struct rpcprof_call call_;
	std::atomic<int32_t> status_{-1}; /* sent (server) or received (client); -1: none */

private:
	static constexpr unsigned BATCHES = 6; /* core takes one operation of a kind at a time */
	static constexpr uint32_t HOLD = 1u << BATCHES;

	Batch *batch_of(const Methods *methods) noexcept
	{
		for (Batch &batch : batches_)
			if (batch.methods.load(std::memory_order_acquire) == methods) /* A2 */
				return &batch;
		return nullptr;
	}

	/* nullptr: the call is over, or has as many. */
	Batch *take_batch() noexcept
	{
		uint32_t holds = holds_.load(std::memory_order_relaxed);
		unsigned i;

		do {
			i = static_cast<unsigned>(__builtin_ctz(~holds));
			if (holds == 0 || i >= BATCHES)
				return nullptr;
			/* H2 acquire, pairs with H1: the batch is free once all of it was read. */
		} while (!holds_.compare_exchange_weak(holds, holds | 1u << i,
		                                       std::memory_order_acquire,
		                                       std::memory_order_relaxed));
		return &batches_[i];
	}

	void drop(uint32_t holds) noexcept
	{
		if (holds_.fetch_sub(holds, std::memory_order_acq_rel) == holds) { /* H1 */
			on_end();
			rpcprof_call_end(&call_);
		}
	}

	/* Begins a batch and starts it. */
	void run_batch(Methods *methods, uint32_t sends)
	{
		struct rpcprof_timer start = rpcprof_timer_none_();
		struct rpcprof_stat stat = rpcprof_stat_none_();
		Batch *batch = take_batch();

		if (batch == nullptr)
			return methods->Proceed();
		begin_batch(*batch, methods, sends);
		if (sends != 0) {
			stat = rpcprof_stat_retain(rpcprof_call_stat(&call_));
			start = rpcprof_timer_begin_at(stat, RPCPROF_TAG("/send/start_batch"),
			                               batch->begin);
		}
		/* A1 release, pairs with A2: the batch, for whoever gets its end. */
		batch->methods.store(methods, std::memory_order_release);
		methods->Proceed();
		rpcprof_timer_end(start);
		rpcprof_stat_end(stat);
	}

	void begin_batch(Batch &batch, Methods *methods, uint32_t sends)
	{
		batch.begin = rpcprof_clock_now();
		batch.ops = on_batch(methods, sends, batch.begin);
		batch.timer = rpcprof_timer_none_();
		if (batch.ops != 0 && !is_uncertain(batch.ops))
			batch.timer = rpcprof_timer_begin_at(rpcprof_call_stat(&call_),
			                                     stage_tag(batch.ops), batch.begin);
	}

	void end_batch(Batch &batch, Methods *methods)
	{
		uint64_t now = rpcprof_timer_end(batch.timer);
		uint64_t received = received_.load(std::memory_order_relaxed);
		uint32_t ops = batch.ops | ops_received(methods);

		if (now == 0) /* there was none to end, or no more */
			now = rpcprof_clock_now();
		/* A receive that was started early begins when the one before it has come. A stale
		 * `received` makes the two overlap by as much as another thread is late with it. */
		if (batch.timer.bits == 0 && ops != 0)
			add_stage(stage_tag(ops), received > batch.begin ? received : batch.begin,
			          now);
		if (ops & RECEIVES)
			received_.store(now, std::memory_order_relaxed);
		batch.methods.store(nullptr, std::memory_order_relaxed);
		on_batch_end(methods, ops, now);
		drop(1u << (&batch - batches_));
	}

	std::atomic<uint32_t> holds_{HOLD};
	std::atomic<uint32_t> state_{0};
	std::atomic<uint64_t> received_{0}; /* ticks of the latest header or message received */
	Batch batches_[BATCHES];
};

} /* namespace detail */
#pragma GCC visibility pop
} /* namespace rpcprof */

#endif
