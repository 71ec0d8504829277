/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls in flight as a profile, where Go programs have their goroutines: side, method, and the stages
 * that are open. Each call is in one stack, that of the stage which is charged for this instant.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pull/pull_internal.h"
#include "rpcprof/view.h"

#define DEPTH_MAX 8 /* side, method, 6 stages */

struct stack {
	uint32_t tags[DEPTH_MAX]; /* root first; 0 past the last */
};

struct stacks {
	struct stack *list;
	size_t count, room;
	int error;
};

/* The timer begun latest that is open, or the one before `inner` on its thread. */
static bool find_open(const struct rpcprof_view *view, const struct rpcprof_timer_view *inner,
                      struct rpcprof_timer_view *found)
{
	struct rpcprof_timer_view timer;
	bool any = false;

	for (uint32_t i = 0; i < view->slots; i++) {
		if (!rpcprof_view_timer(view, i, &timer) || timer.end != 0)
			continue;
		if (inner != NULL && (timer.thread != inner->thread ||
		                      (int64_t)(timer.begin - inner->begin) >= 0))
			continue;
		if (!any || (int64_t)(timer.begin - found->begin) >= 0)
			*found = timer;
		any = true;
	}
	return any;
}

/* The innermost stages if there are more than fit. */
static void stack_of(const struct rpcprof_view *view, struct stack *stack)
{
	struct rpcprof_timer_view open[DEPTH_MAX - 2];
	size_t count = 0;

	*stack = (struct stack){{rpcprof_view_side(view), rpcprof_view_method(view)}};
	while (count < DEPTH_MAX - 2 &&
	       find_open(view, count > 0 ? &open[count - 1] : NULL, &open[count]))
		count++;
	for (size_t i = 0; i < count; i++)
		stack->tags[2 + i] = open[count - 1 - i].tag;
}

static int add(void *arg, const struct rpcprof_view *view)
{
	struct stacks *stacks = arg;

	if (stacks->count == stacks->room) {
		size_t room = stacks->room != 0 ? 2 * stacks->room : 64;
		struct stack *more = realloc(stacks->list, room * sizeof(*more));

		if (more == NULL) {
			stacks->error = -ENOMEM;
			return 1;
		}
		stacks->list = more;
		stacks->room = room;
	}
	stack_of(view, &stacks->list[stacks->count++]);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct stack));
}

static int add_sample(struct rpcprof_pprof *pprof, const struct stack *stack, int64_t count)
{
	const char *method = stack->tags[1] != 0 ? rpcprof_tag_name(stack->tags[1], NULL) : "(none)";
	uint64_t locations[DEPTH_MAX];
	size_t depth = DEPTH_MAX;

	while (depth > 2 && stack->tags[depth - 1] == 0)
		depth--;
	for (size_t i = 0; i < depth; i++) {
		const char *name = i == 1 ? method : rpcprof_tag_name(stack->tags[i], NULL);
		int64_t id = rpcprof_pprof_location(pprof, name, i > 0 ? method : "");

		if (id < 0)
			return (int)id;
		locations[depth - 1 - i] = (uint64_t)id;
	}
	return rpcprof_pprof_add(pprof, locations, depth, &count, NULL, 0);
}

static int add_samples(struct rpcprof_pprof *pprof, struct stacks *stacks)
{
	size_t same;
	int error = 0;

	qsort(stacks->list, stacks->count, sizeof(*stacks->list), compare);
	for (size_t i = 0; error == 0 && i < stacks->count; i += same) {
		for (same = 1; i + same < stacks->count; same++)
			if (compare(&stacks->list[i], &stacks->list[i + same]) != 0)
				break;
		error = add_sample(pprof, &stacks->list[i], (int64_t)same);
	}
	return error;
}

static int64_t utc_now(void)
{
	struct rpcprof_clock_map map;

	return rpcprof_clock_map_get(&map) == 0
	               ? rpcprof_clock_utc_ns(&map, rpcprof_clock_now(), NULL)
	               : 0;
}

static struct rpcprof_pprof *open_pprof(const struct rpcprof_pprof_type *types, size_t count)
{
	return rpcprof_pprof_open(&(struct rpcprof_pprof_info){
		.types = types, .type_count = count, .period_type = types[count - 1], .period = 1,
		.time_ns = utc_now(), .mapping_file = program_invocation_name});
}

int pull_empty_profile(const struct rpcprof_pprof_type *types, size_t count,
                       struct rpcprof_profile *profile)
{
	struct rpcprof_pprof *pprof = open_pprof(types, count);
	int error = pprof != NULL ? rpcprof_pprof_encode(pprof, &profile->bytes, &profile->length)
	                          : -ENOMEM;

	if (pprof != NULL)
		rpcprof_pprof_close(pprof);
	return error;
}

int pull_inflight_profile(struct rpcprof_profile *profile)
{
	static const struct rpcprof_pprof_type type = {"goroutine", "count"};
	struct rpcprof_pprof *pprof = open_pprof(&type, 1);
	struct stacks stacks = {.error = pprof != NULL ? 0 : -ENOMEM};

	if (stacks.error == 0 && rpcprof_inflight(NULL, add, &stacks) < 0)
		stacks.error = -ENODEV;
	if (stacks.error == 0 && stacks.count != 0)
		stacks.error = add_samples(pprof, &stacks);
	if (stacks.error == 0)
		stacks.error = rpcprof_pprof_encode(pprof, &profile->bytes, &profile->length);
	if (pprof != NULL)
		rpcprof_pprof_close(pprof);
	free(stacks.list);
	return stacks.error;
}
