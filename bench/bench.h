/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_H
#define BENCH_H

/* What the files of the benchmark share: cases, and how one is measured and shown. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pin.h"
#include "rpcprof/rpcprof.h"

#define BENCH_THREADS_MAX 64
#define BENCH_STAGES 32

/* One thing to measure. */
struct bench_case {
	const char *name;
	/* Does the operation `count` times on thread `thread`. Returns how many were done; 0: this
	 * thread only keeps the others company, and its time does not count. NULL: another process
	 * measures it. */
	uint64_t (*run)(uint64_t count, uint32_t thread);
	const char *peer;     /* the case that `ratio` divides by; NULL: none */
	uint32_t peer_parts;  /* so many of these make one of peer; 0: one */
	uint64_t count;       /* operations in one round, per thread */
	uint32_t min_threads; /* measured at this and its doubles to max_threads; 0: 1 */
	uint32_t max_threads;
	bool on;              /* whether the switch is on */
	void (*before)(void); /* not timed, before each round; NULL: nothing, but a warm-up */
};

/* Each file's cases, ended by one without a name. */
extern const struct bench_case bench_floor[], bench_record[], bench_threads[], bench_read[],
	bench_export[], bench_peers[];
/* Those of a process of its own, where N = BENCH_LARGE. */
extern const struct bench_case bench_large[];
#define BENCH_LARGE 16384

struct bench_process;

/* A case at a number of threads, and what the rounds gave. */
struct bench_row {
	const struct bench_case *test;
	struct bench_process *process; /* NULL: this one */
	uint32_t threads;
	uint32_t rounds;
	double *ns; /* of each round; sorted before they are shown */
};

/* measure.c */
extern uint32_t bench_capacity;           /* N of this process */
extern uint32_t bench_tags[BENCH_STAGES]; /* interned stages */
void bench_start(const struct rpcprof_config *config);
double bench_thread_ns(void);
/* One round: thread CPU time per operation, ns. */
double bench_measure(const struct bench_case *test, uint32_t threads);

/* process.c */
struct bench_process *bench_process_start(const char *command);
bool bench_process_has(const struct bench_process *process, const char *name);
/* Writes a line, reads so many numbers. */
void bench_process_ask(struct bench_process *process, const char *line, double *answers,
                       unsigned count);
double bench_process_round(struct bench_process *process, const char *name);
void bench_process_stop(struct bench_process *process);
int bench_serve(const struct bench_case *cases);

/* report.c */
void bench_print_table(const struct bench_row *rows, size_t count);
void bench_print_json(const struct bench_row *rows, size_t count);
void bench_print_targets(const struct bench_row *rows, size_t count);
/* The minimum of a row's, and the ratio to its peer's; 0 = there is none. */
double bench_ratio(const struct bench_row *rows, size_t count, const struct bench_row *row);

/* Operations that several tables have. */
uint64_t bench_floor_rpc8(uint64_t count, uint32_t thread);
uint64_t bench_rpc8(uint64_t count, uint32_t thread);
uint64_t bench_drain(uint64_t count, uint32_t thread);
uint64_t bench_snapshot(uint64_t count, uint32_t thread);

/* export.c: the length of what metrics_write wrote; 0: it did not run */
extern size_t bench_metrics_bytes;
/* export.c: the profile of pprof_sample into a file; an exit status */
int bench_write_samples(const char *path);

/* growth.c: a table of each plot, and the plots in the directory; an exit status */
int bench_growth(const char *directory, const char *only);

#endif
