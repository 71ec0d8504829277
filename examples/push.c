/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles to a Pyroscope server: push [URL]. Without a URL it shows what a server that is not there
 * costs: nothing but the message at the end. */
#include <rpcprof/push.h>
#include <rpcprof/rpcprof.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct rpcprof_push_config server = {.size = sizeof(server), .application = "example"};
	struct rpcprof_exporter_config exporter = {.size = sizeof(exporter)};
	struct rpcprof_push_stats stats = {.size = sizeof(stats)};
	struct rpcprof_push *push;

	server.url = argc > 1 ? argv[1] : "http://127.0.0.1:1";
	if (rpcprof_init(NULL) != 0 || rpcprof_push_open(&push, &server) != 0)
		return 1;
	exporter.on_window = rpcprof_push_window;
	exporter.on_window_arg = push;
	if (rpcprof_exporter_start(&exporter) != 0)
		return 1;

	for (int i = 0; i < 1000; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		RPCPROF_LAP(stat, "/handler");
		rpcprof_stat_end(stat);
	}

	rpcprof_exporter_stop();
	rpcprof_push_flush(push, argc > 1 ? 10000 : 100);
	rpcprof_push_get_stats(push, &stats);
	printf("taken %llu, sent %llu %s\n", (unsigned long long)stats.taken,
	       (unsigned long long)stats.sent, stats.last_error);
	rpcprof_push_close(push, 0);
	return stats.taken == 1 ? 0 : 1;
}
