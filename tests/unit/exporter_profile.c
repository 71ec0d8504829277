/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/exporter_harness.h"

static uint64_t encode(void)
{
	uint8_t *bytes = NULL;
	size_t length;
	int error = rpcprof_profile_encode(&bytes, &length);

	if (error == -ENODATA)
		return 0;
	cr_assert_eq(error, 0);
	say(&said, bytes, length);
	free(bytes);
	return said.calls;
}

Test(exporter_profile, a_profile_has_what_came_since_the_last)
{
	uint8_t *bytes;
	size_t length;

	cr_assert_eq(rpcprof_profile_encode(&bytes, &length), -ENODEV);
	init_fake(0);
	pass(10 * S);
	call("/a/B", 1 * S);
	call("/a/B", 1 * S);
	cr_assert_eq(encode(), 2);
	cr_assert_eq(said.begin_ns, (START_S + 10) * S, "from the first call on");
	cr_assert_eq(said.end_ns, (START_S + 12) * S);
	cr_assert_eq(rpcprof_profile_encode(&bytes, &length), -ENODATA);
	pass(3 * S);
	call("/a/B", 1 * S);
	cr_assert_eq(encode(), 1);
	cr_assert_eq(said.begin_ns, (START_S + 12) * S);
	cr_assert_eq(said.end_ns, (START_S + 16) * S);
}

Test(exporter_profile, a_profile_has_the_parts_of_calls_in_flight)
{
	struct rpcprof_stat stat;

	init_fake(0);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	pass(5 * S);
	cr_assert_eq(encode(), 0);
	cr_assert_eq(said.wall_ns, 5 * S);
	pass(2 * S);
	rpcprof_stat_end(stat);
	cr_assert_eq(encode(), 1);
	cr_assert_eq(said.wall_ns, 2 * S);
}

Test(exporter_profile, a_first_profile_counts_what_was_displaced_before_it)
{
	uint64_t calls;
	char line[64];

	init_fake(64);
	for (int i = 0; i < 1000; i++)
		call("/a/B", 10);
	calls = encode();
	cr_assert_geq(calls, 64);
	snprintf(line, sizeof(line), "unaggregated: %lu\n", 1000 - calls);
	cr_assert_not_null(strstr(said.comments, line), "%lu in\n%s", calls, said.comments);
}

Test(exporter_profile, a_profile_does_not_disturb_the_exporter)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	call("/a/B", 10);
	cr_assert_eq(encode(), 1);
	memset(&said, 0, sizeof(said));
	call("/a/B", 10);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_eq(said.calls, 2);
	cr_assert_eq(encode(), 1);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_profile, a_profile_is_written_whole_or_not_at_all)
{
	char path[128];
	struct stat status;

	make_directory();
	init_fake(0);
	call("/a/B", 10);
	cr_assert_eq(rpcprof_profile_write("/dev/null/x.pb.gz"), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/rpc.pb.gz", directory);
	cr_assert_eq(rpcprof_profile_write(path), 0, "what failed is in the next");
	cr_assert_eq(stat(path, &status), 0);
	cr_assert_str_eq(names(), "rpc.pb.gz\n");
	cr_assert_eq(rpcprof_profile_write(path), -ENODATA);
	remove_directory();
}

static struct rpcprof_latency latencies[8];
static size_t latency_count;

static int keep_latency(void *arg, const struct rpcprof_latency *latency)
{
	(void)arg;
	latencies[latency_count++] = *latency;
	return 0;
}

Test(exporter_profile, latencies_are_those_of_all_calls)
{
	init_fake(0);
	cr_assert_eq(rpcprof_latency_walk(keep_latency, NULL), 0);
	for (int i = 1; i <= 100; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/a/B", 4));
		pass(500);
		rpcprof_lap(stat, RPCPROF_TAG("/handler"));
		pass(i * 1000);
		rpcprof_stat_end(stat);
		encode();
	}
	cr_assert_eq(rpcprof_latency_walk(keep_latency, NULL), 2);
	cr_assert_str_eq(latencies[0].side, "server");
	cr_assert_str_eq(latencies[0].method, "/a/B");
	cr_assert_str_eq(latencies[0].stage, "");
	cr_assert_eq(latencies[0].count, 100);
	cr_assert_eq(latencies[0].mean_ns, 51000);
	cr_assert_eq(latencies[0].max_ns, 100500);
	cr_assert_str_eq(latencies[1].stage, "/handler");
	cr_assert_eq(latencies[1].depth, 1);
	cr_assert(latencies[1].p50_ns > 49500 && latencies[1].p50_ns < 50500);
	cr_assert(latencies[1].p99_ns > 98010 && latencies[1].p99_ns < 99990);
}
