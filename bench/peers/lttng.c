/* SPDX-License-Identifier: Apache-2.0 */
/* LTTng-UST: a timer as two events, its begin and its end, each with a tag. */
#include "bench/bench.h"

#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "lttng_events.h"

static uint64_t pair(uint64_t count, uint32_t thread)
{
	(void)thread;
	for (uint64_t i = 0; i < count; i++) {
		lttng_ust_tracepoint(rpcprof_bench, begin, (uint32_t)i % 8);
		lttng_ust_tracepoint(rpcprof_bench, end, (uint32_t)i % 8);
	}
	return count;
}

/* Nothing of ours is on: only the program that asks for rounds is. */
int main(void)
{
	static const struct bench_case cases[] = {
		{.name = "peer_lttng_pair", .run = pair, .count = 20000, .max_threads = 1},
		{.name = NULL}};

	bench_pin(0);
	if (!lttng_ust_tracepoint_enabled(rpcprof_bench, begin))
		return 1; /* no session takes its events */
	return bench_serve(cases);
}
