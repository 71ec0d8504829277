/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_ARENA_INTERNAL_H
#define RPCPROF_ARENA_INTERNAL_H

/*
 * The arena: one mapping that holds everything a reader needs.
 *
 *   control page | depot, counters of threads | ring `fresh` | ring `history` | cells | tags
 *
 * Fixed-width integers only, links are offsets, and all-zero memory is a valid empty arena, so
 * that sharing it is a change of mmap's arguments. In private memory the control page is
 * rpcprof_control_page itself, and the mapping's first page stays untouched.
 */
#include "atomic_internal.h"
#include "rpcprof/buffer.h"
#include "rpcprof/control.h"
#include "rpcprof/layout.h"
#include "rpcprof/timer.h"
#include "timers/clock_internal.h"
#include "timers/tags_internal.h"

#define LINE_PAIR 128 /* what the spatial prefetcher fetches together */
#define CHAIN_CELLS 16
#define STASH_MAX 32
#define THREAD_SLOTS 512
#define LOCK_SLOTS 256 /* a power of two */
#define GRANT_FIRST 8 /* slots of a new Stat that its owner may fill without a claim */
#define GRANT_NEXT 8  /* and at every claim after */
#define REFS_DISCARDED (1u << 31)
#define GENERATION_MAX 0x3fffffffu /* bits 62 and 63 of handles and keys say other things */
#define KEY_CLOSED (UINT64_C(3) << 62) /* no handle has bit 62 set, a folded timer's neither */

#define MAGIC UINT64_C(0x666f727063707200) /* "\0rpcprof" in memory, little endian */

/* What one thread counts: written by it alone, summed by readers. A slot keeps its totals when
 * its thread exits and the next thread goes on from there, so that sums never go back. */
struct rpcprof_thread_counters {
	uint32_t thread; /* kernel thread id of the owner; 0 = free */
	uint32_t reserved;
	uint64_t pushed;
	uint64_t displaced;
	uint64_t unaggregated;
	uint64_t folded;
	uint64_t fill[LINE_PAIR / 8 - 5];
};

/* What is counted rarely, by anyone. */
struct rpcprof_shared_counters {
	uint64_t drained, collected, discarded, dropped_no_cell, dropped_timers;
	uint64_t late, double_ends, torn, negative;
	uint64_t fill[LINE_PAIR / 8 - 9];
};

/* Waits for one lock outside of calls. By whoever waited: a line of its own each. */
struct rpcprof_lock_sums {
	uint64_t tag; /* 0 = free; else claimed for good */
	uint64_t count;
	uint64_t delay_ns;
	uint64_t fill[RPCPROF_CACHE_LINE / 8 - 3];
};

/* Words of different writers on lines of their own. */
struct rpcprof_arena_shared {
	uint64_t depot; /* tag << 32 | unit of the first chain's first cell */
	uint64_t fill0[LINE_PAIR / 8 - 1];
	uint64_t bump; /* cells ever used, without the null cell; may run past the end */
	uint64_t fill1[LINE_PAIR / 8 - 1];
	uint64_t history_stats; /* how many Stats are in the history */
	uint64_t threads;       /* registered and alive */
	uint64_t fill2[LINE_PAIR / 8 - 2];
	struct rpcprof_shared_counters counters;
	struct rpcprof_thread_counters thread[THREAD_SLOTS + 1]; /* last: threads without one */
	struct rpcprof_lock_sums locks[LOCK_SLOTS + 1]; /* last: "(other)", those without one */
};

/* All of the control page. What follows the head is for readers and for this process. */
struct rpcprof_control_body {
	struct rpcprof_control_head head;
	uint32_t pid;
	uint32_t finished;
	uint32_t collecting; /* a collector has come and not stopped */
	uint64_t total_bytes;
	uint64_t shared_offset, fresh_offset, history_offset, cells_offset, tags_offset;
	uint64_t cells;      /* the null cell included */
	uint32_t cell_bytes;
	uint32_t capacity, max_in_flight;
	uint32_t generation; /* of a cell's first use: other after a fork, so that the parent's
	                      * handles mean nothing in the child */
	struct rpcprof_clock_state clock;
};
_Static_assert(sizeof(struct rpcprof_control_body) <= 4096, "the control page is one page");

static inline struct rpcprof_control_body *rpcprof_control(void)
{
	return (struct rpcprof_control_body *)(void *)&rpcprof_control_page;
}

/* This process's view of the arena: where it is mapped. Written once, before the switch. */
struct rpcprof_arena_map {
	char *base; /* NULL until init */
	struct rpcprof_arena_shared *shared;
	struct rpcprof_buffer fresh;
	struct rpcprof_buffer history; /* memory NULL: single_ring */
	struct rpcprof_config config;
};
extern struct rpcprof_arena_map rpcprof_map;

/* The library's own state of a thread, beside rpcprof_thread. */
struct rpcprof_thread_state {
	uint32_t busy;    /* inside the stash: a signal handler must keep out; stays 1 after its
	                   * exit handler has run */
	uint32_t stashed; /* cells in `stash` */
	uint32_t stash_limit;
	uint32_t registered;
	struct rpcprof_thread_counters *counters; /* its own; NULL: counts with the others */
	uint32_t stash[STASH_MAX];
};
extern __thread struct rpcprof_thread_state rpcprof_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
_Static_assert(sizeof(struct rpcprof_thread_state) + sizeof(struct rpcprof_thread_id) <= 256,
               "thread state stays within 256 bytes");

static inline struct rpcprof_cell *rpcprof_cell_of(uint32_t unit)
{
	return rpcprof_cell_at_(unit);
}

/* The low half of a Stat's handle in a cell. */
static inline uint32_t rpcprof_cell_unit(uint64_t cell)
{
	return (uint32_t)cell * RPCPROF_CELL_SLOTS;
}

/* The halves of a Stat's handle, which is also its value in a ring and the id of its view. */
static inline uint32_t rpcprof_unit(struct rpcprof_stat stat)
{
	return (uint32_t)stat.bits;
}

static inline uint32_t rpcprof_generation(struct rpcprof_stat stat)
{
	return (uint32_t)(stat.bits >> 32);
}

static inline uint64_t rpcprof_seq(uint32_t generation, enum rpcprof_cell_state state)
{
	return (uint64_t)generation << 2 | state;
}

static inline uint64_t rpcprof_word(uint32_t generation, uint32_t low)
{
	return (uint64_t)generation << 32 | low;
}

/* Whether a handle's Stat is live. acquire (A1) pairs with S2: what begin stored is there. */
static inline bool rpcprof_cell_is_live(const struct rpcprof_cell *cell, uint32_t generation)
{
	return rpcprof_load_acquire(&cell->seq) == rpcprof_seq(generation, RPCPROF_LIVE);
}

#define rpcprof_count(name) ((void)rpcprof_add_relaxed(&rpcprof_map.shared->counters.name, 1))

/* cells.c: who owns which cell. */
uint32_t rpcprof_cell_take_slow(void);
void rpcprof_cell_give_unstashed(uint32_t unit);
void rpcprof_stash_spill(struct rpcprof_thread_state *self);
void rpcprof_stash_flush(void);
uint64_t rpcprof_history_oldest(void);

/* A cell from the thread's stash; 0 = there is none, or a signal handler must keep out. */
static inline uint32_t rpcprof_stash_take(void)
{
	struct rpcprof_thread_state *self = &rpcprof_self;
	uint32_t unit = 0;

	if (__builtin_expect(self->busy, 0))
		return 0;
	/* First busy, then a look at the stash: a handler that comes between may change it. */
	self->busy = 1;
	rpcprof_fence_signal();
	if (__builtin_expect(self->stashed != 0, 1))
		unit = self->stash[--self->stashed];
	rpcprof_fence_signal();
	self->busy = 0;
	return unit;
}

/* A cell to record into; 0 = none to be had. */
static inline uint32_t rpcprof_cell_take(void)
{
	uint32_t unit = rpcprof_stash_take();

	return unit != 0 ? unit : rpcprof_cell_take_slow();
}

/* A cell comes back, DONE or FREE, out of every ring. */
static inline void rpcprof_cell_give(uint32_t unit)
{
	struct rpcprof_thread_state *self = &rpcprof_self;

	if (__builtin_expect(self->busy, 0)) {
		rpcprof_cell_give_unstashed(unit);
		return;
	}
	self->busy = 1; /* first, as in rpcprof_stash_take() */
	rpcprof_fence_signal();
	if (__builtin_expect(self->stashed >= self->stash_limit, 0))
		rpcprof_stash_spill(self);
	self->stash[self->stashed++] = unit;
	rpcprof_fence_signal();
	self->busy = 0;
}

/* threads.c: what a thread is to us. */
void rpcprof_thread_register(void);
void rpcprof_threads_init(void);

/* Adds to a counter of the calling thread, `word` of struct rpcprof_thread_counters. */
static inline void rpcprof_thread_count(size_t word, uint64_t amount)
{
	struct rpcprof_thread_counters *own = rpcprof_self.counters;

	/* One instruction, so that a signal handler of this thread loses no count; no other thread
	 * writes here... */
	if (__builtin_expect(own != NULL, 1)) {
		rpcprof_add_unlocked((uint64_t *)(void *)own + word, amount);
		return;
	}
	/* ...but to the slot that threads without one share. */
	own = &rpcprof_map.shared->thread[THREAD_SLOTS];
	(void)rpcprof_add_relaxed((uint64_t *)(void *)own + word, amount);
}
#define rpcprof_count_mine(name, amount)                                                       \
	rpcprof_thread_count(offsetof(struct rpcprof_thread_counters, name) /                  \
	                             sizeof(uint64_t),                                         \
	                     amount)

/* fork.c */
void rpcprof_fork_init(void);

/* control.c: whether rpcprof_init() has succeeded. */
bool rpcprof_started(void);

/* log.c */
void rpcprof_log_init(const struct rpcprof_config *config);

#endif
