/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEEN_HPP
#define SEEN_HPP

/* What was recorded, as the tests look at it. */
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "rpcprof/rpcprof.hpp"

extern "C" {
#include "export/stack_internal.h"
}

struct SeenStage {
	std::string name;
	uint64_t begin, end; /* ticks */
};

struct Seen {
	uint32_t side;
	std::string method;
	int32_t status; /* -1: not set */
	uint64_t begin, end, connection;
	uint64_t wall_ns, frames_ns;
	std::string trace; /* trace id and span id, 24 bytes; empty: none */
	std::vector<SeenStage> stages;

	int count(const std::string &name) const
	{
		int n = 0;

		for (const SeenStage &stage : stages)
			n += stage.name == name;
		return n;
	}
};

inline int seen_add(void *arg, const struct rpcprof_view *view)
{
	auto *all = static_cast<std::vector<Seen> *>(arg);
	static thread_local struct rpcprof_stack stack;
	struct rpcprof_stack_part part = {};
	struct rpcprof_clock_map map;
	struct rpcprof_timer_view timer;
	uint8_t trace[24];
	uint32_t number;
	Seen seen = {};

	seen.side = rpcprof_view_side(view);
	seen.method = rpcprof_tag_name(rpcprof_view_method(view), nullptr);
	seen.status = rpcprof_view_has(view, RPCPROF_HAS_STATUS) ? rpcprof_view_status(view) : -1;
	seen.begin = rpcprof_view_begin(view);
	seen.end = rpcprof_view_end(view);
	rpcprof_view_connection(view, &seen.connection, &number);
	if (rpcprof_view_trace(view, trace, trace + 16))
		seen.trace.assign(reinterpret_cast<char *>(trace), sizeof(trace));
	for (uint32_t i = 0; i < view->slots; i++)
		if (rpcprof_view_timer(view, i, &timer))
			seen.stages.push_back({rpcprof_tag_name(timer.tag, nullptr), timer.begin,
			                       timer.end});
	rpcprof_clock_map_get(&map);
	part.end = seen.end;
	rpcprof_stack_build(&stack, view, &map, &part);
	seen.wall_ns = stack.wall_ns;
	for (uint32_t i = 0; i < stack.count; i++)
		seen.frames_ns += stack.nodes[i].self_ns;
	all->push_back(seen);
	return 0;
}

inline int seen_nothing(void *, const struct rpcprof_view *)
{
	return 0;
}

inline int64_t seen_in_flight()
{
	return rpcprof_inflight(nullptr, seen_nothing, nullptr);
}

/* Every finished call of a side. */
inline std::vector<Seen> seen_side(uint32_t side)
{
	std::vector<Seen> all;
	struct rpcprof_filter filter = {};

	filter.size = sizeof(filter);
	filter.side = side;
	rpcprof_snapshot(&filter, seen_add, &all);
	return all;
}

/* Waits for what other threads are about to finish: a call's last events. Whoever hangs here is
 * ended by the test's timeout. */
inline void seen_settle()
{
	while (seen_in_flight() != 0)
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

#endif
