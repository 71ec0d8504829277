/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_LAYOUT_H
#define RPCPROF_LAYOUT_H

/*
 * The words that inlined recording code touches. Not an interface: use stat.h, timer.h and
 * view.h. They are exposed because a function call per clock read costs more than the rest of a
 * timer does, and frozen because callers compile them in: a change here is a new SONAME.
 *
 * Every shared word is a plain fixed-width integer accessed by the __atomic builtins (C++17 has no
 * _Atomic). docs/design.md lists who writes each, who reads it and what it guards.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define RPCPROF_CACHE_LINE 64

/* The low half of a handle names a cell, and a timer in it: RPCPROF_CELL_SLOTS * cell + slot. */
#define RPCPROF_CELL_SLOTS 32

/* One stage of a call. 32 bytes. */
struct rpcprof_timer_slot {
	uint64_t stamp;  /* the Stat's handle + (RPCPROF_BY_OWNER | tag), no carry; stored last
	                  * (release); in an accumulator: generation << 32 | tag */
	uint64_t begin;  /* ticks; in an accumulator: total ticks */
	uint64_t end;    /* ticks, 0 = open; in an accumulator: the longest, ticks */
	uint64_t thread; /* kernel thread id, unless RPCPROF_BY_OWNER; in an accumulator: how many
	                  * timers */
};

/* In a stamp: the thread that began the timer is the one that began the Stat. */
#define RPCPROF_BY_OWNER (1u << 31)

/* In a handle of a timer: it is folded. Generations stay below. */
#define RPCPROF_FOLDED (UINT64_C(1) << 63)

/* Generation-tagged states of a cell: seq = generation << 2 | state. */
enum rpcprof_cell_state { RPCPROF_FREE = 0, RPCPROF_LIVE = 1, RPCPROF_DONE = 2 };

#define RPCPROF_LABELS_MAX 4
#define RPCPROF_METADATA_MAX 32

/* One Stat in place: a header of three cache lines, then timers to the end of the cell.
 *
 * Attributes carry the generation in the high half of their own (commit) word, so that begin need
 * not clear them and setting one is one store. */
struct rpcprof_cell {
	/* Line 0: what begin, every timer and end touch. */
	uint64_t seq;   /* generation << 2 | state */
	uint64_t key;   /* handle ^ id of the thread that began it, the owner, while that one may
	                 * take the short way (live, raw clock); then with bit 63 set; 0 = none */
	uint64_t refs;  /* generation << 32 | discarded << 31 | references */
	uint64_t slots; /* generation << 32 | timer slots handed out, in order */
	uint64_t begin; /* ticks; free in the depot: next cell << 32 | next chain */
	uint64_t end;   /* ticks; while live: the begin of a folded open lap */
	uint32_t own_next;  /* next slot of the owner's grant; only the owner's thread touches it */
	uint32_t own_limit; /* end of that grant */
	uint32_t open_lap;  /* 1 + slot of the open lap, 0 = none; only laps and the end touch it */
	uint32_t tag;       /* side: the Stat's own tag */
	/* Line 1: attributes that most calls have. */
	uint64_t method;        /* generation << 32 | tag */
	uint64_t status;        /* generation << 32 | status */
	uint64_t metadata_word; /* generation << 32 | bytes */
	uint64_t label_word;    /* generation << 32 | labels */
	uint64_t metadata[RPCPROF_METADATA_MAX / 8];
	/* Line 2: attributes that some calls have. */
	uint64_t trace_word;  /* generation << 32 | 1 */
	uint64_t trace_id[2]; /* in memory order of the 16 bytes */
	uint64_t span_id;     /* in memory order of the 8 bytes */
	uint64_t labels[RPCPROF_LABELS_MAX]; /* key tag << 32 | value tag */
	/* struct rpcprof_timer_slot follows, to the end of the cell: rpcprof_cell_timers() */
};

/** The timers of a cell. (C++ has no flexible array member.) */
static inline struct rpcprof_timer_slot *rpcprof_cell_timers(const struct rpcprof_cell *cell)
{
	return (struct rpcprof_timer_slot *)(uintptr_t)(cell + 1);
}

/* The last five slots of a cell take over when the others are full: one accumulator for each of
 * the first four tags, and one for every tag after them. */
#define RPCPROF_ACCUMULATORS 5

/* Where inlined code finds the arena: written once by rpcprof_init, before the switch goes on. */
struct rpcprof_arena_base {
	char *cells;        /* cell 0; points at an empty cell until init */
	uint64_t scale;     /* bytes of a cell / RPCPROF_CELL_SLOTS: takes the low half of a Stat's
	                     * handle to the cell's offset */
	uint32_t capacity;  /* timer slots of a cell without the accumulators */
	uint32_t grant;     /* slots that the owner may fill without a claim; 0: no short way */
};
extern struct rpcprof_arena_base rpcprof_arena;

/* What inlined code needs of the calling thread; the rest of its state is the library's. */
struct rpcprof_thread_id {
	uint64_t id; /* kernel thread id; 0 until its first record */
};
extern __thread struct rpcprof_thread_id rpcprof_thread
	__attribute__((tls_model("initial-exec")));

/*
 * The switch and what else an outsider may look at. Part of the library's data, alone on its
 * page, so that a shared page can be mapped over it. Never aliased, never bound symbolically.
 */
#if defined(__aarch64__)
#define RPCPROF_CONTROL_BYTES 65536
#else
#define RPCPROF_CONTROL_BYTES 4096
#endif

struct rpcprof_control_head {
	uint64_t magic;        /* stored last by init (release) */
	uint32_t version;      /* of the layout */
	uint32_t byte_order;   /* 0x01020304 as the writer stores it */
	uint32_t enabled;      /* the switch */
	uint32_t clock_kind;   /* enum rpcprof_clock_kind in use; 0 until init */
	uint64_t tag_epoch;    /* changes when cached tag ids become void; 0 until init */
};

union rpcprof_control {
	struct rpcprof_control_head head;
	unsigned char page[RPCPROF_CONTROL_BYTES];
};
extern union rpcprof_control rpcprof_control_page;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
