/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_RPCPROF_HPP
#define RPCPROF_RPCPROF_HPP

/* What C++ adds to rpcprof.h: a timer as a scoped object. */
#include "rpcprof/rpcprof.h"

namespace rpcprof {

/**
 * A stage of a call that lasts as long as the object:
 *
 *     rpcprof::Scope decode(stat, RPCPROF_TAG("/decode"));
 *
 * Threads:  the one that makes it ends it; the Stat as for rpcprof_timer_begin()
 * Progress: lock-free; allocates: never
 */
class Scope {
public:
	/** The stage begins now; for the null Stat nothing does. */
	Scope(struct rpcprof_stat stat, uint32_t tag) noexcept
		: timer_(rpcprof_timer_begin(stat, tag))
	{
	}

	/** Ends a timer that has begun: Scope handler(RPCPROF_TIMER_BEGIN(stat, "/handler")). */
	explicit Scope(struct rpcprof_timer timer) noexcept : timer_(timer)
	{
	}

	Scope(const Scope &) = delete;
	Scope &operator=(const Scope &) = delete;

	~Scope()
	{
		end();
	}

	/** The stage ends now, before its object does. A second end does nothing. */
	void end() noexcept
	{
		rpcprof_timer_end(timer_);
		timer_ = rpcprof_timer_none_();
	}

private:
	struct rpcprof_timer timer_;
};

} /* namespace rpcprof */

#endif
