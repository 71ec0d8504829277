/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_WAITS_INTERNAL_H
#define RPCPROF_WAITS_INTERNAL_H

/* All waits of a kind up to a moment, and the profile of what came between two. */
#include "export/aggregate_internal.h"

#define RPCPROF_WAITS_LOCKS 257 /* as many as rpcprof_lock_walk() delivers */

struct rpcprof_waits_lock {
	uint32_t tag;
	struct rpcprof_wait_sums sums;
};

struct rpcprof_waits_look {
	enum rpcprof_waits kind;
	int64_t utc_ns;
	uint64_t unaggregated;
	const struct rpcprof_aggregate *aggregate; /* for as long as it is that of the process */
	struct rpcprof_wait_sums *sums;            /* by series */
	uint32_t series;
	uint32_t lock_count;
	struct rpcprof_waits_lock locks[RPCPROF_WAITS_LOCKS]; /* outside of calls */
};

/* Takes in what has ended, and looks. 0 or as rpcprof_block_encode(); then there is nothing to
 * close. */
int rpcprof_waits_look(struct rpcprof_waits_look *look, enum rpcprof_waits kind);
void rpcprof_waits_close(struct rpcprof_waits_look *look);

/* What a look has; since != NULL: and had not then. *bytes is malloc'ed, the caller's. 0; -ENOMEM;
 * -ESTALE: an exporter that was started meanwhile began anew. */
int rpcprof_waits_encode(const struct rpcprof_waits_look *look,
                         const struct rpcprof_waits_look *since, uint8_t **bytes, size_t *length);

/* As they are set now. */
struct rpcprof_wait_rates rpcprof_wait_rates(void);

#endif
