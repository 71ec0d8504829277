/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_SPOOL_INTERNAL_H
#define RPCPROF_SPOOL_INTERNAL_H

/*
 * Sessions in a directory, a file each: whole or not there, checksummed, the oldest deleted for the
 * newest. Several processes and targets may share it; each session is taken by one of them.
 * Files of other formats, which other versions may write, are left alone.
 */
#include "push/merge_internal.h"

struct rpcprof_spool {
	char *path; /* malloc'ed; NULL: there is none */
	uint64_t bytes_max;
	int64_t max_age_ns;
	uint32_t target; /* a number for where its sessions are to go */
	uint64_t writer; /* random: processes of different containers may have one pid */
	uint32_t written; /* by this one */
};

struct rpcprof_spool_losses {
	uint64_t damaged; /* files deleted for what is in them */
	uint64_t pruned;  /* for their size or age */
};

/* 0 or a negative errno. */
int rpcprof_spool_put(struct rpcprof_spool *spool, const struct rpcprof_waiting *waiting,
                      int64_t now_utc_ns, struct rpcprof_spool_losses *losses);

/* The newest that is whole goes to the merge, with what it takes of those before; they are no
 * longer in the spool. false: there is none. */
bool rpcprof_spool_take(struct rpcprof_spool *spool, int64_t now_utc_ns,
                        struct rpcprof_merge *merge, struct rpcprof_spool_losses *losses);

/* The same, but all stays where it is. Of all sessions: when the oldest begins, and when the last
 * one was put there. */
struct rpcprof_spool_times {
	int64_t begin_ns, put_ns; /* UTC */
};
bool rpcprof_spool_look(struct rpcprof_spool *spool, struct rpcprof_merge *merge,
                        struct rpcprof_spool_times *times);

#endif
