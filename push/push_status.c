/* SPDX-License-Identifier: Apache-2.0 */
#include "push/push_internal.h"

struct listener {
	void (*fn)(void *arg, const char *url, const struct rpcprof_push_stats *stats);
	void *arg;
};

static void tell(void *arg, struct rpcprof_push *push)
{
	struct rpcprof_push_stats stats = {.size = sizeof(stats)};
	const struct listener *listener = arg;

	if (rpcprof_push_get_stats(push, &stats) == 0)
		listener->fn(listener->arg, push->url, &stats);
}

void rpcprof_push_tell(void (*fn)(void *arg, const char *url,
                                  const struct rpcprof_push_stats *stats), void *arg)
{
	struct listener listener = {fn, arg};

	rpcprof_push_walk(tell, &listener);
}
