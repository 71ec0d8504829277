/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TAG_TABLE_INTERNAL_H
#define RPCPROF_TAG_TABLE_INTERNAL_H

/*
 * The parts of the tag table and where they lie, in this order:
 *
 *     header     seed, counters, and for each kind one line: how much of its budget is used
 *     buckets    hash << 32 | record; open addressing; 0 = empty
 *     records    {length << 32 | marks | id}, then the name's bytes and at least one NUL, in whole
 *                words; each kind has a range of words. Records are named by their word's index,
 *                never 0
 *     entries    record of each id, 0 = not ready; each kind has a range of ids
 *
 * All of it is indices, so it may be mapped anywhere.
 */
#include "tags_internal.h"

#define RPCPROF_TAG_WORD 8u
/* The marks in a record, above every id. */
#define RPCPROF_TAG_MARK_SHIFT 30
#define RPCPROF_TAG_ID_MASK ((1u << RPCPROF_TAG_MARK_SHIFT) - 1)
/* "(other)", "client", "server", "_OTHER": the first ids and records of the stages. */
#define RPCPROF_TAG_FIXED 4u
#define RPCPROF_TAG_FIXED_BYTES 64u

/* The two halves of a kind's reservation word. */
#define RPCPROF_TAG_ONE_ENTRY ((uint64_t)1 << 32)
#define RPCPROF_TAG_WORDS_MASK 0xffffffffu

/* Lines of their own: the kinds have different writers. */
struct rpcprof_tag_kind_line {
	uint64_t used; /* entries << 32 | words */
	uint64_t overflow;
	uint64_t unused[6];
};

struct rpcprof_tag_header {
	uint64_t seed; /* of the hash; 0 = not attached yet */
	uint64_t cut;
	uint64_t unused[6];
	struct rpcprof_tag_kind_line kinds[RPCPROF_TAG_KINDS];
};

struct rpcprof_tag_range {
	uint32_t first_id, entries;
	uint32_t first_word, words;
};

/* Where the parts of the process's table are; changed by attach only. */
struct rpcprof_tag_table {
	struct rpcprof_tag_header *header; /* NULL: none yet */
	uint64_t *buckets;
	uint32_t *entries; /* of id: entries[id] */
	uint64_t *records;
	uint32_t bucket_mask;
	uint32_t ids; /* ids are below it */
	struct rpcprof_tag_range kinds[RPCPROF_TAG_KINDS];
};

/* Lays a table of these limits out over `memory`; the header's address comes back apart, for the
 * caller to publish. NULL if the limits are not possible. */
struct rpcprof_tag_header *rpcprof_tag_table_lay_out(struct rpcprof_tag_table *table, void *memory,
                                                     const struct rpcprof_tag_limits *limits);

#endif
