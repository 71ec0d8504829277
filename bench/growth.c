/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the cost grows: one table and one plot for each thing that may be many. Each point is
 * measured in a process of its own, since a process has one configuration, and is the minimum of
 * several rounds.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "export/window_internal.h"
#include "plot.h"

#define ROUNDS 7

struct growth {
	const char *file;
	struct bench_curves curves;
	void (*measure)(uint32_t x, double *ys);
};

static void start(uint32_t capacity)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = capacity};

	bench_start(&config);
}

static double least(const struct bench_case *test, uint32_t threads)
{
	double least_ns = INFINITY;

	for (int i = 0; i < ROUNDS; i++)
		least_ns = fmin(least_ns, bench_measure(test, threads));
	return least_ns;
}

/* A case of the table by its name, with its own or another number of operations. */
static double cost(const char *name, uint64_t count, uint32_t threads)
{
	const struct bench_case *tables[] = {bench_floor, bench_record, bench_read};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct bench_case *test = tables[i]; test->name != NULL; test++)
			if (strcmp(test->name, name) == 0) {
				struct bench_case with_count = *test;

				with_count.count = count > 0 ? count : test->count;
				return least(&with_count, threads);
			}
	abort();
}

/* All of the ring in each round: what is measured is memory as it comes round. */
static void grow_capacity(uint32_t capacity, double *ys)
{
	uint64_t count = capacity > 50000 ? capacity : 50000;

	start(capacity);
	ys[0] = cost("rpc8", count, 1);
	ys[1] = cost("floor_rpc8", count, 1);
	ys[2] = cost("drain_stat", 0, 1);
	ys[3] = cost("snapshot_stat", 0, 1);
}

#define SLEEPER_CALLS 40000

/* A thread that sleeps, wakes, and records one call of eight timers, over and over. */
struct sleeper {
	pthread_t id;
	uint32_t threads, calls;
	uint64_t *ticks; /* of each call */
};

static void *sleep_and_record(void *arg)
{
	struct sleeper *sleeper = arg;
	/* Together they wake some 20 000 times a second, however many they are. */
	long ns = 50000L * sleeper->threads;
	struct timespec pause = {ns / 1000000000, ns % 1000000000};

	for (uint32_t i = 0; i < sleeper->calls; i++) {
		uint64_t begin;

		(void)nanosleep(&pause, NULL);
		begin = rpcprof_clock_raw();
		(void)bench_rpc8(1, 0);
		sleeper->ticks[i] = rpcprof_clock_raw() - begin;
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The median call. Wall time: the thread clock takes longer to read than the call. */
static double asleep_before(uint32_t threads)
{
	static struct sleeper sleepers[4096];
	uint32_t calls = SLEEPER_CALLS / threads;
	uint64_t *ticks = calloc((size_t)calls * threads, sizeof(*ticks));
	struct rpcprof_clock_map map;
	pthread_attr_t small;
	cpu_set_t all;

	if (ticks == NULL || rpcprof_clock_map_get(&map) != 0)
		abort();
	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all);
	(void)rpcprof_enable(true);
	(void)pthread_attr_init(&small);
	(void)pthread_attr_setstacksize(&small, 64 << 10);
	for (uint32_t i = 0; i < threads; i++) {
		sleepers[i] = (struct sleeper){.threads = threads, .calls = calls,
		                               .ticks = ticks + (size_t)i * calls};
		if (pthread_create(&sleepers[i].id, &small, sleep_and_record, &sleepers[i]) != 0)
			abort();
	}
	for (uint32_t i = 0; i < threads; i++)
		(void)pthread_join(sleepers[i].id, NULL);
	qsort(ticks, (size_t)calls * threads, sizeof(*ticks), by_value);
	return (double)rpcprof_clock_elapsed_ns(&map, 0, ticks[(size_t)calls * threads / 2]);
}

static void grow_threads(uint32_t threads, double *ys)
{
	uint64_t count = 20000 + 400000 / threads; /* long enough for threads to meet */

	start(4096);
	if (threads <= BENCH_THREADS_MAX) {
		ys[0] = cost("rpc8", count, threads);
		ys[1] = cost("lap8", count, threads);
		ys[2] = cost("stat_push", 4 * count, threads);
	}
	ys[3] = asleep_before(threads);
}

static uint32_t timers_per_stat;

static uint64_t stats_of_timers(uint64_t count, uint32_t thread)
{
	uint64_t done = 0;

	(void)thread;
	for (; done < count; done += timers_per_stat) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		for (uint32_t i = 0; i < timers_per_stat; i++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[i % 8]));
		rpcprof_stat_end(stat);
	}
	return done;
}

static uint64_t stats_of_laps(uint64_t count, uint32_t thread)
{
	uint64_t done = 0;

	(void)thread;
	for (; done < count; done += timers_per_stat) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		for (uint32_t i = 0; i < timers_per_stat; i++)
			rpcprof_lap(stat, bench_tags[i % 8]);
		rpcprof_stat_end(stat);
	}
	return done;
}

static void grow_timers(uint32_t timers, double *ys)
{
	start(4096);
	timers_per_stat = timers;
	ys[0] = least(&(struct bench_case){.run = stats_of_timers, .count = 100000, .on = true}, 1);
	ys[1] = least(&(struct bench_case){.run = stats_of_laps, .count = 100000, .on = true}, 1);
}

#define STAGES 8
#define BATCH 4096

static uint32_t methods;
static char (*names)[32]; /* of them */
static struct rpcprof_aggregate *aggregate;
static struct rpcprof_clock_map map;

/* A call of a method given by its name, as from the wire. */
static struct rpcprof_stat begin_call(uint64_t number)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	const char *name = names[number % methods];

	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, strlen(name)));
	return stat;
}

static void name_methods(uint32_t count)
{
	methods = count;
	names = calloc(count, sizeof(*names));
	for (uint32_t i = 0; i < count; i++)
		(void)snprintf(names[i], sizeof(*names), "/bench.Bench/Method%u", i);
}

static uint64_t named_calls(uint64_t count, uint32_t thread)
{
	static uint64_t number;

	(void)thread;
	for (uint64_t i = 0; i < count; i++)
		rpcprof_stat_end(begin_call(number++));
	return count;
}

static void record_batch(void)
{
	static uint64_t number;

	(void)rpcprof_enable(true);
	for (int i = 0; i < BATCH; i++) {
		struct rpcprof_stat stat = begin_call(number++);

		for (int k = 0; k < STAGES; k++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[k]));
		rpcprof_stat_end(stat);
	}
}

static int add(void *arg, const struct rpcprof_view *view)
{
	rpcprof_aggregate_add(arg, view, &map);
	return 0;
}

static uint64_t aggregate_batch(uint64_t count, uint32_t thread)
{
	(void)count;
	(void)thread;
	return (uint64_t)rpcprof_collect(add, aggregate);
}

/* Every method has been called. */
static void aggregate_all(void)
{
	struct rpcprof_aggregate_options options = {.bytes = 8 << 20};

	aggregate = rpcprof_aggregate_open(&options, 64);
	if (aggregate == NULL || rpcprof_clock_map_get(&map) != 0)
		abort();
	for (uint32_t i = 0; i < methods + BATCH; i += BATCH) {
		record_batch();
		(void)aggregate_batch(0, 0);
	}
}

static double cost_of_aggregating(void)
{
	aggregate_all();
	return least(&(struct bench_case){.run = aggregate_batch, .before = record_batch}, 1);
}

static void grow_methods(uint32_t count, double *ys)
{
	start(BENCH_LARGE);
	name_methods(count);
	ys[0] = least(&(struct bench_case){.run = named_calls, .count = 100000, .on = true}, 1);
	ys[1] = cost_of_aggregating();
}

static struct rpcprof_reader reader;

static uint64_t profile_of_all(uint64_t count, uint32_t thread)
{
	struct rpcprof_profile profile;

	(void)count;
	(void)thread;
	if (!rpcprof_reader_take(&reader, aggregate, 0, 1, 2, &profile) ||
	    rpcprof_profile_make(&profile, &reader, aggregate) != 0)
		abort();
	free(profile.bytes);
	rpcprof_reader_undo(&reader, &profile);
	return aggregate->totals.series;
}

/* Room for the names of all, so that only the aggregate's cap is met. */
static void grow_series(uint32_t series, double *ys)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = BENCH_LARGE,
	                                .tag_entries = 1 << 18, .tag_bytes = 1 << 24,
	                                .method_tags = 1 << 17};

	bench_start(&config);
	name_methods(series / (STAGES + 1) + 1);
	ys[0] = cost_of_aggregating();
	if (rpcprof_consumer_open(&reader.consumer, aggregate) != 0)
		abort();
	ys[1] = least(&(struct bench_case){.run = profile_of_all}, 1);
	ys[2] = aggregate->totals.series;
}

static struct growth all[] = {
	{"growth_capacity.svg",
	 {.title = "Ring size", .x = "N, Stats that the ring keeps", .y = "ns per call",
	  .names = {"rpc8", "floor_rpc8", "drain_stat", "snapshot_stat"}, .lines = 4,
	  .xs = {1 << 6, 1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20},
	  .points = 8},
	 grow_capacity},
	{"growth_threads.svg",
	 {.title = "Threads", .x = "threads", .y = "ns per call",
	  .names = {"rpc8", "lap8", "stat_push", "rpc8, asleep before"}, .lines = 4,
	  .xs = {1, 2, 4, 8, 16, 32, 64, 250, 1000, 4000}, .points = 10},
	 grow_threads},
	{"growth_timers.svg",
	 {.title = "Timers per Stat", .x = "timers in one Stat; those after 21 are folded",
	  .y = "ns per timer, with its share of the Stat", .names = {"timer", "lap"}, .lines = 2,
	  .xs = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}, .points = 10},
	 grow_timers},
	{"growth_methods.svg",
	 {.title = "Methods", .x = "methods called; those after 1024 count as one, (other)",
	  .y = "ns per call", .names = {"name, begin, end", "aggregate_stat"}, .lines = 2,
	  .xs = {1, 10, 100, 300, 1000, 3000, 10000, 100000}, .points = 8},
	 grow_methods},
	{"growth_series.svg",
	 {.title = "Series of a profile", .x = "series that the calls ask for",
	  .y = "ns per call; ns per series; series", .lines = 3,
	  .names = {"aggregate_stat", "profile, per series", "series kept"},
	  .xs = {10, 30, 100, 300, 1000, 3000, 10000, 100000, 1000000}, .points = 9},
	 grow_series},
};

/* In a process of its own, on a page that both see. */
static int measure_point(const struct growth *growth, uint32_t x, double *shared)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		growth->measure(x, shared);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "bench: %s: the point at %u could not be measured\n", growth->file,
		        x);
		return 1;
	}
	return 0;
}

static void print_point(const struct bench_curves *curves, unsigned point)
{
	printf("| %.0f |", curves->xs[point]);
	for (unsigned i = 0; i < curves->lines; i++)
		printf(curves->ys[i][point] > 0 ? " %.1f |" : "  |", curves->ys[i][point]);
	printf("\n");
	(void)fflush(stdout);
}

static int measure_growth(struct growth *growth, double *shared)
{
	struct bench_curves *curves = &growth->curves;

	printf("\n| %s |", curves->x);
	for (unsigned i = 0; i < curves->lines; i++)
		printf(" %s |", curves->names[i]);
	printf("\n|");
	for (unsigned i = 0; i <= curves->lines; i++)
		printf("---|");
	printf("\n");
	(void)fflush(stdout);
	for (unsigned point = 0; point < curves->points; point++) {
		memset(shared, 0, BENCH_LINES_MAX * sizeof(*shared));
		if (measure_point(growth, (uint32_t)curves->xs[point], shared) != 0)
			return 1;
		for (unsigned i = 0; i < curves->lines; i++)
			curves->ys[i][point] = shared[i];
		print_point(curves, point);
	}
	return 0;
}

int bench_growth(const char *directory, const char *only)
{
	double *shared = mmap(NULL, BENCH_LINES_MAX * sizeof(*shared), PROT_READ | PROT_WRITE,
	                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char path[512];

	if (shared == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (only != NULL && strstr(all[i].file, only) == NULL)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", directory, all[i].file);
		if (measure_growth(&all[i], shared) != 0 ||
		    bench_plot_curves(path, &all[i].curves) != 0)
			return 1;
	}
	return 0;
}
