/* SPDX-License-Identifier: Apache-2.0 */
#include "export/aggregate_internal.h"

#include <stdlib.h>
#include <sys/mman.h>

static uint32_t power_below(size_t n)
{
	uint32_t power = 1;

	while (power <= n / 2 && power < 1u << 31)
		power *= 2;
	return power;
}

/* Buckets: twice as many as series could be. Charged calls: twice calls_max, an eighth of the
 * memory at most. */
static void lay_out(struct rpcprof_aggregate *aggregate, uint32_t calls_max)
{
	size_t bytes = aggregate->options.bytes;
	uint32_t buckets = power_below(4 * bytes / sizeof(struct rpcprof_series));
	uint32_t calls = power_below(bytes / 8 / sizeof(struct rpcprof_charged_call));
	char *next = aggregate->memory;

	while (calls / 4 >= calls_max && calls > 64)
		calls /= 2;
	aggregate->charged.calls = (struct rpcprof_charged_call *)(void *)next;
	aggregate->charged.mask = calls - 1;
	next += calls * sizeof(struct rpcprof_charged_call);
	aggregate->buckets = (uint32_t *)(void *)next;
	aggregate->bucket_mask = buckets - 1;
	next += buckets * sizeof(uint32_t);
	aggregate->series = (struct rpcprof_series *)(void *)next;
	aggregate->pool.floor = next;
	aggregate->pool.top = aggregate->memory + bytes;
}

struct rpcprof_aggregate *rpcprof_aggregate_open(const struct rpcprof_aggregate_options *options,
                                                 uint32_t calls_max)
{
	struct rpcprof_aggregate *aggregate = calloc(1, sizeof(*aggregate));

	if (aggregate == NULL)
		return NULL;
	aggregate->options = *options;
	aggregate->options.bytes &= ~(size_t)4095;
	aggregate->memory = mmap(NULL, aggregate->options.bytes, PROT_READ | PROT_WRITE,
	                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (aggregate->memory == MAP_FAILED) {
		free(aggregate);
		return NULL;
	}
	lay_out(aggregate, calls_max);
	if (rpcprof_series_make_other(aggregate) != 0) {
		rpcprof_aggregate_close(aggregate);
		return NULL;
	}
	return aggregate;
}

void rpcprof_aggregate_close(struct rpcprof_aggregate *aggregate)
{
	if (aggregate == NULL)
		return;
	munmap(aggregate->memory, aggregate->options.bytes);
	free(aggregate);
}

uint32_t rpcprof_aggregate_series_max(const struct rpcprof_aggregate *aggregate)
{
	char *begin = (char *)(void *)aggregate->series;

	return (uint32_t)((size_t)(aggregate->pool.top - begin) / sizeof(struct rpcprof_series));
}

static uint32_t label_value(const struct rpcprof_view *view, uint32_t wanted)
{
	uint32_t key, value;

	for (uint32_t i = 0; i < RPCPROF_LABELS_MAX; i++)
		if (rpcprof_view_label(view, i, &key, &value) && key == wanted)
			return value;
	return 0;
}

/* The series of the call's method. */
static uint32_t method_of(struct rpcprof_aggregate *aggregate, const struct rpcprof_view *view)
{
	const struct rpcprof_aggregate_options *options = &aggregate->options;
	struct rpcprof_series_labels labels = {.side = rpcprof_view_side(view)};
	uint32_t method = rpcprof_view_method(view);

	if (options->by_method)
		labels.method = method;
	if (options->by_status && rpcprof_view_has(view, RPCPROF_HAS_STATUS)) {
		labels.has_status = 1;
		labels.status = rpcprof_view_status(view);
	}
	for (uint32_t i = 0; i < options->key_count; i++)
		labels.values[i] = label_value(view, options->keys[i]);
	return rpcprof_series_method(aggregate, &labels, method);
}

/* The series of a stage. The stages of a method's first call were numbered in a row, and most calls
 * are like it: a look at the number after the last one saves most searches. */
static uint32_t stage_of(struct rpcprof_aggregate *aggregate, uint32_t last, uint32_t parent,
                         uint32_t tag)
{
	const struct rpcprof_series *next = &aggregate->series[last + 1];

	if (last + 1 < aggregate->totals.series && next->parent == parent && next->tag == tag)
		return last + 1;
	return rpcprof_series_child(aggregate, parent, tag);
}

/* Gives the self times of a call to the series of its frames. A stage that finds no room for one
 * leaves its time with its parent: the method's total stays exact. */
static void add_self(struct rpcprof_aggregate *aggregate, const struct rpcprof_stack *stack,
                     uint32_t method, uint32_t *series)
{
	series[0] = method;
	aggregate->series[method].sums.wall_ns += stack->nodes[0].self_ns;
	for (uint32_t i = 1; i < stack->count; i++) {
		const struct rpcprof_stack_node *node = &stack->nodes[i];
		uint32_t parent = series[node->parent];

		series[i] = stage_of(aggregate, series[i - 1], parent, node->tag);
		if (series[i] == RPCPROF_SERIES_NONE) {
			aggregate->totals.overflow++;
			series[i] = parent;
		}
		aggregate->series[series[i]].sums.wall_ns += node->self_ns;
	}
}

/* A timer once; folded ones as the longest and the rest at their mean. */
static void add_latency(struct rpcprof_aggregate *aggregate, struct rpcprof_series *series,
                        const struct rpcprof_stack_node *node)
{
	uint64_t rest = node->count - 1;

	rpcprof_histogram_add(&aggregate->pool, &series->latency, node->longest_ns, 1);
	if (rest != 0 && node->length_ns >= node->longest_ns)
		rpcprof_histogram_add(&aggregate->pool, &series->latency,
		                      (node->length_ns - node->longest_ns) / rest, rest);
}

static void add_counts(struct rpcprof_aggregate *aggregate, const struct rpcprof_stack *stack,
                       const uint32_t *numbers)
{
	struct rpcprof_series *series = &aggregate->series[numbers[0]];

	series->sums.calls++;
	add_latency(aggregate, series, &stack->nodes[0]);
	for (uint32_t i = 1; i < stack->count; i++) {
		const struct rpcprof_stack_node *node = &stack->nodes[i];

		if (numbers[i] == numbers[node->parent] || node->count == 0)
			continue; /* overflowed, and counted there */
		series = &aggregate->series[numbers[i]];
		series->sums.stages += node->count;
		add_latency(aggregate, series, node);
	}
}

/* Also of calls that went to "(other)", and whether or not profiles are labelled by it. */
static void add_status(struct rpcprof_aggregate *aggregate, const struct rpcprof_series *method,
                       const struct rpcprof_view *view)
{
	uint32_t slot = rpcprof_status_slot(rpcprof_view_has(view, RPCPROF_HAS_STATUS),
	                                    rpcprof_view_status(view));

	if (method->statuses != 0)
		rpcprof_octave_at(&aggregate->pool, method->statuses)[slot]++;
}

static void note_begin(struct rpcprof_aggregate *aggregate, uint64_t begin)
{
	uint64_t *first = &aggregate->totals.first_begin;

	if (*first == 0 || (int64_t)(begin - *first) < 0)
		*first = begin;
}

void rpcprof_aggregate_add(struct rpcprof_aggregate *aggregate, const struct rpcprof_view *view,
                           const struct rpcprof_clock_map *map)
{
	struct rpcprof_stack_part part = {.end = rpcprof_view_end(view)};
	struct rpcprof_charged_call *call = NULL;
	uint32_t numbers[RPCPROF_STACK_NODES];
	uint64_t begin = rpcprof_view_begin(view);
	struct rpcprof_stack stack;

	if (aggregate->charged.used != 0)
		call = rpcprof_charged_find(&aggregate->charged, view->id);
	if (call != NULL) {
		part.from_ns = call->charged_ns;
		for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
			part.fold_ns[i] = call->fold_ns[i];
		rpcprof_charged_remove(&aggregate->charged, call);
	}
	rpcprof_stack_build(&stack, view, map, &part);
	add_self(aggregate, &stack, method_of(aggregate, view), numbers);
	add_counts(aggregate, &stack, numbers);
	add_status(aggregate, &aggregate->series[numbers[0]], view);
	if ((aggregate->rates.block_ns | aggregate->rates.mutex_fraction) != 0)
		rpcprof_aggregate_waits(aggregate, &stack, numbers);
	aggregate->totals.calls++;
	aggregate->totals.negative += stack.negative;
	note_begin(aggregate, begin);
}

void rpcprof_aggregate_round_begin(struct rpcprof_aggregate *aggregate)
{
	aggregate->round++;
}

void rpcprof_aggregate_charge(struct rpcprof_aggregate *aggregate,
                              const struct rpcprof_view *view,
                              const struct rpcprof_clock_map *map, uint64_t until)
{
	struct rpcprof_stack_part part = {.end = until, .in_flight = true};
	uint64_t begin = rpcprof_view_begin(view);
	uint32_t numbers[RPCPROF_STACK_NODES];
	struct rpcprof_charged_call *call;
	struct rpcprof_stack stack;

	if ((int64_t)(until - begin) <= 0)
		return;
	call = rpcprof_charged_put(&aggregate->charged, view->id, aggregate->round);
	if (call == NULL) {
		aggregate->totals.uncharged++;
		return;
	}
	part.from_ns = call->charged_ns;
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		part.fold_ns[i] = call->fold_ns[i];
	rpcprof_stack_build(&stack, view, map, &part);
	if (stack.wall_ns <= call->charged_ns)
		return;
	add_self(aggregate, &stack, method_of(aggregate, view), numbers);
	call->charged_ns = stack.wall_ns;
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		call->fold_ns[i] = stack.fold_ns[i];
	note_begin(aggregate, begin);
}
