/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tree_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rows_internal.h"

/* Of what a function of the tree gave for a file that sums up type and unit. */
static int judge(const struct tree *tree, int error, const char *path, const char *type,
                 const char *unit)
{
	if (error == 0)
		return EXIT_DONE;
	if (error != -EINVAL)
		return complain(EXIT_SYSTEM, "more memory is needed than there is, or than 1 GiB");
	return complain(EXIT_BAD_INPUT, "%s: byte 0: sums up %s/%s, and the other file %s/%s; "
	                                "compare files of one kind",
	                path, type, unit, rpcprof_pprof_text(tree->names, tree->type),
	                rpcprof_pprof_text(tree->names, tree->unit));
}

int tree_add_calls(struct tree *tree, const struct calls *calls, int column)
{
	return judge(tree, report_tree_add_calls(tree, calls, column), calls->files[0].path, "wall",
	             "nanoseconds");
}

/* ---- from a profile ---- */

struct reading {
	struct tree *tree;
	const struct rpcprof_pprof *profile;
	uint32_t *texts; /* of the profile to the tree's; 0 = not met yet */
	size_t type, calls, stages;
	int column;
	int64_t at; /* the node of the stack so far; -1 without memory */
};

static void enter(struct reading *reading, uint32_t text)
{
	int64_t id = reading->texts[text];

	if (id == 0) {
		const char *name = rpcprof_pprof_text(reading->profile, text);

		id = rpcprof_pprof_string(reading->tree->names, name);
		reading->texts[text] = id > 0 ? (uint32_t)id : 0;
	}
	if (reading->at >= 0)
		reading->at = id < 0 ? -1 : report_tree_child(reading->tree, (size_t)reading->at, (uint32_t)id);
}

static void enter_location(struct reading *reading, uint64_t id)
{
	const struct rpcprof_pprof *profile = reading->profile;
	const struct pprof_location *location = &profile->locations[id - 1];

	if (location->line_count == 0)
		enter(reading, 0);
	for (uint32_t i = location->line_count; i-- > 0;)
		enter(reading, rpcprof_pprof_line_function(
				       profile, &profile->lines[location->lines + i])->name);
}

static int64_t value_of(const struct reading *reading, size_t sample, size_t type)
{
	if (type >= reading->profile->types_count)
		return 0;
	return rpcprof_pprof_values(reading->profile, sample)[type];
}

static void read_sample(struct reading *reading, size_t index)
{
	const struct pprof_sample *sample = &reading->profile->samples[index];
	struct tree_values *values;

	reading->at = 0;
	for (uint32_t i = sample->depth; i-- > 0;)
		enter_location(reading, reading->profile->frames[sample->frames + i]);
	if (reading->at < 0)
		return;
	values = &reading->tree->nodes[reading->at].column[reading->column];
	add_saturating(&values->self, value_of(reading, index, reading->type));
	if (!reading->tree->of_calls)
		return;
	add_saturating(&values->calls, value_of(reading, index, reading->calls));
	add_saturating(&values->stages, value_of(reading, index, reading->stages));
}

static int read_samples(struct reading *reading, const char *path)
{
	size_t count = reading->profile->samples_count;

	for (size_t i = 0; i < count; i++) {
		if (i % 4096 == 0)
			progress(path, i, count);
		read_sample(reading, i);
		if (reading->at < 0)
			return complain(EXIT_SYSTEM, "%s: more memory is needed than there is, "
			                             "or than 1 GiB", path);
	}
	return EXIT_DONE;
}

static int choose_type(struct reading *reading, const struct input *input, const char *type)
{
	const struct rpcprof_pprof *profile = input->profile;
	const char *chosen, *unit;

	reading->calls = profile_type(profile, "calls");
	reading->stages = profile_type(profile, "stages");
	reading->type = type != NULL ? profile_type(profile, type) : profile_default_type(profile);
	if (reading->type == profile->types_count)
		return complain(EXIT_USAGE, "%s: no sample type \"%s\"; `rpcprof dump --last 1' "
		                            "names those it has", input->path, type);
	chosen = rpcprof_pprof_text(profile, profile->types[reading->type].type);
	unit = rpcprof_pprof_text(profile, profile->types[reading->type].unit);
	return judge(reading->tree,
	             report_tree_set_kind(reading->tree, chosen, unit, profile_is_of_calls(profile)),
	             input->path, chosen, unit);
}

int tree_add_profile(struct tree *tree, const struct input *input, const char *type, int column)
{
	struct reading reading = {.tree = tree, .profile = input->profile, .column = column};
	int status = choose_type(&reading, input, type);

	if (status != EXIT_DONE)
		return status;
	reading.texts = calloc(input->profile->texts_count, sizeof(*reading.texts));
	if (reading.texts == NULL)
		return complain(EXIT_SYSTEM, "%s: out of memory", input->path);
	/* A frame without a name, or without a function. */
	reading.texts[0] = tree->no_name;
	status = read_samples(&reading, input->path);
	free(reading.texts);
	return status;
}

/* ---- to a profile ---- */

static struct rpcprof_pprof *open_profile(const struct calls *calls)
{
	static const struct rpcprof_pprof_type types[] = {
		{"calls", "count"}, {"stages", "count"}, {"wall", "nanoseconds"}};
	struct rpcprof_pprof_info info = {.types = types, .type_count = 3,
	                                  .period_type = types[2], .period = 1,
	                                  .comment_count = 1};
	struct rpcprof_pprof *profile;
	char *comment;
	int64_t end = INT64_MIN;

	if (asprintf(&comment, "of %zu calls of a dump", calls->call_count) < 0)
		return NULL;
	for (size_t i = 0; i < calls->call_count; i++) {
		const struct call *call = &calls->list[i];
		int64_t call_end = call->begin_utc_ns;

		add_saturating(&call_end, call->duration_ns < INT64_MAX ? (int64_t)call->duration_ns
		                                                        : INT64_MAX);
		end = call_end > end ? call_end : end;
	}
	info.comments = (const char *const[]){comment};
	if (calls->call_count != 0) {
		info.mapping_file = calls_name(calls, calls->files[0].program);
		info.time_ns = calls->list[0].begin_utc_ns;
		info.duration_ns = (int64_t)((uint64_t)end - (uint64_t)info.time_ns);
	}
	profile = rpcprof_pprof_open(&info);
	free(comment);
	return profile;
}

struct writing {
	struct rpcprof_pprof *profile;
	const struct tree *tree;
	uint64_t *locations; /* of nodes */
	uint32_t *files;     /* of nodes: the text that is the method's name */
};

/* As the exporter does it: the file of a function is its method. */
static int set_location(struct writing *writing, size_t node)
{
	const struct tree_node *at = &writing->tree->nodes[node];
	int64_t id;

	writing->files[node] = at->depth == 2 ? at->name : writing->files[at->parent];
	id = rpcprof_pprof_location(writing->profile, tree_name(writing->tree, node),
	                            rpcprof_pprof_text(writing->tree->names, writing->files[node]));
	writing->locations[node] = id < 0 ? 0 : (uint64_t)id;
	return id < 0 ? -1 : 0;
}

static int add_node(struct writing *writing, size_t node)
{
	const struct tree_node *nodes = writing->tree->nodes;
	const struct tree_values *values = &nodes[node].column[TREE_THIS];
	uint64_t stack[RPCPROF_STACK_NODES + 1];
	struct rpcprof_pprof_label side = {0};
	size_t depth = 0, at = node;

	if (set_location(writing, node) != 0)
		return -1;
	if ((values->self | values->calls | values->stages) == 0)
		return 0;
	for (; at != 0; at = nodes[at].parent) {
		stack[depth++] = writing->locations[at];
		side.str = rpcprof_pprof_string(writing->profile, tree_name(writing->tree, at));
	}
	side.key = rpcprof_pprof_string(writing->profile, "side");
	if (side.key < 0 || side.str < 0)
		return -1;
	return rpcprof_pprof_add(writing->profile, stack, depth,
	                         (int64_t[]){values->calls, values->stages, values->self}, &side, 1);
}

int tree_to_profile(const struct tree *tree, const struct calls *calls,
                    struct rpcprof_pprof **profile)
{
	struct writing writing = {open_profile(calls), tree,
	                          calloc(tree->count, sizeof(*writing.locations)),
	                          calloc(tree->count, sizeof(*writing.files))};
	int failed = writing.profile == NULL || writing.locations == NULL || writing.files == NULL;

	for (size_t i = 1; !failed && i < tree->count; i++)
		failed = add_node(&writing, i);
	free(writing.locations);
	free(writing.files);
	if (failed) {
		rpcprof_pprof_close(writing.profile);
		return complain(EXIT_SYSTEM, "out of memory");
	}
	*profile = writing.profile;
	return EXIT_DONE;
}
