/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_EXPORTER_INTERNAL_H
#define RPCPROF_EXPORTER_INTERNAL_H

/*
 * Locks, in the order in which they are taken:
 *
 *   lifecycle (exporter.c)   start and stop
 *   profiles (exporter_profile.c)  rpcprof_profile_encode() and waits.c; what replaces the
 *                            aggregate
 *   collector (exporter_collect.c) the aggregate: collections, and taking differences
 *   state (exporter.c)       what the thread and its callers tell each other
 *   channel (channel.c)      file numbers; nothing else is taken under it, and fork() takes it
 *
 * No file is written and no callback called under the collector's.
 */
#include "export/directory_internal.h"
#include "export/window_internal.h"
#include "rpcprof/backend.h"

/* The process's one aggregate, and who feeds it. */

/* Makes the aggregate, or takes the one there is if its options are the same; else replaces it,
 * and the profiles of before with it. The first to be made has what waited to be collected. */
int rpcprof_collector_open(const struct rpcprof_aggregate_options *options);
bool rpcprof_collector_is_open(void);
const struct rpcprof_aggregate *rpcprof_collector_aggregate(void);

/* Changes when the aggregate is replaced; its address may come back. */
uint64_t rpcprof_collector_epoch(void);

/* Who collects again and again says so: when the last of them ends, displaced Stats no longer count
 * as unaggregated. */
void rpcprof_collector_begin(void);
void rpcprof_collector_end(void);

/* Takes in what has ended; in_flight_until != 0: and the parts of calls in flight up to that tick.
 * Returns how many had ended, or -ENODEV. */
int64_t rpcprof_collector_collect(uint64_t in_flight_until);
/* Monotonic: when anybody did last; 0: nobody yet. */
int64_t rpcprof_collector_collected_ns(void);

/* Calls that ended and are in no profile, since rpcprof_init(). */
uint64_t rpcprof_collector_unaggregated(void);

/* rpcprof_reader_take() under the lock. */
bool rpcprof_collector_take(struct rpcprof_reader *reader, int64_t begin_ns, int64_t end_ns,
                            struct rpcprof_profile *profile);
void rpcprof_collector_totals(struct rpcprof_aggregate_totals *totals);

/* Nothing is taken in while the lock is held. NULL: not open. */
const struct rpcprof_aggregate *rpcprof_collector_lock(void);
void rpcprof_collector_unlock(void);

/* In a forked child: none of it was ever there. */
void rpcprof_collector_forget(void);
void rpcprof_profiles_forget(void);

/* rpcprof_collector_open() while no profile is being made. If it replaces the aggregate (*kept
 * false), the next profile has what comes from then on. */
int rpcprof_profiles_reopen(const struct rpcprof_aggregate_options *options, bool *kept);

/* Makes the aggregate, with the default options, if there is none. 0 or a negative errno. */
int rpcprof_profiles_ensure(void);

/* Takes in what has ended, and keeps the aggregate from being replaced until the end. 0 or a
 * negative errno, and there is nothing to end. */
int rpcprof_profiles_begin(void);
void rpcprof_profiles_end(void);

/* Profiles of all that happens from open, or the process's first call, to take, and from then to the
 * next take, beside all others. Whoever has one collects (rpcprof_collector_collect()) while it is
 * open, at the pace below. 0 or a negative errno; take: -ENODATA: no call; -ESTALE: an exporter that
 * was started meanwhile began anew. */
enum rpcprof_period_begin { RPCPROF_PERIOD_FROM_NOW, RPCPROF_PERIOD_FROM_START };
struct rpcprof_period;
int rpcprof_period_open(struct rpcprof_period **period, enum rpcprof_period_begin begin);
int rpcprof_period_take(struct rpcprof_period *period, struct rpcprof_profile *profile);
/* After -ENODATA: the profile all the same, without samples. */
int rpcprof_period_make(struct rpcprof_period *period, struct rpcprof_profile *profile);
/* Puts back what was taken last: the next profile will have it. */
void rpcprof_period_undo(struct rpcprof_period *period, const struct rpcprof_profile *profile);
void rpcprof_period_close(struct rpcprof_period *period);

/* How long until the next collection. */
struct rpcprof_pace {
	uint64_t capacity;      /* of the ring */
	int64_t last_ns;        /* monotonic time of the last collection */
};

void rpcprof_pace_open(struct rpcprof_pace *pace, uint64_t capacity, int64_t now_ns);

/* After a collection of `collected` calls: nanoseconds until about a quarter of the ring will be
 * full; at least 1 ms, at most 1 s and what a sudden burst needs to fill three quarters. */
int64_t rpcprof_pace_next(struct rpcprof_pace *pace, uint64_t collected, int64_t now_ns);

/* One exporter, apart from its thread: a test steps it. */
struct rpcprof_exporter {
	struct rpcprof_directory directory; /* path NULL: none */
	rpcprof_window_fn *on_window;
	void *on_window_arg;
	struct rpcprof_backend wall; /* ours, and its readers */
	struct rpcprof_reader to_directory; /* takes back what could not be written */
	struct rpcprof_reader to_callback;
	bool kept; /* the aggregate was there before */
	const struct rpcprof_backend *backends[1 + RPCPROF_BACKENDS_MAX]; /* that are open */
	uint32_t backend_count;
	struct rpcprof_window window;
	struct rpcprof_pace pace;
	struct rpcprof_exporter_stats stats; /* read and written under the state lock */
	bool warned;     /* of series */
	int last_result; /* of closing the last window: 0 or a negative errno */
};

/* config: with defaults filled in. 0 or a negative errno. */
int rpcprof_exporter_open(struct rpcprof_exporter *exporter,
                          const struct rpcprof_exporter_config *config);
void rpcprof_exporter_close(struct rpcprof_exporter *exporter);
/* In a forked child: backends other than ours go on in the parent. */
void rpcprof_exporter_forget(struct rpcprof_exporter *exporter);

/* Collects; closes the window if it is due or `flush`. Returns the nanoseconds until the next. */
int64_t rpcprof_exporter_step(struct rpcprof_exporter *exporter, bool flush);

/* Makes exporter->wall. */
void rpcprof_exporter_wall(struct rpcprof_exporter *exporter);
#define RPCPROF_WALL_NAME "wall"

/* Under the lifecycle lock: what an exporter that is opened has beside ours. */
int rpcprof_backends_add(const struct rpcprof_backend *backend);
int rpcprof_backends_remove(const struct rpcprof_backend *backend);

/* Ours and those added. report: the first error. */
int rpcprof_backends_open(struct rpcprof_exporter *exporter);
int rpcprof_backends_report(struct rpcprof_exporter *exporter, int64_t begin_ns, int64_t end_ns);
void rpcprof_backends_close(struct rpcprof_exporter *exporter);

/* Where a profile goes, if there is such a place. 0 or a negative errno, logged and counted. */
int rpcprof_exporter_to_directory(struct rpcprof_exporter *exporter,
                                  const struct rpcprof_window_profile *profile);
int rpcprof_exporter_to_callback(struct rpcprof_exporter *exporter,
                                 const struct rpcprof_window_profile *profile);

/* A copy with the defaults filled in. 0 or -EINVAL, logged. */
int rpcprof_exporter_complete(struct rpcprof_exporter_config *full,
                              const struct rpcprof_exporter_config *config);

/* The label with the most values among the first `series` of an aggregate. */
const char *rpcprof_exporter_widest_label(const struct rpcprof_aggregate *aggregate,
                                          uint32_t series);

void rpcprof_exporter_state_lock(void);
void rpcprof_exporter_state_unlock(void);

/* Once per process, before anything else here: what a fork does to all of it. */
void rpcprof_exporter_watch_forks(void);

#define RPCPROF_AGGREGATE_BYTES_DEFAULT (8u << 20)

#endif
