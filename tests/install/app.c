/* SPDX-License-Identifier: Apache-2.0 */
/* A user's program, in the common part of C11 and C++17: one call recorded. */
#include <rpcprof/rpcprof.h>
#include <stdio.h>
#include <string.h>

static int count(void *arg, const struct rpcprof_view *view)
{
	struct rpcprof_timer_view timer;
	uint32_t i;

	for (i = 0; i < view->slots; i++)
		if (rpcprof_view_timer(view, i, &timer))
			++*(int *)arg;
	return 0;
}

static void record(void)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	struct rpcprof_timer timer = rpcprof_timer_begin(stat, RPCPROF_TAG("/decode"));

	rpcprof_timer_end(timer);
	rpcprof_lap(stat, RPCPROF_TAG("/handler"));
	rpcprof_stat_end(stat);
}

int main(void)
{
	int timers = 0;

	if (rpcprof_init(NULL) != 0 || rpcprof_enable(true) != 0)
		return 1;
	record();
	if (rpcprof_drain(count, &timers) != 1 || timers != 2)
		return 2;
	rpcprof_fini();
	printf("%s\n", rpcprof_version());
	return 0;
}
