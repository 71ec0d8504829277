/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TREE_INTERNAL_H
#define RPCPROF_TREE_INTERNAL_H

/*
 * Stacks as a tree, from a profile or from the calls of a dump: what a flame graph draws. Of calls
 * every instant belongs to one stack, so the values of a call's nodes add up to its duration.
 *
 * It has two columns of values, as rows have: the file, and the one it is compared with.
 */
#include "cli/calls_internal.h"
#include "export/stack_internal.h"

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

/* Each an exit_code; other than EXIT_DONE after a complaint. */
int tree_open(struct tree *tree, struct rpcprof_pprof *names);
int tree_add_calls(struct tree *tree, const struct calls *calls, int column);
/* type: which sample type; NULL: wall, or the profile's default. */
int tree_add_profile(struct tree *tree, const struct input *input, const char *type, int column);
/* A profile as the exporter writes them; of a tree of calls. */
int tree_to_profile(const struct tree *tree, const struct calls *calls,
                    struct rpcprof_pprof **profile);
void tree_close(struct tree *tree);

/* A parent's child of that name, made on first use; -1 without memory. */
int64_t tree_child(struct tree *tree, size_t parent, uint32_t name);
/* Complains if the tree has values of another kind already. */
int tree_set_kind(struct tree *tree, const char *path, const char *type, const char *unit,
                  bool of_calls);

/* totals[i] = node i's value with that of all below it. NULL without memory. */
int64_t *tree_totals(const struct tree *tree, int column);

static inline const char *tree_name(const struct tree *tree, size_t node)
{
	return rpcprof_pprof_text(tree->names, tree->nodes[node].name);
}

#endif
