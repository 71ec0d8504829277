/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent SECONDS CALLS_PER_SECOND METHODS: what all that is configured around it costs beside recording.
 *
 * Prints the address at which it can be pulled from ("url ...") and waits for its four scrapers.
 * Prints what 1000 stages take, 125 methods of eight, in four octaves each: the memory beside the
 * arena, and a window from its end until it is in the queue. Then records so many calls of so many
 * of these methods, and prints the CPU time of each of our threads, and what was left out.
 * scripts/bench-agent gives it a server and scrapers.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "rpcprof/agent.h"
#include "rpcprof/pull.h"
#include "rpcprof/rpcprof.h"
#include "stats/arena_internal.h"

#define RECORDERS 4
#define METHODS 125
#define SCRAPERS 4
#define STAGES 8
#define OCTAVES 4
#define OCTAVE_NS 200
#define BATCH_NS 1000000
#define WINDOWS 5
#define THREADS_MAX 16

struct recorder {
	pthread_t thread;
	uint64_t calls, per_second, methods;
};

static uint32_t methods[METHODS], stages[STAGES];

static int fail(const char *what)
{
	fprintf(stderr, "agent: %s\n", what);
	return 1;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void make_names(void)
{
	char name[48];

	for (int i = 0; i < METHODS; i++) {
		snprintf(name, sizeof(name), "/shop.v1.Service%d/Method%d", i / 10, i);
		methods[i] = rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, (size_t)-1);
	}
	for (int i = 0; i < STAGES; i++) {
		snprintf(name, sizeof(name), "/stage%d", i);
		stages[i] = rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, (size_t)-1);
	}
}

/* Stages as short as they come, or of some length. */
static void call(uint64_t method, uint64_t length_ns)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	rpcprof_stat_set_method(stat, methods[method]);
	for (int i = 0; i < STAGES; i++) {
		struct rpcprof_timer timer = rpcprof_timer_begin(stat, stages[i]);
		uint64_t end = length_ns != 0 ? now_ns() + length_ns : 0;

		while (end != 0 && now_ns() < end)
			;
		rpcprof_timer_end(timer);
	}
	rpcprof_stat_set_status(stat, 0);
	rpcprof_stat_end(stat);
}

static void *record(void *arg)
{
	const struct recorder *recorder = arg;
	const struct timespec pause = {.tv_nsec = BATCH_NS};
	uint64_t begin = now_ns();

	for (uint64_t i = 0; i < recorder->calls; i++) {
		call(i % recorder->methods, 0);
		if (i * 1000000000 / recorder->per_second > now_ns() - begin + BATCH_NS)
			nanosleep(&pause, NULL);
	}
	return NULL;
}

static void record_all(uint64_t seconds, uint64_t per_second, uint64_t methods_called)
{
	struct recorder recorders[RECORDERS];

	for (int i = 0; i < RECORDERS; i++) {
		recorders[i].methods = methods_called;
		recorders[i].per_second = per_second / RECORDERS;
		recorders[i].calls = seconds * recorders[i].per_second;
		if (pthread_create(&recorders[i].thread, NULL, record, &recorders[i]) != 0)
			exit(fail("no thread"));
	}
	for (int i = 0; i < RECORDERS; i++)
		pthread_join(recorders[i].thread, NULL);
}

/* Each method and stage in each octave. */
static void record_octaves(void)
{
	for (uint64_t k = 0; k < OCTAVES; k++)
		for (uint64_t i = 0; i < METHODS; i++)
			call(i, (uint64_t)OCTAVE_NS << k);
}

/* Of one thread of ours, by its name. */
struct spent {
	long id;
	char name[32];
	uint64_t ns;
};

static bool read_line(const char *format, long id, char *line, int room)
{
	char path[64];
	FILE *file;
	bool got;

	snprintf(path, sizeof(path), format, id);
	file = fopen(path, "re");
	got = file != NULL && fgets(line, room, file) != NULL;
	if (file != NULL)
		fclose(file);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

static size_t look_at_threads(struct spent *spent)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	size_t count = 0;
	char line[128];

	while (tasks != NULL && (task = readdir(tasks)) != NULL && count < THREADS_MAX) {
		struct spent *one = &spent[count];

		one->id = strtol(task->d_name, NULL, 10);
		if (one->id == 0 ||
		    !read_line("/proc/self/task/%ld/comm", one->id, one->name, sizeof(one->name)) ||
		    strncmp(one->name, "rpcprof-", 8) != 0 ||
		    !read_line("/proc/self/task/%ld/schedstat", one->id, line, sizeof(line)))
			continue;
		one->ns = strtoull(line, NULL, 10);
		count++;
	}
	if (tasks != NULL)
		closedir(tasks);
	return count;
}

static void print_threads(const struct spent *before, size_t count, uint64_t elapsed_ns)
{
	struct spent after[THREADS_MAX];
	size_t now = look_at_threads(after);
	uint64_t sum = 0;

	for (size_t i = 0; i < now; i++)
		for (size_t k = 0; k < count; k++) {
			if (after[i].id != before[k].id)
				continue;
			sum += after[i].ns - before[k].ns;
			printf("%s %.3f %% of a core\n", after[i].name,
			       (double)(after[i].ns - before[k].ns) * 100 / (double)elapsed_ns);
		}
	printf("all threads %.3f %% of a core\n", (double)sum * 100 / (double)elapsed_ns);
}

static long arena_kib(void)
{
	const size_t page = 4096, bytes = rpcprof_control()->total_bytes;
	size_t pages = (bytes + page - 1) / page, resident = 0;
	unsigned char *is_there = calloc(pages, 1);

	if (is_there == NULL || mincore(rpcprof_map.base, bytes, is_there) != 0)
		exit(fail("no look at the arena's pages"));
	for (size_t i = 0; i < pages; i++)
		resident += is_there[i] & 1;
	free(is_there);
	return (long)(resident * page / 1024);
}

/* Memory that no file backs, but for the arena, which fills as it is used. */
static long beside_arena_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	long kib = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtol(line + 8, NULL, 10);
	if (file != NULL)
		fclose(file);
	return kib - arena_kib();
}

/* Each of them comes once. */
static void await_scrapers(void)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct rpcprof_pull_stats pull = {.size = sizeof(pull)};

	do {
		nanosleep(&pause, NULL);
		rpcprof_pull_get_stats(&pull);
	} while (pull.ok < SCRAPERS);
}

static void print_windows(long before_kib)
{
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};
	double least = 0;

	for (int i = 0; i < WINDOWS; i++) {
		uint64_t begin;
		double ms;

		record_octaves();
		begin = now_ns();
		if (rpcprof_exporter_flush(10000) != 0)
			exit(fail("no window"));
		ms = (double)(now_ns() - begin) / 1e6;
		least = i == 0 || ms < least ? ms : least;
	}
	rpcprof_exporter_get_stats(&stats);
	printf("a window of %llu series %.1f ms, the least of %d\n",
	       (unsigned long long)stats.series, least, WINDOWS);
	printf("memory beside the arena %ld KiB\n", beside_arena_kib() - before_kib);
}

static uint64_t unaggregated(void)
{
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};

	rpcprof_exporter_get_stats(&stats);
	return stats.unaggregated;
}

static void measure(uint64_t seconds, uint64_t per_second, uint64_t methods_called,
                    long before_kib)
{
	uint64_t left_out = unaggregated(), begin = now_ns();
	struct spent before[THREADS_MAX];
	size_t count = look_at_threads(before);
	struct rpcprof_push_stats push = {.size = sizeof(push)};

	record_all(seconds, per_second, methods_called);
	print_threads(before, count, now_ns() - begin);
	printf("unaggregated %llu of %llu calls\n", (unsigned long long)(unaggregated() - left_out),
	       (unsigned long long)(seconds * per_second));
	if (rpcprof_agent_push(0) != NULL &&
	    rpcprof_push_get_stats(rpcprof_agent_push(0), &push) == 0)
		printf("pushed %llu of %llu profiles\n", (unsigned long long)push.sent,
		       (unsigned long long)push.taken);
	printf("memory beside the arena, after them %ld KiB\n", beside_arena_kib() - before_kib);
}

int main(int argc, char **argv)
{
	char error[256] = "";
	struct rpcprof_agent_config config = {.size = sizeof(config), .error = error,
	                                      .error_bytes = sizeof(error)};
	struct rpcprof_pull_stats pull = {.size = sizeof(pull)};
	uint64_t seconds = argc == 4 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t per_second = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t methods_called = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
	long before_kib;

	if (seconds == 0 || per_second < RECORDERS || methods_called == 0 || methods_called > METHODS)
		return fail("usage: agent SECONDS CALLS_PER_SECOND METHODS, from 1, 4, 1 to 125");
	if (rpcprof_init(NULL) != 0 || rpcprof_enable(true) < 0)
		return fail("rpcprof does not start");
	make_names();
	record_all(1, 10000, 1); /* its threads' stacks stay */
	before_kib = beside_arena_kib();
	if (rpcprof_agent_start(&config) != 0)
		return fail(error);
	record_octaves();
	rpcprof_pull_get_stats(&pull);
	printf("url %s\n", pull.url);
	fflush(stdout);
	await_scrapers();
	print_windows(before_kib);
	measure(seconds, per_second, methods_called, before_kib);
	return rpcprof_agent_stop(5000) == 0 ? 0 : 1;
}
