/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rpcprof costs a gRPC service: each mode against the switch being off, in pairs of rounds
 * that follow one another, first the one then the other way round. Judged is CPU per call, of the
 * client and of the server, by the median of the pairs' ratios and its 95 % interval, which assumes
 * nothing of how they are distributed: on a shared machine some pairs are far off.
 */
#include <argp.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "grpc.h"

#define ROUNDS_MAX 1000
#define ROUNDS_PER_PROCESS 10
#define WARM_UP 20000

static struct {
	unsigned rounds, calls, outstanding, memory;
	const char *only;
} options = {.rounds = 40, .calls = 1000};

/* Built with rpcprof, without, and as that but preloaded, switched on and off. */
enum program { WITH, WITHOUT, PRELOADED, PRELOADED_OFF, PROGRAMS };

static const struct mode {
	char letter;
	const char *text;
	enum program program, other; /* whose figures, the switch off, are the divisor */
	double limit; /* of the ratio; 0: the interval should hold 1 */
} modes[] = {
	{MODE_OFF, "off / without rpcprof", WITH, WITHOUT, 0},
	{MODE_ON, "wrapped calls / off", WITH, WITH, INFINITY},
	{MODE_LAPS, "laps / off", WITH, WITH, 1.015},
	{MODE_TIMERS, "8 timers a side / off", WITH, WITH, 1.025},
	{MODE_EXPORTER, "laps and exporter / off", WITH, WITH, INFINITY},
	{MODE_OFF, "preloaded, off / without", PRELOADED_OFF, WITHOUT, 0},
	{MODE_OFF, "preloaded / without", PRELOADED, WITHOUT, INFINITY},
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

/* A mode's rounds: [0] the mode itself, [1] what it is compared with. */
struct pairs {
	double answers[ROUNDS_MAX][2][ANSWERS];
};

static const char *commands[PROGRAMS];
static struct bench_process *processes[PROGRAMS];

static void ask(struct bench_process *process, char mode, unsigned outstanding, unsigned calls,
                double *answers)
{
	char line[64];

	(void)snprintf(line, sizeof(line), "%c %u %u", mode, outstanding, calls);
	bench_process_ask(process, line, answers, ANSWERS);
}

static void stop(void)
{
	for (int i = 0; i < PROGRAMS; i++) {
		if (processes[i] != NULL)
			bench_process_stop(processes[i]);
		processes[i] = NULL;
	}
}

/* The ring is touched once, and all of the code has run. */
static void start(enum program program)
{
	double answers[ANSWERS];

	if (processes[program] != NULL)
		return;
	processes[program] = bench_process_start(commands[program]);
	if (processes[program] == NULL)
		exit(1);
	ask(processes[program], program == WITH ? MODE_LAPS : MODE_OFF, OUTSTANDING_MAX, WARM_UP,
	    answers);
}

/* New processes. Where a process's memory happens to lie makes a difference of some per cent, so no
 * pair of processes has all rounds. */
static void restart(const struct mode *mode)
{
	stop();
	start(mode->program);
	start(mode->other);
}

static void measure_pair(const struct mode *mode, unsigned outstanding, bool other_first,
                         double answers[2][ANSWERS])
{
	for (int i = 0; i < 2; i++) {
		bool other = (i == 0) == other_first;
		enum program program = mode->program;
		char letter = mode->letter;

		if (other) {
			program = mode->other;
			letter = MODE_OFF;
		}
		ask(processes[program], letter, outstanding, options.calls, answers[other]);
	}
}

struct interval {
	double low, median, high;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The median of all that could be measured lies between these order statistics in 95 % of cases:
 * how many of `count` values lie below it is binomial. */
static struct interval interval_of(double *values, unsigned count)
{
	unsigned below = (unsigned)fmax(0, floor(count / 2.0 - 0.98 * sqrt(count)));

	qsort(values, count, sizeof(*values), by_value);
	return (struct interval){values[below], values[count / 2], values[count - 1 - below]};
}

static const char *verdict(const struct mode *mode, struct interval ratio)
{
	if (isinf(mode->limit))
		return "";
	if (mode->limit == 0 && ratio.low <= 1 && ratio.high >= 1)
		return ratio.high - ratio.low <= 0.01 ? "reached" : "undecided: too wide";
	if (mode->limit == 0)
		return "missed";
	if (ratio.high <= mode->limit)
		return "reached";
	return ratio.low > mode->limit ? "missed" : "undecided";
}

static void print_side(const struct mode *mode, const struct pairs *pairs, int side)
{
	double cpu[ROUNDS_MAX], ratios[ROUNDS_MAX], differences[ROUNDS_MAX];
	struct interval ratio, difference;

	for (unsigned i = 0; i < options.rounds; i++) {
		double other = pairs->answers[i][1][side];

		cpu[i] = pairs->answers[i][0][side];
		ratios[i] = cpu[i] / other;
		differences[i] = cpu[i] - other;
	}
	ratio = interval_of(ratios, options.rounds);
	difference = interval_of(differences, options.rounds);
	printf("%-24s %-6s %8.0f  %.4f (%.4f to %.4f) %6.0f (%.0f to %.0f) %s\n", mode->text,
	       side == CLIENT_NS ? "client" : "server", interval_of(cpu, options.rounds).median,
	       ratio.median, ratio.low, ratio.high, difference.median, difference.low,
	       difference.high, verdict(mode, ratio));
}

static double median_of(const struct pairs *pairs, int answer)
{
	double values[ROUNDS_MAX];

	for (unsigned i = 0; i < options.rounds; i++)
		values[i] = pairs->answers[i][0][answer];
	return interval_of(values, options.rounds).median;
}

static bool chosen(const struct mode *mode)
{
	return options.only == NULL || strstr(mode->text, options.only) != NULL;
}

static void measure(unsigned outstanding)
{
	static struct pairs pairs[MODES];

	for (size_t i = 0; i < MODES; i++)
		for (unsigned round = 0; chosen(&modes[i]) && round < options.rounds; round++) {
			if (round % ROUNDS_PER_PROCESS == 0)
				restart(&modes[i]);
			measure_pair(&modes[i], outstanding, round % 2 != 0,
			             pairs[i].answers[round]);
		}
	printf("\n%u outstanding, %u pairs of %u calls\n%-24s %-6s %8s  %-25s %s\n", outstanding,
	       options.rounds, options.calls, "", "side", "CPU ns", "ratio, 95 % interval",
	       "ns more");
	for (size_t i = 0; i < MODES; i++)
		for (int side = CLIENT_NS; side <= SERVER_NS && chosen(&modes[i]); side++)
			print_side(&modes[i], &pairs[i], side);
	printf("%-24s %9s %9s %9s\n", "", "p50 us", "p99 us", "calls/s");
	for (size_t i = 0; i < MODES; i++)
		if (chosen(&modes[i]))
			printf("%-24s %9.1f %9.1f %9.0f\n", modes[i].text,
			       median_of(&pairs[i], P50_US), median_of(&pairs[i], P99_US),
			       median_of(&pairs[i], CALLS_PER_S));
	(void)fflush(stdout);
}

/* Once the ring has come round, so many calls more, and ten times as many, should take none. */
static void measure_memory(void)
{
	unsigned done = 0;

	start(WITH);
	printf("\n%10s %12s %12s\n", "calls", "client KiB", "server KiB");
	for (unsigned more = 100000; done < options.memory; more = options.memory / 10) {
		double answers[ANSWERS];

		ask(processes[WITH], MODE_TIMERS, OUTSTANDING_MAX, more, answers);
		done += more;
		printf("%10u %12.0f %12.0f\n", done, answers[CLIENT_RSS_KIB],
		       answers[SERVER_RSS_KIB]);
		(void)fflush(stdout);
	}
}

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
		options.rounds = number(arg, "rounds", 7, ROUNDS_MAX, state);
		return 0;
	case 'c':
		options.calls = number(arg, "calls", 100, 1000000, state);
		return 0;
	case 'o':
		options.outstanding = number(arg, "outstanding", 1, OUTSTANDING_MAX, state);
		return 0;
	case 'O':
		options.only = arg;
		return 0;
	case 'm':
		options.memory = number(arg, "memory", 1000000, 1000000000, state);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num >= PROGRAMS)
			return ARGP_ERR_UNKNOWN;
		commands[state->arg_num] = arg;
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num != PROGRAMS)
			argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option known[] = {
		{"rounds", 'r', "COUNT", 0, "Pairs of rounds (40)", 0},
		{"calls", 'c', "COUNT", 0, "Calls in a round (1000)", 0},
		{"outstanding", 'o', "COUNT", 0, "Calls at one time (1, then 64)", 0},
		{"only", 'O', "TEXT", 0, "Only what holds TEXT: off, wrapped, laps, preloaded, ...", 0},
		{"memory", 'm', "CALLS", 0,
		 "Instead: resident memory over so many calls, 1000000 at least", 0},
		{0}};
	static const struct argp argp = {known, parse, "WITH WITHOUT PRELOADED PRELOADED-OFF",
	                                 "What rpcprof costs a gRPC service on loopback.",
	                                 NULL, NULL, NULL};

	if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0)
		return 1;
	if (options.memory > 0)
		measure_memory();
	else if (options.outstanding > 0)
		measure(options.outstanding);
	else
		for (unsigned i = 1; i <= OUTSTANDING_MAX; i *= OUTSTANDING_MAX)
			measure(i);
	stop();
	return 0;
}
