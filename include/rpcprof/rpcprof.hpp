/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_RPCPROF_HPP
#define RPCPROF_RPCPROF_HPP

/* What C++ adds to rpcprof.h: a timer and a timed lock as scoped objects. */
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

/**
 * As std::lock_guard, and what the thread waits for the lock is in the profile "mutex":
 *
 *     rpcprof::TimedLock<std::mutex> lock(mutex, RPCPROF_TAG("/lock/cache"), stat);
 *
 * A lock that is free is taken without a record, and costs what it costs without. Mutex: anything
 * with try_lock(), lock() and unlock().
 *
 * Threads:  as the mutex, and as rpcprof_lock_begin()
 * Progress: blocking on the mutex's holder; allocates: never
 */
template <typename Mutex> class TimedLock {
public:
	/** The thread has the lock when this returns. Without a Stat: outside of calls. */
	TimedLock(Mutex &guarded, uint32_t tag, struct rpcprof_stat call = rpcprof_stat_none_())
		: mutex_(guarded)
	{
		if (!mutex_.try_lock())
			wait_for_it(tag, call);
	}

	TimedLock(const TimedLock &) = delete;
	TimedLock &operator=(const TimedLock &) = delete;

	~TimedLock()
	{
		mutex_.unlock();
	}

private:
	/* lock() may throw, and the wait is over then too. */
	struct Wait {
		struct rpcprof_lock_wait wait;
		~Wait()
		{
			rpcprof_lock_end(wait);
		}
	};

	void wait_for_it(uint32_t tag, struct rpcprof_stat call)
	{
		Wait until_it_is_there{rpcprof_lock_begin(call, tag)};

		mutex_.lock();
	}

	Mutex &mutex_;
};

} /* namespace rpcprof */

#endif
