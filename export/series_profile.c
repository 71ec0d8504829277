/* SPDX-License-Identifier: Apache-2.0 */
#include "export/series_profile_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/window_internal.h"

#define LABELS_MAX (3 + RPCPROF_LABELS_MAX)
#define DEPTH_MAX (RPCPROF_STACK_NODES + 1)

static const char *name_of(uint32_t tag)
{
	return tag != 0 ? rpcprof_tag_name(tag, NULL) : "(none)";
}

static int64_t keep(struct rpcprof_series_profile *profile, int64_t id)
{
	if (id < 0 && profile->error == 0)
		profile->error = (int)id;
	return id < 0 ? 0 : id;
}

static const struct rpcprof_series *parent_of(const struct rpcprof_series_profile *profile,
                                              const struct rpcprof_series *series)
{
	return &profile->aggregate->series[series->parent];
}

/* The file of a method's function and of its stages' is the method, so that readers that show
 * files group by it. */
static const char *file_of(const struct rpcprof_series_profile *profile,
                           const struct rpcprof_series *series)
{
	if (series->depth == 0)
		return "";
	while (series->depth > 1)
		series = parent_of(profile, series);
	return name_of(series->tag);
}

static uint64_t location_of(struct rpcprof_series_profile *profile, uint32_t number)
{
	const struct rpcprof_series *series = &profile->aggregate->series[number];

	if (profile->locations[number] == 0)
		profile->locations[number] = (uint64_t)keep(
			profile, rpcprof_pprof_location(profile->pprof, name_of(series->tag),
			                        file_of(profile, series)));
	return profile->locations[number];
}

static size_t add_label(struct rpcprof_series_profile *profile, struct rpcprof_pprof_label *label,
                        const char *key, const char *value)
{
	*label = (struct rpcprof_pprof_label){
		.key = keep(profile, rpcprof_pprof_string(profile->pprof, key)),
		.str = keep(profile, rpcprof_pprof_string(profile->pprof, value))};
	return 1;
}

/* rpc_method is "package.Service/Method": what the convention of that name asks. */
static size_t labels_of(struct rpcprof_series_profile *profile, const struct rpcprof_series *side,
                        struct rpcprof_pprof_label *labels)
{
	const struct rpcprof_aggregate_options *options = &profile->aggregate->options;
	const struct rpcprof_series_labels *set = &side->labels;
	const char *method = name_of(set->method);
	char number[16];
	size_t count = add_label(profile, &labels[0], "side", name_of(set->side));

	if (set->has_status)
		count += add_label(profile, &labels[count], "rpc_response_status_code",
		                   rpcprof_status_name(set->status, number));
	if (options->by_method)
		count += add_label(profile, &labels[count], "rpc_method",
		                   method + (method[0] == '/'));
	for (uint32_t i = 0; i < options->key_count; i++)
		if (set->values[i] != 0)
			count += add_label(profile, &labels[count], name_of(options->keys[i]),
			                   name_of(set->values[i]));
	return count;
}

void rpcprof_series_profile_add(struct rpcprof_series_profile *profile, uint32_t number,
                                const int64_t *values)
{
	const struct rpcprof_series *series = profile->aggregate->series;
	struct rpcprof_pprof_label labels[LABELS_MAX];
	uint64_t locations[DEPTH_MAX];
	size_t depth = 0, label_count;

	if (profile->error != 0)
		return;
	locations[depth++] = location_of(profile, number);
	while (series[number].depth > 0 && depth < DEPTH_MAX) {
		number = series[number].parent;
		locations[depth++] = location_of(profile, number);
	}
	label_count = labels_of(profile, &series[number], labels);
	if (profile->error == 0)
		profile->error = rpcprof_pprof_add(profile->pprof, locations, depth, values, labels,
		                                   label_count);
}

void rpcprof_series_profile_add_alone(struct rpcprof_series_profile *profile, uint32_t tag,
                                      const int64_t *values)
{
	uint64_t location;

	if (profile->error != 0)
		return;
	location = (uint64_t)keep(profile,
	                          rpcprof_pprof_location(profile->pprof, name_of(tag), ""));
	if (profile->error == 0)
		profile->error = rpcprof_pprof_add(profile->pprof, &location, 1, values, NULL, 0);
}

void rpcprof_series_profile_open(struct rpcprof_series_profile *profile,
                                 const struct rpcprof_aggregate *aggregate, uint32_t series,
                                 const struct rpcprof_pprof_info *info)
{
	struct rpcprof_pprof_info of_program = *info;
	char program[4096];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (length < 0)
		length = snprintf(program, sizeof(program), "%s", program_invocation_name);
	program[(size_t)length < sizeof(program) ? (size_t)length : sizeof(program) - 1] = '\0';
	of_program.mapping_file = program;
	*profile = (struct rpcprof_series_profile){.aggregate = aggregate};
	profile->locations = calloc(series + 1, sizeof(*profile->locations));
	profile->pprof = profile->locations != NULL ? rpcprof_pprof_open(&of_program) : NULL;
	profile->error = profile->pprof != NULL ? 0 : -ENOMEM;
}

int rpcprof_series_profile_close(struct rpcprof_series_profile *profile, uint8_t **bytes,
                                 size_t *length)
{
	if (profile->error == 0)
		profile->error = rpcprof_pprof_encode(profile->pprof, bytes, length);
	if (profile->pprof != NULL)
		rpcprof_pprof_close(profile->pprof);
	free(profile->locations);
	return profile->error;
}
