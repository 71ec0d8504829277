/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints metrics for others to read: text [METHODS STAGES]. So many methods of so many stages, one
 * call each, else a few calls of all that there is: hostile names, statuses, losses, a push. The
 * time that it took and the length go to standard error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rpcprof/export.h"
#include "rpcprof/metrics.h"
#include "rpcprof/push.h"
#include "rpcprof/rpcprof.h"

static void call(const char *method, int stages, int32_t status)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	char name[32];

	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, method, (size_t)-1));
	for (int i = 0; i < stages; i++) {
		snprintf(name, sizeof(name), "/stage/%d", i);
		rpcprof_timer_end(rpcprof_timer_begin(
			stat, rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, (size_t)-1)));
	}
	rpcprof_stat_set_status(stat, status);
	rpcprof_stat_end(stat);
}

static void call_many(int methods, int stages)
{
	char name[64];

	for (int i = 0; i < methods; i++) {
		snprintf(name, sizeof(name), "/shop.v1.Service%d/Method%d", i / 10, i);
		call(name, stages, 0);
	}
}

static void call_some(void)
{
	call("/shop.v1.Cart/Get", 3, 0);
	call("/shop.v1.Cart/Get", 3, 14);
	call("/shop.v1.Cart/Put", 1, 99);
	call("/a\"} 1\nb\\", 1, 0);
	call("/\xff\xfe\x1b[31m\xc3\xa9{}", 1, 0);
}

static int print(const struct rpcprof_metrics_config *config)
{
	struct timespec begin, end;
	size_t length;
	char *text;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (rpcprof_metrics_text(config, &text, &length) != 0)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &end);
	fwrite(text, 1, length, stdout);
	fprintf(stderr, "%zu bytes, %.1f ms\n", length,
	        (double)(end.tv_sec - begin.tv_sec) * 1e3 +
	                (double)(end.tv_nsec - begin.tv_nsec) / 1e6);
	free(text);
	return 0;
}

int main(int argc, char **argv)
{
	struct rpcprof_config config = {.size = sizeof(config)};
	struct rpcprof_exporter_config exporter = {.size = sizeof(exporter),
	                                           .aggregate_bytes = 64 << 20};
	struct rpcprof_metrics_config metrics = {.size = sizeof(metrics),
	                                         .stage_buckets = argc < 3};
	struct rpcprof_push_config server = {.size = sizeof(server), .url = "http://127.0.0.1:1"};
	struct rpcprof_push *push = NULL;
	int status;

	if (rpcprof_init(&config) != 0 || rpcprof_push_open(&push, &server) != 0 ||
	    rpcprof_exporter_start(&exporter) != 0)
		return 1;
	if (argc > 2)
		call_many(atoi(argv[1]), atoi(argv[2]));
	else
		call_some();
	status = print(&metrics);
	rpcprof_exporter_stop();
	rpcprof_push_close(push, 0);
	return status;
}
