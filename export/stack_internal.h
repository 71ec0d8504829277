/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_STACK_INTERNAL_H
#define RPCPROF_STACK_INTERNAL_H

/*
 * From the timers of one Stat to stacks: every instant of the call belongs to exactly one.
 *
 * A pure function over a view. Boundaries become nanoseconds first and are subtracted after, so
 * the self times of a call add up to its wall time to the nanosecond, whatever its timers do.
 */
#include "rpcprof/view.h"

#define RPCPROF_STACK_TIMERS 64 /* more than any cell holds; the time of others stays the method's */
#define RPCPROF_STACK_NODES (1 + RPCPROF_STACK_TIMERS + RPCPROF_ACCUMULATORS)

/* One frame of one call: a timer, a fold, or, first of all, the method. */
struct rpcprof_stack_node {
	uint32_t tag;        /* stage; 0 in node 0, the method */
	uint32_t parent;     /* a node before this one */
	uint64_t self_ns;    /* of the part asked for: what is its and no child's */
	uint64_t length_ns;  /* whole length, cut to the call; of a fold the total of its timers */
	uint64_t longest_ns; /* of a fold; else length_ns */
	uint64_t count;      /* 1; of a fold its timers */
};

struct rpcprof_stack {
	uint64_t wall_ns;  /* from the call's begin to the end of the part */
	uint64_t negative; /* ends before their begins, which count as 0 long */
	uint64_t fold_ns[RPCPROF_ACCUMULATORS]; /* charged of each fold, earlier parts included */
	uint32_t count;    /* nodes in use, at least 1 */
	struct rpcprof_stack_node nodes[RPCPROF_STACK_NODES];
};

/* A timer in nanoseconds from the call's begin. */
struct rpcprof_span {
	uint64_t begin;
	uint64_t end; /* UINT64_MAX: open, of a call in flight */
	uint32_t thread;
	uint32_t tag;
};

/* Which part of a call to lay out: from from_ns after its begin to `end`. */
struct rpcprof_stack_part {
	uint64_t end;     /* ticks */
	bool in_flight;   /* an open timer lasts for ever; else it is closed at `end` */
	uint64_t from_ns; /* what was charged before */
	uint64_t fold_ns[RPCPROF_ACCUMULATORS]; /* and of that, by fold */
};

/*
 * Lays the part out in *stack. The self times of all nodes add up to wall_ns - from_ns, 0 if that
 * is negative.
 *
 * The owner of an instant is the latest-begun timer that is open; its stack, the timers that
 * contain it. Of timers that begin together the shorter counts as begun later, of equal ones that
 * of the later slot. O(timers) when they lie in order, as the slots of one thread nearly do.
 *
 * Folded timers have no position: they are children of the method, and take from its self time
 * what they lasted, no more than is left.
 */
void rpcprof_stack_build(struct rpcprof_stack *stack, const struct rpcprof_view *view,
                         const struct rpcprof_clock_map *map,
                         const struct rpcprof_stack_part *part);

/*
 * The same of timers that are nanoseconds already, as those of a saved dump are. Sorts the spans,
 * at most RPCPROF_STACK_TIMERS, whose bounds lie within wall_ns; span i is node i + 1 then.
 */
void rpcprof_stack_lay(struct rpcprof_stack *stack, uint64_t wall_ns,
                       struct rpcprof_span *spans, uint32_t count);

/* Adds the node of a fold, which takes due_ns of the method's self time, no more than is left. */
struct rpcprof_stack_node *rpcprof_stack_add_fold(struct rpcprof_stack *stack, uint32_t tag,
                                                  uint64_t due_ns);

#endif
