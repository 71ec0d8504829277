/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TAGS_INTERNAL_H
#define RPCPROF_TAGS_INTERNAL_H

/* The tag table over memory of the arena. */
#include "rpcprof/tag.h"

struct rpcprof_tag_limits {
	uint32_t entries; /* in all, the four fixed ones included */
	uint32_t bytes;   /* of names, in all: each takes 8 and its length + 1, in whole eights */
	/* Of methods and of labels; stages get what these leave (theirs is not read). Bytes are
	 * shared out in proportion. */
	uint32_t kind_entries[RPCPROF_TAG_KINDS];
};

struct rpcprof_tag_totals {
	uint64_t overflow[RPCPROF_TAG_KINDS]; /* names that got "(other)", each time */
	uint64_t cut; /* entries whose name was longer than the limit */
	uint64_t entries;
	uint64_t bytes;
};

/* Bytes of memory that a table of these limits takes, a multiple of 128; 0 if they leave no room
 * for the fixed tags (4 entries, 64 bytes among the stages) or exceed 2^24 entries, 2^31 bytes. */
size_t rpcprof_tags_bytes(const struct rpcprof_tag_limits *limits);

/* Makes the table in `memory` (64-byte aligned; zeroed, or attached before with the same limits)
 * the process's one: interns the fixed tags and sets the control head's tag_epoch (release), after
 * which call sites may cache. By one thread. */
void rpcprof_tags_attach(void *memory, const struct rpcprof_tag_limits *limits);

/* Sets a mark for good. 0, or -EINVAL: no such tag. */
int rpcprof_tag_set_mark(uint32_t tag, enum rpcprof_tag_mark mark);

void rpcprof_tags_totals(struct rpcprof_tag_totals *totals);

#endif
