/* SPDX-License-Identifier: Apache-2.0 */
#include "export/exporter_internal.h"

#define SHORTEST_NS 1000000
#define LONGEST_NS 1000000000
#define BURST_PER_S 200000 /* calls that an idle process may begin to make from one moment on */

void rpcprof_pace_open(struct rpcprof_pace *pace, uint64_t capacity, int64_t now_ns)
{
	pace->capacity = capacity;
	pace->last_ns = now_ns;
}

static int64_t clamp(int64_t ns)
{
	return ns < SHORTEST_NS ? SHORTEST_NS : ns > LONGEST_NS ? LONGEST_NS : ns;
}

int64_t rpcprof_pace_next(struct rpcprof_pace *pace, uint64_t collected, int64_t now_ns)
{
	double past = (double)(now_ns - pace->last_ns);
	double quarter = (double)pace->capacity / 4;
	int64_t burst = clamp((int64_t)(3 * quarter / BURST_PER_S * 1e9));
	int64_t wait;

	pace->last_ns = now_ns;
	if (collected == 0 || past <= 0)
		return burst;
	wait = clamp((int64_t)(past * quarter / (double)collected < LONGEST_NS
	                               ? past * quarter / (double)collected
	                               : LONGEST_NS));
	return wait < burst ? wait : burst;
}
