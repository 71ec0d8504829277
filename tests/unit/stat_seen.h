/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAT_SEEN_H
#define STAT_SEEN_H

/* A small arena, and what was delivered from it. */
#include <criterion/criterion.h>

#include "rpcprof/rpcprof.h"

static void start(void)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = 64};

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

/* What the last delivered view held; timers are copied, for a view is borrowed. */
static struct seen {
	int count;
	uint64_t begin, end, id;
	uint32_t side, method, timers, open_stage;
	int32_t status;
	struct rpcprof_timer_view timer[32];
	uint64_t folded;
	struct rpcprof_fold_view fold[RPCPROF_ACCUMULATORS];
	uint32_t folds;
} seen;

static int look(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	seen.count++;
	seen.begin = rpcprof_view_begin(view);
	seen.end = rpcprof_view_end(view);
	seen.id = view->id;
	seen.side = rpcprof_view_side(view);
	seen.method = rpcprof_view_method(view);
	seen.status = rpcprof_view_status(view);
	seen.open_stage = rpcprof_view_open_stage(view);
	seen.timers = seen.folds = 0;
	for (uint32_t i = 0; i < view->slots; i++)
		if (rpcprof_view_timer(view, i, &seen.timer[seen.timers]))
			seen.timers++;
	seen.folded = rpcprof_view_folded(view);
	cr_assert_not(rpcprof_view_fold(view, RPCPROF_ACCUMULATORS, &seen.fold[0]));
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		if (rpcprof_view_fold(view, i, &seen.fold[seen.folds]))
			seen.folds++;
	return 0;
}

static struct rpcprof_counters counters(void)
{
	struct rpcprof_counters all;

	cr_assert_eq(rpcprof_counters_get(&all), 0);
	return all;
}

#endif
