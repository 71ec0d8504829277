/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_MERGE_INTERNAL_H
#define RPCPROF_MERGE_INTERNAL_H

/*
 * Sessions of equal labels whose windows follow each other, as one session no larger than servers
 * take at once. From the newest to the oldest, for that is how a spool is emptied.
 */
#include "push/fit_internal.h"
#include "push/queue_internal.h"

struct rpcprof_merge {
	struct rpcprof_limits limits;
	size_t sent_max; /* what it is made of is no more than that, gzipped as it is */
	/* From here on all 0 at first: */
	struct rpcprof_waiting *parts; /* the oldest first */
	size_t count;
	size_t bytes; /* of the sum, uncompressed: at most */
	size_t sent;  /* of the parts, as they are */
	int64_t begin_ns, end_ns;
	struct rpcprof_pprof *sum; /* NULL: no more is taken */
};

/* Begins with the newest, now the merge's. */
void rpcprof_merge_begin(struct rpcprof_merge *merge, struct rpcprof_waiting *newest);

/* Whether one may be added that begins no later than all there are: *model, which goes to add() or
 * is the caller's to close. */
bool rpcprof_merge_takes(struct rpcprof_merge *merge, const struct rpcprof_waiting *older,
                         struct rpcprof_pprof **model);

/* Adds what takes() said yes to; both become the merge's. */
void rpcprof_merge_add(struct rpcprof_merge *merge, struct rpcprof_waiting *older,
                       struct rpcprof_pprof *model);

/* All as one; or, if there is no memory or they do not add up, all as they were, the next ones by
 * ->next. NULL if none was begun. */
struct rpcprof_waiting *rpcprof_merge_end(struct rpcprof_merge *merge);

#endif
