/* SPDX-License-Identifier: Apache-2.0 */
#include "report/tree_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct child {
	uint32_t parent, name;
};

static bool is_child(const void *array, size_t index, const void *key)
{
	const struct tree_node *node = &((const struct tree_node *)array)[index];
	const struct child *child = key;

	return node->parent == child->parent && node->name == child->name;
}

int64_t report_tree_child(struct tree *tree, size_t parent, uint32_t name)
{
	const struct child child = {(uint32_t)parent, name};
	uint32_t hash = (uint32_t)rpcprof_pprof_hash(&child, sizeof(child), 0);
	uint32_t id =
		rpcprof_pprof_index_find(&tree->index, tree->nodes, hash, is_child, &child);

	if (id != 0)
		return id - 1;
	if (tree->count >= UINT32_MAX ||
	    rpcprof_pprof_reserve(tree->names, &tree->nodes, tree->count, &tree->room, 1,
	                          sizeof(*tree->nodes)) != 0 ||
	    rpcprof_pprof_index_reserve(tree->names, &tree->index) != 0)
		return -1;
	tree->nodes[tree->count] = (struct tree_node){
		.name = name, .parent = child.parent, .depth = tree->nodes[parent].depth + 1};
	rpcprof_pprof_index_put(&tree->index, hash, (uint32_t)tree->count + 1);
	return (int64_t)tree->count++;
}

int report_tree_set_kind(struct tree *tree, const char *type, const char *unit, bool of_calls)
{
	int64_t type_id = rpcprof_pprof_string(tree->names, type);
	int64_t unit_id = rpcprof_pprof_string(tree->names, unit);

	if (type_id < 0 || unit_id < 0)
		return (int)(type_id < 0 ? type_id : unit_id);
	if (tree->type != 0 && (tree->type != (uint32_t)type_id ||
	                        tree->unit != (uint32_t)unit_id || tree->of_calls != of_calls))
		return -EINVAL;
	tree->type = (uint32_t)type_id;
	tree->unit = (uint32_t)unit_id;
	tree->of_calls = of_calls;
	return 0;
}

int report_tree_open(struct tree *tree, struct rpcprof_pprof *names)
{
	int64_t no_name = rpcprof_pprof_string(names, "(no symbol)");
	int error;

	*tree = (struct tree){.names = names};
	if (no_name < 0)
		return (int)no_name;
	tree->no_name = (uint32_t)no_name;
	error = rpcprof_pprof_reserve(names, &tree->nodes, 0, &tree->room, 1, sizeof(*tree->nodes));
	if (error == 0)
		tree->nodes[tree->count++] = (struct tree_node){0};
	return error;
}

void report_tree_close(struct tree *tree)
{
	free(tree->nodes);
	free(tree->index.buckets);
	*tree = (struct tree){0};
}

int64_t *report_tree_totals(const struct tree *tree, int column)
{
	int64_t *totals = reallocarray(NULL, tree->count, sizeof(*totals));

	if (totals == NULL)
		return NULL;
	for (size_t i = 0; i < tree->count; i++)
		totals[i] = tree->nodes[i].column[column].self;
	for (size_t i = tree->count; i-- > 1;) /* children come after their parents */
		if (__builtin_add_overflow(totals[tree->nodes[i].parent], totals[i],
		                           &totals[tree->nodes[i].parent]))
			totals[tree->nodes[i].parent] = INT64_MAX;
	return totals;
}

/* ---- calls ---- */

static void lay_out(struct rpcprof_stack *stack, const struct calls *calls, const struct call *call)
{
	const struct call_stage *stages = calls->stages + call->stages;
	struct rpcprof_span spans[RPCPROF_STACK_TIMERS];
	uint32_t count = 0;

	for (; count < call->stage_count && count < RPCPROF_STACK_TIMERS; count++)
		spans[count] = (struct rpcprof_span){
			.begin = call_clip(stages[count].offset_ns, call->duration_ns),
			.end = call_clip(report_stage_end(&stages[count]), call->duration_ns),
			.thread = stages[count].thread,
			.tag = stages[count].tag};
	rpcprof_stack_lay(stack, call->duration_ns, spans, count);
	for (uint32_t i = 0; i < call->fold_count; i++) {
		const struct call_fold *fold = &calls->folds[call->folds + i];

		rpcprof_stack_add_fold(stack, fold->tag, fold->total_ns)->count = fold->count;
	}
}

static int64_t clamp(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static int add_stack(struct tree *tree, const struct call *call, const struct rpcprof_stack *stack,
                     int column)
{
	uint32_t nodes[RPCPROF_STACK_NODES];
	int64_t side = report_tree_child(tree, 0, call->side);
	int64_t at = side < 0 ? -1 : report_tree_child(tree, (size_t)side, call->method);

	for (uint32_t i = 0; i < stack->count; i++) {
		const struct rpcprof_stack_node *node = &stack->nodes[i];
		struct tree_values *values;

		if (i > 0)
			at = report_tree_child(tree, nodes[node->parent], node->tag);
		if (at < 0)
			return -ENOMEM;
		nodes[i] = (uint32_t)at;
		values = &tree->nodes[at].column[column];
		add_saturating(&values->self, clamp(node->self_ns));
		add_saturating(i > 0 ? &values->stages : &values->calls, clamp(node->count));
	}
	return 0;
}

int report_tree_add_calls(struct tree *tree, const struct calls *calls, int column)
{
	struct rpcprof_stack stack;
	int error = report_tree_set_kind(tree, "wall", "nanoseconds", true);

	for (size_t i = 0; error == 0 && i < calls->call_count; i++) {
		const struct call *call = &calls->list[i];

		if (call->in_flight) {
			tree->in_flight++;
			continue;
		}
		lay_out(&stack, calls, call);
		error = add_stack(tree, call, &stack, column);
	}
	return error;
}
