/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

/* One thing to measure. */
struct bench_case {
	const char *name;
	/* Does the operation `count` times on thread `thread` of `threads`. Returns how many were
	 * done, if that is not count. */
	uint64_t (*run)(uint64_t count, uint32_t thread);
	const char *peer;  /* the case that `ratio` divides by; NULL: none */
	uint64_t count;    /* operations in one round, per thread */
	uint32_t max_threads; /* 1: only one; else measured at 1, 2 and 4 */
	int on;            /* whether the switch is on */
	void (*before)(void); /* not timed, before each round; NULL: nothing */
};

/* Each file's cases, ended by one without a name. */
extern const struct bench_case bench_floor[], bench_record[], bench_read[], bench_export[];

#define BENCH_STAGES 32
extern uint32_t bench_tags[BENCH_STAGES]; /* interned stages, 8 in use and more */

#endif
