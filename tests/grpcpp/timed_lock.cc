/* SPDX-License-Identifier: Apache-2.0 */
/* rpcprof::TimedLock: waits are recorded, locks that are free are not. Not of gRPC, but of C++. */
#include <criterion/criterion.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "rpcprof/rpcprof.hpp"

/* Tells when somebody waits. */
struct Watched {
	std::mutex mutex;
	std::atomic<bool> waiting{false};

	bool try_lock()
	{
		return mutex.try_lock();
	}
	void lock()
	{
		waiting = true;
		mutex.lock();
	}
	void unlock()
	{
		mutex.unlock();
	}
};

struct Broken {
	bool try_lock()
	{
		return false;
	}
	void lock()
	{
		throw std::runtime_error("broken");
	}
	void unlock()
	{
	}
};

static Watched watched;

static void start()
{
	cr_assert_eq(rpcprof_init(nullptr), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	cr_assert_eq(rpcprof_set_mutex_fraction(1), 0);
}

template <typename Mutex> static void take(Mutex &mutex, struct rpcprof_stat stat)
{
	rpcprof::TimedLock<Mutex> lock(mutex, RPCPROF_TAG("/lock"), stat);
}

static void make_wait(struct rpcprof_stat stat)
{
	watched.mutex.lock();
	std::thread thread([stat] { take(watched, stat); });
	while (!watched.waiting)
		std::this_thread::yield();
	watched.mutex.unlock();
	thread.join();
}

static int count(void *arg, const struct rpcprof_lock_view *lock)
{
	*static_cast<uint64_t *>(arg) += lock->count;
	return 0;
}

static uint64_t waits()
{
	uint64_t all = 0;

	cr_assert_geq(rpcprof_lock_walk(count, &all), 0);
	return all;
}

static int has_lock(void *arg, const struct rpcprof_view *view)
{
	struct rpcprof_timer_view timer;

	for (uint32_t i = 0; i < view->slots; i++)
		if (rpcprof_view_timer(view, i, &timer) && timer.end != 0 &&
		    timer.tag == RPCPROF_TAG("/lock"))
			*static_cast<bool *>(arg) = true;
	return 0;
}

Test(timed_lock, a_free_lock_leaves_no_record)
{
	start();
	take(watched, rpcprof_stat_none_());
	cr_assert(watched.try_lock(), "given back");
	watched.unlock();
	cr_assert_eq(waits(), 0);
}

Test(timed_lock, a_wait_is_recorded)
{
	start();
	make_wait(rpcprof_stat_none_());
	cr_assert(watched.try_lock(), "given back");
	watched.unlock();
	cr_assert_eq(waits(), 1);
}

Test(timed_lock, a_wait_in_a_call_is_a_stage_of_it)
{
	bool found = false;

	start();
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	make_wait(stat);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(has_lock, &found), 1);
	cr_assert(found);
	cr_assert_eq(waits(), 0);
}

Test(timed_lock, a_lock_that_throws_ends_the_wait)
{
	Broken broken;
	bool thrown = false;

	start();
	try {
		take(broken, rpcprof_stat_none_());
	} catch (const std::runtime_error &) {
		thrown = true;
	}
	cr_assert(thrown);
	cr_assert_eq(waits(), 1);
}
