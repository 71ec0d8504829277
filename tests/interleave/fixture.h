/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_FIXTURE_H
#define RPCPROF_FIXTURE_H

/*
 * A small arena for the cases, and the library's thread-local state for each simulated thread.
 */
#include "engine.h"
#include "stats/read_internal.h"
#include "stats/stat_internal.h"

#define GRANT 4 /* slots of a new Stat that its owner may fill without a claim; a cell has 5 */

/* What an execution has seen, zeroed before each. Plain: threads take turns. */
struct execution {
	unsigned out[32]; /* how often each value came out */
	uint64_t kept[3][4];
};
extern struct execution execution;

/* An empty arena: rings of one block slot each and `ring` blocks or more, cells of 512 bytes. The
 * caller is thread 0 now. */
void fixture_arena(bool history);

/* In setup: what follows is done by that thread. */
void fixture_be(int thread);

/* Stat number n has n in its tag, and all ticks say so too. */
struct rpcprof_stat fixture_begin(uint32_t n);

/* Its method, its metadata and one timer. */
void fixture_fill(struct rpcprof_stat stat, uint32_t n);

void fixture_end(struct rpcprof_stat stat, uint32_t n);

/* Requires a cell that is all of number n, filled and ended. */
void fixture_whole(const struct rpcprof_cell *cell, uint32_t n);

/* A finished timer of a thread that did not begin the Stat, with explicit ticks. */
void fixture_append(struct rpcprof_stat stat, uint32_t tag, uint64_t begin, uint64_t end);

/* The sum of execution.out. */
unsigned fixture_out(void);

/* Cells that lie in the depot, by the links. */
unsigned fixture_depot_cells(void);

#endif
