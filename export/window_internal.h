/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_WINDOW_INTERNAL_H
#define RPCPROF_WINDOW_INTERNAL_H

/* Windows of time, and the profile of one. */
#include "export/aggregate_internal.h"

/*
 * When a window ends: at the next multiple of the interval on the wall clock. A step of the wall
 * clock ends it at once, so that no window spans one: its length is then the monotonic clock's.
 */
struct rpcprof_window {
	int64_t interval_ns;
	int64_t begin_ns;  /* UTC */
	int64_t offset_ns; /* UTC - monotonic when last looked at */
};

struct rpcprof_window_now {
	int64_t utc_ns;
	int64_t monotonic_ns;
};

void rpcprof_window_open(struct rpcprof_window *window, const struct rpcprof_window_now *now,
                         int64_t interval_ns);

/* Whether it ends now. To be asked every second or so: slew is followed, steps are seen. */
bool rpcprof_window_due(struct rpcprof_window *window, const struct rpcprof_window_now *now);

/* Ends it, due or not: gives its true bounds and begins the next, at *end_ns unless the clock
 * stepped. Woken late it ends at the last multiple passed. */
void rpcprof_window_next(struct rpcprof_window *window, const struct rpcprof_window_now *now,
                         int64_t *begin_ns, int64_t *end_ns);

/* Nanoseconds until it is due, >= 0. */
int64_t rpcprof_window_wait(const struct rpcprof_window *window,
                            const struct rpcprof_window_now *now);

/* Someone who takes profile after profile. */
struct rpcprof_reader {
	struct rpcprof_consumer consumer;
	int64_t begin_ns;      /* of what it takes next */
	int64_t length_ns;     /* of windows that were taken back and belong to the next */
	uint64_t unaggregated; /* total up to what it took last */
	uint64_t overflow;
};

/* What there is to know of a profile beside its sums. */
struct rpcprof_profile {
	int64_t begin_ns;
	int64_t length_ns;
	uint64_t unaggregated;
	uint64_t overflow;
	uint8_t *bytes; /* malloc'ed */
	size_t length;
};

/*
 * Takes what came since the last time as a window. Beside no other use of the aggregate.
 *
 * unaggregated: total so far. false: nothing came, the next window begins at its end.
 */
bool rpcprof_reader_take(struct rpcprof_reader *reader, const struct rpcprof_aggregate *aggregate,
                         uint64_t unaggregated, int64_t begin_ns, int64_t end_ns,
                         struct rpcprof_profile *profile);

/* Puts back what was taken last: the next profile will have it. */
void rpcprof_reader_undo(struct rpcprof_reader *reader, const struct rpcprof_profile *profile);

/* Fills in profile->bytes with what the reader took last. May run beside threads that add calls.
 * 0 or -ENOMEM. */
int rpcprof_profile_make(struct rpcprof_profile *profile, const struct rpcprof_reader *reader,
                         const struct rpcprof_aggregate *aggregate);

/* "OK", "DEADLINE_EXCEEDED", ...; the number in `buffer` for what is no gRPC code. */
const char *rpcprof_status_name(int32_t status, char buffer[16]);

#endif
