/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GRPC_SUMS_H
#define GRPC_SUMS_H

/* Every instant of a recorded call belongs to one stack, to the nanosecond. */
#include <assert.h>

#include "export/stack_internal.h"

static inline int sums_check(void *arg, const struct rpcprof_view *view)
{
	struct rpcprof_stack_part part = {.end = rpcprof_view_end(view)};
	static struct rpcprof_stack stack;
	uint64_t sum = 0;

	rpcprof_stack_build(&stack, view, arg, &part);
	for (uint32_t i = 0; i < stack.count; i++)
		sum += stack.nodes[i].self_ns;
	assert(sum == rpcprof_clock_elapsed_ns(arg, rpcprof_view_begin(view), part.end));
	return 0;
}

/* How many calls there are; each adds up. */
static inline int64_t sums_add_up(void)
{
	struct rpcprof_clock_map map;

	assert(rpcprof_clock_map_get(&map) == 0);
	return rpcprof_snapshot(NULL, sums_check, &map);
}

#endif
