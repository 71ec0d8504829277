/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_REPLAY_INTERNAL_H
#define RPCPROF_REPLAY_INTERNAL_H

/* When what is in a spool is sent. All times are UTC, nanoseconds. */
#include <stdint.h>

struct rpcprof_replay_window {
	int64_t begin_ns, end_ns; /* of what is to be sent next */
	int64_t oldest_ns;        /* begin of the oldest there is */
	int64_t put_ns;           /* when the last one was put there: the server was not there then */
	int64_t max_age_ns;
};

/* The earliest and the latest time for it. */
void rpcprof_replay_between(const struct rpcprof_replay_window *window, int64_t *from_ns,
                            int64_t *to_ns);

#endif
