/* SPDX-License-Identifier: Apache-2.0 */
#include "export/window_internal.h"

/* A wall clock that moves further from the monotonic one than this, between two looks about a
 * second apart, was set. Slew is at most 1/10 of time. */
#define STEP_NS 500000000

static int64_t offset(const struct rpcprof_window_now *now)
{
	return now->utc_ns - now->monotonic_ns;
}

static bool stepped(const struct rpcprof_window *window, const struct rpcprof_window_now *now)
{
	int64_t moved = offset(now) - window->offset_ns;

	return moved > STEP_NS || moved < -STEP_NS;
}

/* The last multiple of the interval, t itself included. Dates before 1970 too. */
static int64_t multiple(const struct rpcprof_window *window, int64_t t)
{
	int64_t over = t % window->interval_ns;

	return t - (over < 0 ? over + window->interval_ns : over);
}

static int64_t boundary(const struct rpcprof_window *window)
{
	return multiple(window, window->begin_ns) + window->interval_ns;
}

void rpcprof_window_open(struct rpcprof_window *window, const struct rpcprof_window_now *now,
                         int64_t interval_ns)
{
	window->interval_ns = interval_ns;
	window->begin_ns = now->utc_ns;
	window->offset_ns = offset(now);
}

bool rpcprof_window_due(struct rpcprof_window *window, const struct rpcprof_window_now *now)
{
	if (stepped(window, now))
		return true;
	window->offset_ns = offset(now);
	return now->utc_ns >= boundary(window);
}

void rpcprof_window_next(struct rpcprof_window *window, const struct rpcprof_window_now *now,
                         int64_t *begin_ns, int64_t *end_ns)
{
	int64_t end = now->utc_ns, next;

	if (stepped(window, now))
		end = now->monotonic_ns + window->offset_ns; /* the date without the step */
	else if (end >= boundary(window))
		end = multiple(window, end);
	if (end < window->begin_ns)
		end = window->begin_ns;
	next = stepped(window, now) ? now->utc_ns : end;
	*begin_ns = window->begin_ns;
	*end_ns = end;
	window->begin_ns = next;
	window->offset_ns = offset(now);
}

int64_t rpcprof_window_wait(const struct rpcprof_window *window,
                            const struct rpcprof_window_now *now)
{
	int64_t wait = boundary(window) - now->utc_ns;

	return wait > 0 ? wait : 0;
}
