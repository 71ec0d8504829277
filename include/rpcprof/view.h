/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_VIEW_H
#define RPCPROF_VIEW_H

/*
 * Reading Stats: drain (take), collect (take for profiles, keep for dumps), snapshot (look), and
 * the calls in flight.
 *
 * All deliver borrowed views by callback: a view and what it points at are good until the
 * callback returns. Ticks become nanoseconds by rpcprof_clock_map_get().
 */
#include "rpcprof/stat.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** One Stat to look at. Use the accessors. */
struct rpcprof_view {
	const struct rpcprof_cell *cell; /* the cell itself when drained, else a private copy */
	uint32_t generation;
	uint32_t slots; /* timer slots that may hold a timer: iterate i from 0 to slots - 1 */
	uint64_t id;    /* generation << 32 | cell: identifies the Stat while the process lives */
};

/** One timer of a view. */
struct rpcprof_timer_view {
	uint32_t tag;
	uint32_t thread; /* kernel thread id that began it */
	uint64_t begin;  /* ticks */
	uint64_t end;    /* ticks; 0 = open when looked at, or never ended */
};

/** The timers of one tag that found the cell full. */
struct rpcprof_fold_view {
	uint32_t tag; /* RPCPROF_TAG_OTHER for the fifth such tag and on */
	uint64_t count;
	uint64_t total_ticks;
	uint64_t longest_ticks;
};

/** Receives one view; 0 to go on, anything else to stop. */
typedef int rpcprof_view_fn(void *arg, const struct rpcprof_view *view);

/* A view's cell does not change, but for a Stat in flight, whose copy is private: plain loads. */
static inline uint64_t rpcprof_view_begin(const struct rpcprof_view *view)
{
	return view->cell->begin;
}

/** Ticks; 0 for a Stat in flight. */
static inline uint64_t rpcprof_view_end(const struct rpcprof_view *view)
{
	return view->cell->end;
}

/** RPCPROF_TAG_SERVER, RPCPROF_TAG_CLIENT, or the user's. */
static inline uint32_t rpcprof_view_side(const struct rpcprof_view *view)
{
	return view->cell->tag;
}

/** What may be set on a Stat: for rpcprof_view_has(). */
enum rpcprof_attribute {
	RPCPROF_HAS_METHOD,
	RPCPROF_HAS_STATUS,
	RPCPROF_HAS_METADATA,
	RPCPROF_HAS_LABELS,
	RPCPROF_HAS_TRACE
};

/** Whether an attribute was set. */
static inline bool rpcprof_view_has(const struct rpcprof_view *view,
                                    enum rpcprof_attribute attribute)
{
	const struct rpcprof_cell *cell = view->cell;
	uint64_t word = attribute == RPCPROF_HAS_METHOD     ? cell->method
	                : attribute == RPCPROF_HAS_STATUS   ? cell->status
	                : attribute == RPCPROF_HAS_METADATA ? cell->metadata_word
	                : attribute == RPCPROF_HAS_LABELS   ? cell->label_word
	                                                    : cell->trace_word;
	return (uint32_t)(word >> 32) == view->generation;
}

/** The method's tag; 0 = not set. */
static inline uint32_t rpcprof_view_method(const struct rpcprof_view *view)
{
	return rpcprof_view_has(view, RPCPROF_HAS_METHOD) ? (uint32_t)view->cell->method : 0;
}

/** The status; 0 also if not set: ask rpcprof_view_has(view, RPCPROF_HAS_STATUS). */
static inline int32_t rpcprof_view_status(const struct rpcprof_view *view)
{
	return rpcprof_view_has(view, RPCPROF_HAS_STATUS) ? (int32_t)(uint32_t)view->cell->status
	                                                  : 0;
}

/**
 * Timer i of a view, in slot order, which for one thread is the order of their begins.
 *
 * @param i    0 .. view->slots - 1
 * @return     false if the slot holds none: go on with the next
 */
static inline bool rpcprof_view_timer(const struct rpcprof_view *view, uint32_t i,
                                      struct rpcprof_timer_view *out)
{
	const struct rpcprof_timer_slot *slot = &rpcprof_cell_timers(view->cell)[i];
	if ((uint32_t)(slot->stamp >> 32) != view->generation)
		return false;
	out->tag = (uint32_t)(slot->stamp - view->id);
	out->thread = (out->tag & RPCPROF_BY_OWNER) != 0
	                      ? (uint32_t)(view->cell->key ^ view->id)
	                      : (uint32_t)slot->thread;
	out->tag &= ~RPCPROF_BY_OWNER;
	out->begin = slot->begin;
	out->end = slot->end;
	return true;
}

/** How many timers of the view were folded; 0 = no folds to ask for. */
uint64_t rpcprof_view_folded(const struct rpcprof_view *view);

/**
 * Fold i of a view.
 *
 * @param i    0 .. RPCPROF_ACCUMULATORS - 1
 * @return     false if there is none at i: go on with the next
 */
bool rpcprof_view_fold(const struct rpcprof_view *view, uint32_t i, struct rpcprof_fold_view *out);

/** Label i: its key and value tags; false if there is none at i (0 .. RPCPROF_LABELS_MAX - 1). */
bool rpcprof_view_label(const struct rpcprof_view *view, uint32_t i, uint32_t *key,
                        uint32_t *value);

/** The metadata and its length in bytes; 0 if not set. */
const uint8_t *rpcprof_view_metadata(const struct rpcprof_view *view, size_t *bytes);

/** The connection and number that rpcprof_stat_set_connection() set; false if not set so. */
bool rpcprof_view_connection(const struct rpcprof_view *view, uint64_t *connection,
                             uint32_t *number);

/** The trace context; false if not set. */
bool rpcprof_view_trace(const struct rpcprof_view *view, uint8_t trace_id[16], uint8_t span_id[8]);

/** The tag of the latest-begun timer that is open; 0 if none is. For Stats in flight. */
uint32_t rpcprof_view_open_stage(const struct rpcprof_view *view);

/**
 * Takes every finished Stat out, once, oldest first within a shard, and delivers it.
 *
 * What several drainers take at once is split among them; each Stat goes to exactly one. If fn
 * stops, the Stat it stopped at counts as drained and the others stay.
 *
 * @return  how many were delivered, or -ENODEV before rpcprof_init()
 *
 * Threads:  any number, beside any number of recorders
 * Progress: lock-free; allocates: never
 */
int64_t rpcprof_drain(rpcprof_view_fn *fn, void *arg);

/**
 * As rpcprof_drain(), but the Stats stay in the dump: each goes once to a collector and then to
 * the second ring, the history, where snapshots and drains still find it.
 *
 * Meant for one exporter. From the first call until rpcprof_collect_stop(), Stats that are
 * displaced before any collector saw them are counted (unaggregated). With single_ring it is
 * rpcprof_drain().
 */
int64_t rpcprof_collect(rpcprof_view_fn *fn, void *arg);

/** No collector comes any more: unaggregated stops counting. */
void rpcprof_collect_stop(void);

/** How many Stats wait to be collected, about; for pacing. */
uint64_t rpcprof_collect_backlog(void);

/** What to look at. Set size; all else 0 means everything. */
struct rpcprof_filter {
	size_t size;              /* sizeof(struct rpcprof_filter) */
	uint32_t last;            /* at most so many, the latest to end; 0 = capacity */
	uint32_t side;            /* tag of the Stat */
	uint32_t method;          /* tag */
	uint32_t by_status;       /* 1: only Stats with this status */
	int32_t status;
	uint32_t unordered;       /* 1: no sort; `last` is then ignored */
	uint64_t min_duration_ns; /* at least so long */
};

/**
 * Looks at the last N finished Stats without taking them, in order of their ends, oldest first.
 *
 * Never writes to the arena. A Stat that is displaced while being looked at is left out and
 * counted (torn); one that a collector has in hand at that very moment may be left out too.
 *
 * @param filter  NULL for everything
 * @return        how many were delivered; -ENODEV before rpcprof_init(); -ENOMEM: no room to
 *                sort; -EINVAL: filter->size is not known
 *
 * Threads:  any number, beside recorders and drainers
 * Progress: wait-free but for memory; allocates: 1 bit per cell and, unless unordered, 16 bytes
 *           per Stat
 */
int64_t rpcprof_snapshot(const struct rpcprof_filter *filter, rpcprof_view_fn *fn, void *arg);

/**
 * Looks at the calls that are not finished. Their age: rpcprof_clock_now() - rpcprof_view_begin().
 *
 * @param filter  as rpcprof_snapshot(); last, status and unordered are ignored
 *
 * Threads:  any number
 * Progress: wait-free; allocates: never. Visits every cell ever used
 */
int64_t rpcprof_inflight(const struct rpcprof_filter *filter, rpcprof_view_fn *fn, void *arg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
