/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles to be pulled: pull [SECONDS]. Serves calls for so long, 1 if not said, where
 *   go tool pprof -seconds 5 http://127.0.0.1:6060
 * and scrapers find them; at a port that is free if that one is not. */
#include <errno.h>
#include <rpcprof/pull.h>
#include <rpcprof/rpcprof.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void serve(void)
{
	const struct timespec work = {0, 2000000};
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	RPCPROF_LAP(stat, "/handler");
	nanosleep(&work, NULL);
	rpcprof_stat_end(stat);
}

int main(int argc, char **argv)
{
	struct rpcprof_pull_config config = {.size = sizeof(config)};
	struct rpcprof_pull_stats stats = {.size = sizeof(stats)};
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
	int error;

	if (rpcprof_init(NULL) != 0 || rpcprof_enable(true) != 0)
		return 1;
	error = rpcprof_pull_start(&config);
	if (error == -EADDRINUSE) {
		config.address = "127.0.0.1:0";
		error = rpcprof_pull_start(&config);
	}
	if (error != 0)
		return 1;

	rpcprof_pull_get_stats(&stats);
	printf("%s/debug/pprof/\n", stats.url);
	fflush(stdout);
	for (double served = 0; served < seconds; served += 0.002)
		serve();
	return rpcprof_pull_stop(1000) == 0 ? 0 : 1;
}
