/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs every case in turn, round after round, so that whatever else the machine does meets all of
 * them alike; prints the minimum and the median over rounds and the ratio of the minimum to the
 * case's floor. Thread CPU time, pinned, the first round thrown away.
 */
#include <argp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "rpcprof/rpcprof.h"

#define THREADS_MAX 4
#define ROWS_MAX 128
#define ROUNDS_MAX 1000

const char *argp_program_version;

static struct {
	unsigned rounds;
	unsigned capacity;
	int json;
	const char *only;
} options = {.rounds = 41, .capacity = 4096};

static struct row {
	const struct bench_case *test;
	uint32_t threads;
	uint32_t count;
	double ns[ROUNDS_MAX];
} rows[ROWS_MAX];
static size_t row_count;

struct job {
	const struct bench_case *test;
	pthread_barrier_t *barrier;
	uint32_t thread;
	double ns;
};

static double thread_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void pin(uint32_t thread)
{
	cpu_set_t set;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	CPU_ZERO(&set);
	CPU_SET((cpus - 1 - (long)thread % cpus) % cpus, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void *work(void *arg)
{
	struct job *job = arg;
	double begin;
	uint64_t done;

	pin(job->thread);
	rpcprof_thread_prepare();
	(void)job->test->run(job->test->count / 10 + 1, job->thread); /* warm */
	pthread_barrier_wait(job->barrier);
	begin = thread_ns();
	done = job->test->run(job->test->count, job->thread);
	job->ns = (thread_ns() - begin) / (double)(done > 0 ? done : 1);
	return NULL;
}

/* One thread: on the main one, so that nothing but the case itself is new. */
static double measure_one(const struct bench_case *test)
{
	double begin;
	uint64_t done;

	if (test->before == NULL)
		(void)test->run(test->count / 10 + 1, 0);
	begin = thread_ns();
	done = test->run(test->count, 0);
	return (thread_ns() - begin) / (double)(done > 0 ? done : 1);
}

static double measure(const struct bench_case *test, uint32_t threads)
{
	struct job jobs[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	pthread_barrier_t barrier;
	double sum = 0;

	if (threads == 1)
		return measure_one(test);
	pthread_barrier_init(&barrier, NULL, threads);
	for (uint32_t i = 0; i < threads; i++) {
		jobs[i] = (struct job){test, &barrier, i, 0};
		if (pthread_create(&ids[i], NULL, work, &jobs[i]) != 0)
			exit(2);
	}
	for (uint32_t i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		sum += jobs[i].ns;
	}
	pthread_barrier_destroy(&barrier);
	return sum / threads;
}

static void add_rows(const struct bench_case *tests)
{
	for (; tests->name != NULL; tests++)
		for (uint32_t threads = 1; threads <= tests->max_threads; threads *= 2)
			if (row_count < ROWS_MAX &&
			    (options.only == NULL || strstr(tests->name, options.only) != NULL ||
			     strncmp(tests->name, "floor", 5) == 0))
				rows[row_count++] = (struct row){.test = tests, .threads = threads};
}

static void run_round(int keep)
{
	for (size_t i = 0; i < row_count; i++) {
		struct row *row = &rows[i];
		double ns;
		if (row->test->before != NULL)
			row->test->before();
		(void)rpcprof_enable(row->test->on != 0);
		ns = measure(row->test, row->threads);
		if (keep)
			row->ns[row->count++] = ns;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double ratio_of(const struct row *row)
{
	for (size_t i = 0; i < row_count; i++)
		if (row->test->peer != NULL && rows[i].threads == 1 &&
		    strcmp(rows[i].test->name, row->test->peer) == 0)
			return row->ns[0] / rows[i].ns[0];
	return 0;
}

static void print_row(const struct row *row)
{
	double ratio = ratio_of(row);
	double median = row->ns[row->count / 2];

	if (options.json) {
		printf("{\"case\": \"%s\", \"threads\": %u, \"ns_min\": %.3f, "
		       "\"ns_median\": %.3f, \"ratio\": ",
		       row->test->name, row->threads, row->ns[0], median);
		printf(ratio != 0 ? "%.3f}\n" : "null}\n", ratio);
		return;
	}
	printf("%-16s %7u %10.2f %10.2f", row->test->name, row->threads, row->ns[0], median);
	if (ratio != 0)
		printf(" %7.3f x %s", ratio, row->test->peer);
	printf("\n");
}

static void print_drops(void)
{
	struct rpcprof_counters all;
	struct rpcprof_clock_info clock;

	(void)rpcprof_counters_get(&all);
	(void)rpcprof_clock_get_info(&clock);
	printf("\nN %u, clock: %s\n%llu Stats recorded, %llu begins without memory, "
	       "%llu late, %llu torn\n",
	       options.capacity, clock.reason, (unsigned long long)all.pushed,
	       (unsigned long long)all.dropped_no_cell, (unsigned long long)all.late,
	       (unsigned long long)all.torn);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'r':
		options.rounds = (unsigned)atoi(arg);
		if (options.rounds < 1 || options.rounds >= ROUNDS_MAX)
			argp_error(state, "--rounds is %s; it must be 1 to %d", arg,
			           ROUNDS_MAX - 1);
		return 0;
	case 'n':
		options.capacity = (unsigned)atoi(arg);
		return 0;
	case 'j':
		options.json = 1;
		return 0;
	case 'o':
		options.only = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option known[] = {
		{"rounds", 'r', "COUNT", 0, "Rounds over all cases (41)", 0},
		{"capacity", 'n', "N", 0, "Stats that the ring keeps (4096)", 0},
		{"json", 'j', NULL, 0, "One JSON object a line", 0},
		{"only", 'o', "TEXT", 0, "Only cases whose name holds TEXT, and the floors", 0},
		{0}};
	static const struct argp argp = {
		known, parse, NULL, "What rpcprof costs, beside the machine's own floor.", NULL,
		NULL, NULL};
	struct rpcprof_config config = {.size = sizeof(config)};

	argp_program_version = rpcprof_version();
	if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0)
		return 1;
	config.capacity = options.capacity;
	if (rpcprof_init(&config) != 0) {
		fprintf(stderr, "bench: --capacity %u cannot be had\n", options.capacity);
		return 1;
	}
	for (uint32_t i = 0; i < BENCH_STAGES; i++) {
		char name[] = {'/', 's', 't', 'a', 'g', 'e', (char)('A' + i), 0};
		bench_tags[i] = rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, (size_t)-1);
	}
	pin(0);
	add_rows(bench_floor);
	add_rows(bench_record);
	add_rows(bench_read);
#ifdef BENCH_EXPORT
	add_rows(bench_export);
#endif
	run_round(0);
	for (unsigned i = 0; i < options.rounds; i++)
		run_round(1);
	if (!options.json)
		printf("%-16s %7s %10s %10s   ratio\n", "case", "threads", "ns min",
		       "ns median");
	for (size_t i = 0; i < row_count; i++)
		qsort(rows[i].ns, rows[i].count, sizeof(double), by_value);
	for (size_t i = 0; i < row_count; i++)
		print_row(&rows[i]);
	if (!options.json)
		print_drops();
	return 0;
}
