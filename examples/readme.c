/* SPDX-License-Identifier: Apache-2.0 */
#include <rpcprof/dump.h>
#include <rpcprof/rpcprof.h>

int main(void)
{
	rpcprof_init(NULL);
	rpcprof_enable(true);

	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	struct rpcprof_timer handler = RPCPROF_TIMER_BEGIN(stat, "/handler");
	/* ... serve the call ... */
	rpcprof_timer_end(handler);
	RPCPROF_LAP(stat, "/encode"); /* or laps: each ends the one before */
	RPCPROF_LAP(stat, "/send");
	rpcprof_stat_set_status(stat, 0);
	rpcprof_stat_end(stat);

	return rpcprof_dump(stdout, NULL) == 1 ? 0 : 1; /* a table of the last calls */
}
