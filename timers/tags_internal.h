/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TAGS_INTERNAL_H
#define RPCPROF_TAGS_INTERNAL_H

/* The tag table over memory of the arena. */
#include "rpcprof/tag.h"

struct rpcprof_tag_limits {
	uint32_t entries; /* in all */
	uint32_t bytes;   /* of names, in all */
	uint32_t kind_entries[RPCPROF_TAG_KINDS]; /* stages get what the others leave */
};

struct rpcprof_tag_totals {
	uint64_t overflow[RPCPROF_TAG_KINDS];
	uint64_t cut;
	uint64_t entries;
	uint64_t bytes;
};

/* Bytes of memory that a table of these limits takes, a multiple of 128. */
size_t rpcprof_tags_bytes(const struct rpcprof_tag_limits *limits);

/* Makes the table in `memory` (zeroed, or attached before with the same limits) the process's
 * one: interns the fixed tags and sets the control head's tag_epoch (release), after which call
 * sites may cache. */
void rpcprof_tags_attach(void *memory, const struct rpcprof_tag_limits *limits);

void rpcprof_tags_totals(struct rpcprof_tag_totals *totals);

#endif
