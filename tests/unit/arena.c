/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, configuration, order, and what readers are given. */
#include "tests/unit/arena_harness.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RPCPROF_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define RPCPROF_SANITIZED 1
#endif
#endif

static int64_t numbers[1 << 16];
static int64_t number_count;

static int keep_number(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	numbers[number_count++] = rpcprof_view_status(view);
	return 0;
}

Test(arena, the_newest_are_kept_and_the_rest_is_counted)
{
	const uint32_t capacities[] = {100};

	start(capacities[0]);
	for (int32_t i = 0; i < 1000; i++)
		record(i);
	cr_assert_eq(rpcprof_snapshot(NULL, keep_number, NULL), 100);
	for (int64_t i = 0; i < 100; i++)
		cr_assert_eq(numbers[i], 900 + i);
	number_count = 0;
	cr_assert_geq(rpcprof_drain(keep_number, NULL), 100);
	cr_assert_eq(counters().pushed, 1000);
	cr_assert_eq(counters().drained + counters().displaced, 1000);
}

Test(arena, capacity_one_works)
{
	start(1);
	for (int32_t i = 0; i < 50; i++)
		record(i);
	cr_assert_eq(rpcprof_snapshot(NULL, keep_number, NULL), 1);
	cr_assert_eq(numbers[0], 49);
}

Test(arena, configurations_out_of_range_are_refused_by_name)
{
	struct rpcprof_config config = config_of((1u << 24) + 1);
	struct rpcprof_memory memory;

	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	cr_assert_not_null(strstr(last_message, "capacity is 16777217"));
	cr_assert_not_null(strstr(last_message, "1 to 16777216"));
	cr_assert_eq(rpcprof_memory_needed(&config, &memory), -EINVAL);
	config = config_of(0);
	config.size = 3;
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	config = config_of(0);
	config.clock = 9;
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	config = config_of(0);
	config.tag_entries = 1u << 20;
	config.label_tags = 1u << 18;
	config.method_tags = (1u << 20) - (1u << 18) - 8;
	config.tag_bytes = 1024;
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	cr_assert_not_null(strstr(last_message, "tag_bytes is 1024"));
	config = config_of(0);
	config.tag_entries = 15;
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	cr_assert_not_null(strstr(last_message, "tag_entries is 15; it must be 16 to 1048576"));
	config = config_of(0);
	config.tag_bytes = 1023;
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	cr_assert_not_null(strstr(last_message, "tag_bytes is 1023"));
	config = config_of(0);
	config.method_tags = config.label_tags = 4000;
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	cr_assert_not_null(strstr(last_message, "method_tags + label_tags is 8000"));
	config = config_of(0);
	config.max_in_flight = RPCPROF_CAPACITY_MAX + 1;
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	cr_assert_not_null(strstr(last_message, "max_in_flight is 16777217"));
	config = config_of(RPCPROF_CAPACITY_MAX);
	config.max_in_flight = RPCPROF_CAPACITY_MAX;
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	cr_assert_not_null(strstr(last_message, "more cells than handles can name"));
	config = config_of(64);
	cr_assert_eq(rpcprof_init(&config), 0); /* what failed left nothing behind */
}

#ifndef RPCPROF_SANITIZED /* a sanitizer needs the address space that this test takes away */
Test(arena, memory_that_cannot_be_had_leaves_nothing_half_done)
{
	struct rpcprof_config config = config_of(RPCPROF_CAPACITY_MAX);
	struct rlimit limit = {1u << 30, 1u << 30};

	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	cr_assert_eq(rpcprof_init(&config), -ENOMEM);
	cr_assert_not_null(strstr(last_message, "no memory for capacity 16777216"));
	cr_assert_eq(rpcprof_enable(true), -ENODEV);
	config = config_of(64);
	cr_assert_eq(rpcprof_init(&config), 0);
}
#endif

Test(arena, a_second_init_changes_nothing)
{
	struct rpcprof_config other = config_of(128), config;

	start(64);
	cr_assert_eq(rpcprof_init(&other), -EALREADY);
	config.size = sizeof(config.size) - 1;
	cr_assert_eq(rpcprof_get_config(&config), -EINVAL);
	config.size = sizeof(config) + 1;
	cr_assert_eq(rpcprof_get_config(&config), -EINVAL);
	config.size = sizeof(config);
	cr_assert_eq(rpcprof_get_config(&config), 0);
	cr_assert_eq(config.capacity, 64);
	cr_assert_eq(config.tag_entries, 4096);
}

/* Begins until there is no cell; each is somebody's for the first time. */
static uint32_t begin_all(struct rpcprof_stat *stats, uint32_t most)
{
	static uint8_t seen[1 << 13];
	uint32_t count = 0;

	memset(seen, 0, sizeof(seen));
	for (; count < most; count++) {
		uint32_t cell;
		stats[count] = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		if (rpcprof_stat_is_null(stats[count]))
			break;
		cell = (uint32_t)stats[count].bits / RPCPROF_CELL_SLOTS;
		cr_assert_lt(cell, sizeof(seen));
		cr_assert_eq(seen[cell]++, 0);
	}
	return count;
}

Test(arena, all_cells_come_back_from_full_chains_once)
{
	static struct rpcprof_stat stats[1 << 13];
	struct rpcprof_config config = config_of(64);
	uint32_t all;

	config.max_in_flight = 1024; /* so that a stash holds 32, and spills 16 */
	cr_assert_eq(rpcprof_init(&config), 0);
	rpcprof_enable(true);
	all = begin_all(stats, sizeof(stats) / sizeof(stats[0]));
	cr_assert_gt(all, 2000);
	for (int k = 0; k < 3; k++) {
		for (uint32_t i = 0; i < all; i++)
			rpcprof_stat_discard(stats[i]);
		cr_assert_eq(begin_all(stats, all + 1), all);
	}
}

Test(arena, a_cell_is_a_whole_number_of_cache_lines)
{
	struct rpcprof_config config = config_of(0);
	uint64_t ring_and_more = 2 * 16384 + 2 * 4096;
	struct rpcprof_memory memory;

	for (config.cell_bytes = 448; config.cell_bytes <= 1280; config.cell_bytes += 32) {
		bool valid = config.cell_bytes >= 512 && config.cell_bytes <= 1216 &&
		             config.cell_bytes % 64 == 0;
		cr_assert_eq(rpcprof_memory_needed(&config, &memory), valid ? 0 : -EINVAL);
		cr_assert(!valid || memory.cells >= ring_and_more * config.cell_bytes);
	}
	config.cell_bytes = 1100;
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
}

Test(arena, memory_is_known_in_advance)
{
	struct rpcprof_memory memory, small;
	struct rpcprof_config config = config_of(4096);

	cr_assert_eq(rpcprof_memory_needed(NULL, &memory), 0);
	cr_assert_eq(memory.total, memory.control + memory.slots + memory.cells + memory.tags);
	/* two rings of 16384, a quarter in flight and as much for stashes, and the null cell */
	cr_assert_geq(memory.cells, (2 * 16384 + 2 * 4096) * UINT64_C(1088));
	cr_assert_leq(memory.cells, (2 * 16384 + 2 * 4096 + 64 * 1024) * UINT64_C(1088));
	config.single_ring = 1;
	cr_assert_eq(rpcprof_memory_needed(&config, &small), 0);
	cr_assert_lt(small.total, memory.total / 4);
}

Test(arena, fini_is_for_good_and_may_come_twice)
{
	struct rpcprof_stat stat;

	start(64);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_fini();
	rpcprof_fini();
	cr_assert_not(rpcprof_enabled());
	cr_assert_eq(rpcprof_enable(true), -ENODEV);
	cr_assert_not(rpcprof_enabled());
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(keep_number, NULL), 1);
	cr_assert_eq(rpcprof_init(NULL), -EALREADY);
}

static int finis;

static void count_fini(void)
{
	finis++;
}

Test(arena, fini_calls_what_was_registered_once)
{
	cr_assert_eq(rpcprof_at_fini(count_fini), -ENODEV);
	start(64);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(rpcprof_at_fini(count_fini), 0);
	cr_assert_eq(rpcprof_at_fini(count_fini), -ENOSPC);
	rpcprof_fini();
	rpcprof_fini();
	cr_assert_eq(finis, 8);
	cr_assert_eq(rpcprof_at_fini(count_fini), -ENODEV);
}

Test(arena, too_many_in_flight_give_the_null_stat_and_are_counted)
{
	struct rpcprof_config config = config_of(64);
	struct rpcprof_stat stats[4096];
	uint32_t got = 0;

	config.single_ring = 1;
	cr_assert_eq(rpcprof_init(&config), 0);
	rpcprof_enable(true);
	while (got < 4096 && !rpcprof_stat_is_null(
				     stats[got] = rpcprof_stat_begin(RPCPROF_TAG_SERVER)))
		got++;
	cr_assert_geq(got, 64); /* max_in_flight */
	cr_assert_lt(got, 4096);
	cr_assert_eq(counters().dropped_no_cell, 1);
	for (uint32_t i = 0; i < got; i++)
		rpcprof_stat_end(stats[i]);
	cr_assert_eq(counters().pushed, got);
	record(1);
	cr_assert_eq(counters().pushed, got + 1);
}

Test(arena, the_history_gives_cells_but_keeps_half)
{
	struct rpcprof_stat stat;
	uint64_t in_dump = 0;
	uint32_t got = 0;

	start(64);
	for (int32_t i = 0; i < 200; i++)
		record(i);
	cr_assert_gt(rpcprof_collect(count_only, &in_dump), 0);
	for (int32_t i = 0; i < 200; i++)
		record(i);
	do {
		stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	} while (!rpcprof_stat_is_null(stat) && ++got < 100000);
	cr_assert_lt(got, 100000);
	in_dump = 0;
	rpcprof_drain(count_only, &in_dump);
	cr_assert_geq(in_dump, 64 + 32);
	cr_assert_eq(counters().pushed, counters().drained + counters().displaced);
}

Test(arena, collecting_does_not_blind_the_dump)
{
	uint64_t collected = 0;

	start(100);
	for (int32_t i = 0; i < 110; i++) {
		record(i);
		if (i % 30 == 29)
			rpcprof_collect(count_only, &collected);
	}
	rpcprof_collect(count_only, &collected);
	cr_assert_eq(collected, 110);
	cr_assert_eq(rpcprof_snapshot(NULL, keep_number, NULL), 100);
	for (int64_t i = 0; i < 100; i++)
		cr_assert_eq(numbers[i], 10 + i);
	cr_assert_eq(counters().collected, 110);
	cr_assert_eq(counters().unaggregated, 0);
	cr_assert_eq(counters().drained, 0);
}

Test(arena, displaced_before_collected_counts_as_unaggregated)
{
	uint64_t collected = 0;

	start(100);
	rpcprof_collect(count_only, &collected);
	for (int32_t i = 0; i < 1000; i++)
		record(i);
	rpcprof_collect(count_only, &collected);
	cr_assert_eq(collected + counters().unaggregated, 1000);
	rpcprof_collect_stop();
	for (int32_t i = 0; i < 1000; i++)
		record(i);
	cr_assert_eq(collected + counters().unaggregated, 1000);
}

static int stop_at_third(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	return ++*(int *)arg == 3;
}

Test(arena, a_drain_that_stops_leaves_the_rest)
{
	int seen = 0;
	uint64_t rest = 0;

	start(64);
	for (int32_t i = 0; i < 20; i++)
		record(i);
	cr_assert_eq(rpcprof_drain(stop_at_third, &seen), 3);
	cr_assert_eq(counters().drained, 3);
	cr_assert_eq(rpcprof_drain(count_only, &rest), 17);
}

Test(arena, filters_choose)
{
	struct rpcprof_filter filter = {.size = sizeof(filter)};
	struct rpcprof_stat stat;
	uint64_t count = 0;

	start(64);
	for (int32_t i = 0; i < 10; i++)
		record(i);
	stat = rpcprof_stat_begin(RPCPROF_TAG_CLIENT);
	rpcprof_stat_set_method(stat, 55);
	usleep(600000); /* longer than any of the others may take on a slow machine */
	rpcprof_stat_end(stat);
	filter.side = RPCPROF_TAG_CLIENT;
	cr_assert_eq(rpcprof_snapshot(&filter, count_only, &count), 1);
	filter.side = 0;
	filter.method = 55;
	cr_assert_eq(rpcprof_snapshot(&filter, count_only, &count), 1);
	filter.method = 0;
	filter.min_duration_ns = 500000000;
	cr_assert_eq(rpcprof_snapshot(&filter, count_only, &count), 1);
	filter.min_duration_ns = 0;
	filter.by_status = 1;
	filter.status = 4;
	cr_assert_eq(rpcprof_snapshot(&filter, keep_number, NULL), 1);
	cr_assert_eq(numbers[0], 4);
	filter.by_status = 0;
	filter.last = 2;
	cr_assert_eq(rpcprof_snapshot(&filter, count_only, &count), 2);
	filter.unordered = 1;
	cr_assert_eq(rpcprof_snapshot(&filter, count_only, &count), 11);
	filter.size = 1;
	cr_assert_eq(rpcprof_snapshot(&filter, count_only, &count), -EINVAL);
}

static int check_open(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	cr_assert_str_eq(rpcprof_tag_name(rpcprof_view_open_stage(view), NULL), "/handler");
	cr_assert_eq(rpcprof_view_end(view), 0);
	number_count++;
	return 0;
}

Test(arena, calls_in_flight_are_listed_with_their_stage)
{
	struct rpcprof_filter old = {.size = sizeof(old), .min_duration_ns = 3600000000000};
	struct rpcprof_stat stat;

	start(64);
	record(1);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_timer_end(rpcprof_timer_begin(stat, RPCPROF_TAG("/decode")));
	rpcprof_timer_begin(stat, RPCPROF_TAG("/handler"));
	cr_assert_eq(rpcprof_inflight(NULL, check_open, NULL), 1);
	cr_assert_eq(number_count, 1);
	cr_assert_eq(rpcprof_inflight(&old, check_open, NULL), 0);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_inflight(NULL, check_open, NULL), 0);
}
