/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs every case in turn, round after round, so that whatever else the machine does meets all of
 * them alike; shows the minimum and the median over rounds, and the ratio of the minimum to that of
 * the case's floor or peer. The first round is thrown away.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "plot.h"

#define ROWS_MAX 128
#define PROCESSES_MAX 8
#define ROUNDS_MIN 7
#define ROUNDS_MAX 1000

const char *argp_program_version;

static struct {
	unsigned rounds;
	unsigned capacity;
	bool json, serve;
	const char *only;
	const char *plot;
	const char *samples;
	const char *growth;
	const char *peers[PROCESSES_MAX];
	unsigned peer_count;
} options = {.rounds = 31, .capacity = 4096};

static struct bench_row rows[ROWS_MAX];
static size_t row_count;
static struct bench_process *processes[PROCESSES_MAX];
static unsigned process_count;

static void start_process(const char *command)
{
	struct bench_process *process = bench_process_start(command);

	if (process != NULL)
		processes[process_count++] = process;
}

static struct bench_process *process_of(const struct bench_case *test)
{
	for (unsigned i = 0; i < process_count; i++)
		if (bench_process_has(processes[i], test->name))
			return processes[i];
	return NULL;
}

static bool chosen(const struct bench_case *test)
{
	return options.only == NULL || strstr(test->name, options.only) != NULL ||
	       strncmp(test->name, "floor", 5) == 0;
}

static void add_row(const struct bench_case *test, struct bench_process *process, uint32_t threads)
{
	double *ns = calloc(options.rounds, sizeof(*ns));

	if (ns == NULL || row_count == ROWS_MAX)
		abort();
	rows[row_count++] = (struct bench_row){
		.test = test, .process = process, .threads = threads, .ns = ns};
}

/* Those that this process can measure. */
static void add_rows(const struct bench_case *tests)
{
	for (; tests->name != NULL; tests++) {
		uint32_t threads = tests->min_threads > 0 ? tests->min_threads : 1;

		for (; tests->run != NULL && chosen(tests) && threads <= tests->max_threads;
		     threads *= 2)
			add_row(tests, NULL, threads);
	}
}

/* Those that others can. */
static void add_rows_of_others(const struct bench_case *tests)
{
	for (; tests->name != NULL; tests++) {
		struct bench_process *process = process_of(tests);

		if (process != NULL && chosen(tests))
			add_row(tests, process, 1);
	}
}

static void run_round(bool keep)
{
	for (struct bench_row *row = rows; row < rows + row_count; row++) {
		double ns = row->process != NULL
		                    ? bench_process_round(row->process, row->test->name)
		                    : bench_measure(row->test, row->threads);
		if (keep)
			row->ns[row->rounds++] = ns;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
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

#ifdef BENCH_EXPORT
static void print_bytes(void)
{
	if (bench_metrics_bytes != 0)
		printf("metrics_write: %zu bytes\n", bench_metrics_bytes);
}
#endif

static unsigned number(const char *text, const char *what, unsigned least, unsigned most,
                       struct argp_state *state)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < least || value > most)
		argp_error(state, "--%s is '%s'; it must be %u to %u", what, text, least, most);
	return (unsigned)value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'r':
		options.rounds = number(arg, "rounds", ROUNDS_MIN, ROUNDS_MAX, state);
		return 0;
	case 'n':
		options.capacity = number(arg, "capacity", 1, RPCPROF_CAPACITY_MAX, state);
		return 0;
	case 'j':
		options.json = true;
		return 0;
	case 'o':
		options.only = arg;
		return 0;
	case 'p':
		options.plot = arg;
		return 0;
	case 'P':
		if (options.peer_count + 1 == PROCESSES_MAX)
			argp_error(state, "more than %d times --peer", PROCESSES_MAX - 1);
		options.peers[options.peer_count++] = arg;
		return 0;
	case 's':
		options.serve = true;
		return 0;
	case 'S':
		options.samples = arg;
		return 0;
	case 'g':
		options.growth = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option known[] = {
	{"rounds", 'r', "COUNT", 0, "Rounds over all cases (31), at least 7", 0},
	{"capacity", 'n', "N", 0, "Stats that the ring keeps (4096)", 0},
	{"json", 'j', NULL, 0, "One JSON object a line", 0},
	{"only", 'o', "TEXT", 0,
	 "Only cases whose name holds TEXT, and the floors; with --growth only such plots", 0},
	{"plot", 'p', "FILE.svg", 0, "Draw the table as bars, too", 0},
	{"growth", 'g', "DIRECTORY", 0,
	 "Instead: how the cost grows with N, threads, timers, methods and series; a plot each", 0},
	{"peer", 'P', "COMMAND", 0, "A process that measures cases of others (bench/process.c)", 1},
	{"serve", 's', NULL, 0, "Be such a process, for the cases with a large N", 1},
	{"samples", 'S', "FILE", 0, "Write the profile of pprof_sample to FILE, and end", 1},
	{0}};

static void run_and_show(void)
{
	for (unsigned i = 0; i <= options.rounds; i++)
		run_round(i > 0);
	for (size_t i = 0; i < row_count; i++)
		qsort(rows[i].ns, rows[i].rounds, sizeof(double), by_value);
	if (options.json) {
		bench_print_json(rows, row_count);
	} else {
		bench_print_table(rows, row_count);
		if (options.only == NULL)
			bench_print_targets(rows, row_count);
		print_drops();
#ifdef BENCH_EXPORT
		print_bytes();
#endif
	}
}

static void bench(void)
{
	char large[64];

	(void)snprintf(large, sizeof(large), "exec /proc/%d/exe --serve --capacity %d", getpid(),
	               BENCH_LARGE);
	start_process(large);
	for (unsigned i = 0; i < options.peer_count; i++)
		start_process(options.peers[i]);
	add_rows(bench_floor);
	add_rows(bench_record);
	add_rows(bench_threads);
	add_rows(bench_read);
#ifdef BENCH_EXPORT
	add_rows(bench_export);
#endif
	add_rows(bench_peers);
	add_rows_of_others(bench_large);
	add_rows_of_others(bench_peers);
	run_and_show();
	while (process_count > 0)
		bench_process_stop(processes[--process_count]);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		known, parse, NULL,
		"What rpcprof costs, beside the machine's own floor and beside others.", NULL, NULL,
		NULL};
	struct rpcprof_config config = {.size = sizeof(config)};

	argp_program_version = rpcprof_version();
	if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0)
		return 1;
	config.capacity = options.capacity;
	bench_pin(0);
#ifdef BENCH_EXPORT
	if (options.growth != NULL)
		return bench_growth(options.growth, options.only);
#endif
	bench_start(&config);
	if (options.serve)
		return bench_serve(bench_large);
#ifdef BENCH_EXPORT
	if (options.samples != NULL)
		return bench_write_samples(options.samples);
#endif
	bench();
	return options.plot != NULL ? bench_plot_bars(options.plot, rows, row_count) : 0;
}
