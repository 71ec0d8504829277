/* SPDX-License-Identifier: Apache-2.0 */
#include "export/stack_internal.h"

/*
 * rpcprof_clock_elapsed_ns() with the search for the slope done once per Stat: to the bit the same
 * (a test says so), and half the cost of a Stat without the seventeen calls.
 */
struct scale {
	uint64_t origin;
	uint64_t slope; /* nanoseconds per tick in units of 2^-54, as clock.h says */
};

#define NS_MAX ((uint64_t)1 << 62) /* 146 years */

/* A tick that was converted. */
struct met {
	uint64_t ticks;
	uint64_t ns;
};

/* What the sweep over the spans knows at `cursor`. */
struct sweep {
	struct rpcprof_stack *stack;
	const struct rpcprof_span *spans;
	uint64_t from;
	uint64_t cursor;
	uint32_t depth;
	uint8_t open[RPCPROF_STACK_TIMERS]; /* begun, not known to have ended; latest begun last */
};

/* Counters may pass 2^64: ticks compare by signed difference. Half the range away, where either
 * could be said, is not before, as in timers/convert.c. */
static bool is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(b - a) > 0;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static struct scale scale_of(const struct rpcprof_clock_map *map, uint64_t origin)
{
	uint32_t i = map->count > 0 ? map->count - 1 : 0;

	/* Not is_before(): half the range away the clock goes on to the anchor before. */
	while (i > 0 && (int64_t)(origin - map->anchors[i].ticks) < 0)
		i--;
	return (struct scale){.origin = origin, .slope = map->slopes[i]};
}

static uint64_t ns_of(const struct scale *scale, uint64_t ticks)
{
	__extension__ unsigned __int128 ns;

	if (!is_before(scale->origin, ticks))
		return 0;
	ns = ticks - scale->origin;
	ns = ns * scale->slope >> 54;
	return ns < NS_MAX ? (uint64_t)ns : NS_MAX;
}

/* The span of a timer. *met: the last end and its nanoseconds; where laps meet, one conversion
 * serves both. */
static struct rpcprof_span span_of(const struct rpcprof_timer_view *timer,
                                   const struct scale *scale, uint64_t limit, struct met *met)
{
	struct rpcprof_span span = {.thread = timer->thread, .tag = timer->tag, .begin = met->ns,
	                            .end = limit};

	if (timer->begin != met->ticks)
		span.begin = min_u64(ns_of(scale, timer->begin), limit);
	if (timer->end != 0) {
		span.end = min_u64(ns_of(scale, timer->end), limit);
		met->ticks = timer->end;
		met->ns = span.end;
	}
	if (span.end < span.begin)
		span.end = span.begin;
	return span;
}

/* The timers in slot order. Returns how many. */
static uint32_t gather(struct rpcprof_stack *stack, const struct rpcprof_view *view,
                       const struct scale *scale, uint64_t limit, struct rpcprof_span *spans)
{
	struct met met = {.ticks = scale->origin, .ns = 0};
	struct rpcprof_timer_view timer;
	uint32_t count = 0;

	for (uint32_t i = 0; i < view->slots && count < RPCPROF_STACK_TIMERS; i++) {
		if (!rpcprof_view_timer(view, i, &timer))
			continue;
		if (timer.end != 0 && is_before(timer.end, timer.begin))
			stack->negative++;
		spans[count++] = span_of(&timer, scale, limit, &met);
	}
	return count;
}

static bool begins_later(const struct rpcprof_span *a, const struct rpcprof_span *b)
{
	return a->begin != b->begin ? a->begin > b->begin : a->end < b->end;
}

/* By begin, the longer first, else as they were: a container comes before what it contains.
 * Insertion, since slots are nearly in order and few. */
static void sort(struct rpcprof_span *spans, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		struct rpcprof_span span = spans[i];
		uint32_t k = i;

		for (; k > 0 && begins_later(&spans[k - 1], &span); k--)
			spans[k] = spans[k - 1];
		spans[k] = span;
	}
}

static void node_init(struct rpcprof_stack *stack, uint32_t node, const struct rpcprof_span *span)
{
	uint64_t end = min_u64(span->end, stack->wall_ns);
	uint64_t length = end > span->begin ? end - span->begin : 0;

	stack->nodes[node] = (struct rpcprof_stack_node){
		.tag = span->tag, .length_ns = length, .longest_ns = length, .count = 1};
}

/* Gives node what of [begin, end) lies in the part. */
static void charge(struct rpcprof_stack *stack, uint32_t node, uint64_t from, uint64_t begin,
                   uint64_t end)
{
	begin = max_u64(begin, from);
	end = min_u64(end, stack->wall_ns);
	if (begin < end)
		stack->nodes[node].self_ns += end - begin;
}

/* What nearly all calls are, in one pass: each timer begins after the one before ended, is the
 * method's child and owns all its instants. False if it is not so: lay_any() starts anew. Empty
 * timers may have a parent, which takes its sweep. */
static bool lay_ordered(struct rpcprof_stack *stack, const struct rpcprof_view *view,
                        const struct scale *scale, uint64_t limit, uint64_t from)
{
	struct met met = {.ticks = scale->origin, .ns = 0};
	uint64_t left = stack->wall_ns > from ? stack->wall_ns - from : 0;
	struct rpcprof_timer_view timer;
	uint64_t last = 0;
	uint32_t node = 1;

	for (uint32_t i = 0; i < view->slots && node <= RPCPROF_STACK_TIMERS; i++) {
		struct rpcprof_span span;

		if (!rpcprof_view_timer(view, i, &timer))
			continue;
		span = span_of(&timer, scale, limit, &met);
		if (span.begin < last || span.begin == span.end)
			return false;
		last = span.end;
		node_init(stack, node, &span);
		charge(stack, node, from, span.begin, span.end);
		left -= stack->nodes[node++].self_ns;
	}
	stack->nodes[0].self_ns = left;
	stack->count = node;
	return true;
}

/* Brings the cursor to `until`; no span begins in between. A span is forgotten only when it ended
 * before `until`: one that ends there may still contain an empty one that begins there. */
static void advance(struct sweep *sweep, uint64_t until)
{
	while (sweep->cursor < until) {
		uint32_t top = sweep->depth > 0 ? sweep->open[sweep->depth - 1] : 0;
		uint64_t end = sweep->depth > 0 ? sweep->spans[top].end : until;
		uint64_t stop = min_u64(end, until);

		if (stop > sweep->cursor) {
			charge(sweep->stack, sweep->depth > 0 ? top + 1 : 0, sweep->from,
			       sweep->cursor, stop);
			sweep->cursor = stop;
		}
		if (end < until)
			sweep->depth--;
	}
}

/* The node of the latest-begun span on the same thread that wholly contains span i. All that
 * could are in `open`: they began before it and have not ended before it begins. */
static uint32_t parent_of(const struct sweep *sweep, uint32_t i)
{
	const struct rpcprof_span *span = &sweep->spans[i];

	for (uint32_t k = sweep->depth; k-- > 0;) {
		const struct rpcprof_span *other = &sweep->spans[sweep->open[k]];

		if (other->thread == span->thread && other->end >= span->end)
			return sweep->open[k] + 1u;
	}
	return 0;
}

static void lay_any(struct rpcprof_stack *stack, struct rpcprof_span *spans, uint32_t count,
                    uint64_t from)
{
	struct sweep sweep;

	sort(spans, count);
	sweep.stack = stack;
	sweep.spans = spans;
	sweep.from = from;
	sweep.cursor = 0;
	sweep.depth = 0;
	for (uint32_t i = 0; i < count; i++) {
		advance(&sweep, spans[i].begin);
		node_init(stack, i + 1, &spans[i]);
		stack->nodes[i + 1].parent = parent_of(&sweep, i);
		sweep.open[sweep.depth++] = (uint8_t)i;
	}
	advance(&sweep, stack->wall_ns);
	stack->count = count + 1;
}

static void method_init(struct rpcprof_stack *stack)
{
	stack->nodes[0] = (struct rpcprof_stack_node){.length_ns = stack->wall_ns,
	                                              .longest_ns = stack->wall_ns, .count = 1};
}

void rpcprof_stack_lay(struct rpcprof_stack *stack, uint64_t wall_ns, struct rpcprof_span *spans,
                       uint32_t count)
{
	stack->wall_ns = wall_ns;
	stack->negative = 0;
	method_init(stack);
	lay_any(stack, spans, count, 0);
}

struct rpcprof_stack_node *rpcprof_stack_add_fold(struct rpcprof_stack *stack, uint32_t tag,
                                                  uint64_t due_ns)
{
	struct rpcprof_stack_node *node = &stack->nodes[stack->count++];

	*node = (struct rpcprof_stack_node){.tag = tag};
	node->self_ns = min_u64(due_ns, stack->nodes[0].self_ns);
	stack->nodes[0].self_ns -= node->self_ns;
	return node;
}

/* Of a total of nanoseconds the part not charged before, out of the method's self time. */
static void lay_folds(struct rpcprof_stack *stack, const struct rpcprof_view *view,
                      const struct scale *scale)
{
	struct rpcprof_fold_view fold;

	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++) {
		struct rpcprof_stack_node *node;
		uint64_t total, due;

		if (!rpcprof_view_fold(view, i, &fold))
			continue;
		total = ns_of(scale, scale->origin + fold.total_ticks);
		due = total > stack->fold_ns[i] ? total - stack->fold_ns[i] : 0;
		node = rpcprof_stack_add_fold(stack, fold.tag, due);
		node->length_ns = total;
		node->longest_ns = ns_of(scale, scale->origin + fold.longest_ticks);
		node->count = fold.count;
		stack->fold_ns[i] += node->self_ns;
	}
}

void rpcprof_stack_build(struct rpcprof_stack *stack, const struct rpcprof_view *view,
                         const struct rpcprof_clock_map *map,
                         const struct rpcprof_stack_part *part)
{
	const struct scale scale = scale_of(map, rpcprof_view_begin(view));
	uint64_t limit;

	stack->wall_ns = ns_of(&scale, part->end);
	stack->negative = is_before(part->end, scale.origin);
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		stack->fold_ns[i] = part->fold_ns[i];
	method_init(stack);
	limit = part->in_flight ? UINT64_MAX : stack->wall_ns;
	if (!lay_ordered(stack, view, &scale, limit, part->from_ns)) {
		struct rpcprof_span spans[RPCPROF_STACK_TIMERS];
		uint32_t count = gather(stack, view, &scale, limit, spans);

		lay_any(stack, spans, count, part->from_ns);
	}
	if (rpcprof_view_folded(view) != 0)
		lay_folds(stack, view, &scale);
}
