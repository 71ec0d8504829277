/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_SPOOL_LIST_INTERNAL_H
#define RPCPROF_SPOOL_LIST_INTERNAL_H

/* The files of a spool, by their names. */
#include <stddef.h>
#include <stdint.h>

#define RPCPROF_SPOOL_NAME_ROOM 128

struct rpcprof_spool_entry {
	uint32_t target, labels, number;
	int64_t begin_ns, end_ns;
	uint64_t writer;
	/* Of the directory, not of the name: */
	uint64_t bytes;
	int64_t put_ns;
};

struct rpcprof_spool_list {
	struct rpcprof_spool_entry *entries; /* malloc'ed; the newest first */
	size_t count, room;
	uint64_t bytes;
};

void rpcprof_spool_name(const struct rpcprof_spool_entry *entry, char *name);

/* Those of one target, or of all. */
void rpcprof_spool_list(int dir, const uint32_t *target, struct rpcprof_spool_list *list);

/* 0 or a negative errno. */
int rpcprof_spool_remove(int dir, const struct rpcprof_spool_entry *entry);

#endif
