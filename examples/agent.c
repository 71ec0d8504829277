/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles to where the environment says: PYROSCOPE_SERVER_ADDRESS=http://localhost:4040 agent */
#include <rpcprof/agent.h>
#include <rpcprof/rpcprof.h>
#include <stdio.h>

int main(void)
{
	char error[256] = "";
	struct rpcprof_agent_config config = {.size = sizeof(config), .error = error,
	                                      .error_bytes = sizeof(error)};

	if (rpcprof_agent_start(&config) != 0) { /* or NULL, if RPCPROF_LOG is to tell */
		fprintf(stderr, "agent: %s\n", error);
		return 1;
	}
	for (int i = 0; i < 1000; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		RPCPROF_LAP(stat, "/handler");
		rpcprof_stat_end(stat);
	}
	return rpcprof_agent_stop(5000) == 0 ? 0 : 1;
}
