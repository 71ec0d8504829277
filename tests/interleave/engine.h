/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_ENGINE_H
#define RPCPROF_ENGINE_H

/*
 * What is run in every interleaving: two or three threads of the real code over prepared memory.
 */
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALL (-1)

struct interleave_case {
	const char *name;
	int threads;           /* 2 or 3 */
	/* How far the search goes. Either within bounds, exhaustively: so many switches away from a
	 * thread that could go on, and loads that give values so much older than the newest, in
	 * all; ALL: any number. Or so many executions at random, if that is not 0. */
	int switches, stale;
	uint64_t random;
	void (*setup)(void);   /* once, alone: every execution begins with the memory it leaves */
	void (*thread)(int number);
	void (*check)(void);   /* after each execution; sees everything. May be NULL */
};

/* Ends the search: the case has failed. */
void interleave_fail(const char *what, const char *file, int line);
#define REQUIRE(condition)                                                                     \
	((condition) ? (void)0 : interleave_fail(#condition, __FILE__, __LINE__))

/* Two 32-bit words that some code reads or writes as one: two words to the search. */
void interleave_split(const void *both);

/* Words that one thread at a time stores to. A store there must come after the last thread's by
 * some release and acquire: else the two may take effect in the other order, which Relacy, where
 * stores take effect as they are executed, would not show. */
void interleave_owned(const void *first, uint64_t bytes);

/* The fixture's: before each execution; and when another simulated thread goes on (-1: none). */
void interleave_begin(void);
void interleave_switch(int from, int to);

/* Every file of cases has one; ended by an empty name. */
extern const struct interleave_case buffer_cases[], stat_cases[], cell_cases[], tag_cases[],
	control_cases[], grpc_cases[], lock_cases[], holder_cases[];

#ifdef __cplusplus
}
#endif
#endif
