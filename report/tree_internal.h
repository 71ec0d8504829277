/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TREE_INTERNAL_H
#define RPCPROF_TREE_INTERNAL_H

/*
 * Stacks as a tree, from a profile or from the calls of a dump: what a flame graph draws. Of calls
 * every instant belongs to one stack, so the values of a call's nodes add up to its duration.
 *
 * It has two columns of values, as rows have: the file, and the one it is compared with.
 */
#include "export/stack_internal.h"
#include "report/calls_internal.h"

enum { TREE_THIS = 0, TREE_BASE = 1 };

struct tree_values {
	int64_t self;          /* of the unit, without its children */
	int64_t calls, stages; /* as profiles of calls count them */
};

struct tree_node {
	uint32_t name;   /* text */
	uint32_t parent; /* a node before this one */
	uint32_t depth;  /* 0 the root; of calls 1 a side, 2 a method, 3 and more stages */
	struct tree_values column[2];
};

struct tree {
	struct rpcprof_pprof *names; /* its texts; the caller's */
	struct tree_node *nodes;     /* 0 is the root */
	size_t count, room;
	struct pprof_index index;
	bool of_calls;    /* sides, methods, stages */
	uint32_t type;    /* text: what is summed, "wall"; 0 = nothing yet */
	uint32_t unit;    /* text */
	uint32_t no_name; /* text for frames without one */
	size_t in_flight; /* calls that are not in it: they have not ended */
};

/* Each 0 or a negative errno: -ENOMEM, -EFBIG past the limit of memory of the names. */
int report_tree_open(struct tree *tree, struct rpcprof_pprof *names);
/* -EINVAL: it has values of another kind already; likewise the next. */
int report_tree_set_kind(struct tree *tree, const char *type, const char *unit, bool of_calls);
int report_tree_add_calls(struct tree *tree, const struct calls *calls, int column);
void report_tree_close(struct tree *tree);

/* A parent's child of that name, made on first use; -1 without memory. */
int64_t report_tree_child(struct tree *tree, size_t parent, uint32_t name);

/* totals[i] = node i's value with that of all below it. NULL without memory. */
int64_t *report_tree_totals(const struct tree *tree, int column);

/* sum += value, staying at the ends of 63 bits. */
static inline void add_saturating(int64_t *sum, int64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = value > 0 ? INT64_MAX : INT64_MIN;
}

static inline const char *tree_name(const struct tree *tree, size_t node)
{
	return rpcprof_pprof_text(tree->names, tree->nodes[node].name);
}

#endif
