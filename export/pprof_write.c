/* SPDX-License-Identifier: Apache-2.0 */
#include "export/pprof_model_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Interns a NUL-terminated text, NULL as "", into *id. 0 or -errno. */
static int set_text(struct rpcprof_pprof *pprof, uint32_t *id, const char *text)
{
	int64_t found = text == NULL ? 0 : rpcprof_pprof_intern(pprof, text, strlen(text));

	if (found < 0)
		return (int)found;
	*id = (uint32_t)found;
	return 0;
}

static int set_type(struct rpcprof_pprof *pprof, struct pprof_value_type *out,
                    const struct rpcprof_pprof_type *type)
{
	int status = set_text(pprof, &out->type, type->type);

	return status != 0 ? status : set_text(pprof, &out->unit, type->unit);
}

/* Readers warn without a mapping; with these four set they look for no symbols. */
static int set_mapping(struct rpcprof_pprof *pprof, const char *file)
{
	struct pprof_mapping mapping = {.has_functions = true,
	                                .has_filenames = true,
	                                .has_line_numbers = true,
	                                .has_inline_frames = true};
	int status = set_text(pprof, &mapping.file, file);

	return status != 0 ? status : (int)rpcprof_pprof_intern_mapping(pprof, &mapping);
}

static int set_info(struct rpcprof_pprof *pprof, const struct rpcprof_pprof_info *info)
{
	int status = PPROF_RESERVE(pprof, types, info->type_count);

	for (size_t i = 0; status == 0 && i < info->type_count; i++)
		status = set_type(pprof, &pprof->types[pprof->types_count++], &info->types[i]);
	if (status == 0)
		status = PPROF_RESERVE(pprof, comments, info->comment_count);
	for (size_t i = 0; status == 0 && i < info->comment_count; i++)
		status = set_text(pprof, &pprof->comments[pprof->comments_count++],
		                  info->comments[i]);
	if (status == 0)
		status = set_type(pprof, &pprof->period_type, &info->period_type);
	if (status == 0)
		status = set_text(pprof, &pprof->default_type, info->default_type);
	if (status == 0 && !info->no_mapping)
		status = set_mapping(pprof, info->mapping_file);
	pprof->period = info->period;
	pprof->time_ns = info->time_ns;
	pprof->duration_ns = info->duration_ns;
	return status;
}

struct rpcprof_pprof *rpcprof_pprof_open(const struct rpcprof_pprof_info *info)
{
	struct rpcprof_pprof *pprof = rpcprof_pprof_model_open(0);

	if (pprof != NULL && set_info(pprof, info) < 0) {
		rpcprof_pprof_close(pprof);
		return NULL;
	}
	return pprof;
}

int64_t rpcprof_pprof_string(struct rpcprof_pprof *pprof, const char *text)
{
	return rpcprof_pprof_intern(pprof, text, strlen(text));
}

int64_t rpcprof_pprof_location(struct rpcprof_pprof *pprof, const char *name, const char *file)
{
	/* No system_name: where it equals the name pprof demangles, which cuts "<...>" and "(...)"
	 * out of names that are not C++ at all. */
	struct pprof_function function = {0};
	struct pprof_location location = {.line_count = 1, .mapping = 1};
	struct pprof_line line = {0};
	int64_t id = set_text(pprof, &function.name, name);

	if (id == 0)
		id = set_text(pprof, &function.file, file);
	if (id == 0)
		id = rpcprof_pprof_intern_function(pprof, &function);
	if (id < 0)
		return id;
	line.function = (uint32_t)id;
	return rpcprof_pprof_intern_location(pprof, &location, &line);
}

int rpcprof_pprof_add(struct rpcprof_pprof *pprof, const uint64_t *locations, size_t depth,
                      const int64_t *values, const struct rpcprof_pprof_label *labels,
                      size_t label_count)
{
	struct pprof_sample *sample;

	if (PPROF_RESERVE(pprof, samples, 1) != 0 || PPROF_RESERVE(pprof, frames, depth) != 0 ||
	    PPROF_RESERVE(pprof, values, pprof->types_count) != 0 ||
	    PPROF_RESERVE(pprof, labels, label_count) != 0)
		return -ENOMEM;
	sample = &pprof->samples[pprof->samples_count++];
	sample->frames = pprof->frames_count;
	sample->depth = (uint32_t)depth;
	sample->labels = pprof->labels_count;
	sample->label_count = (uint32_t)label_count;
	for (size_t i = 0; i < depth; i++)
		pprof->frames[pprof->frames_count++] = locations[i];
	for (size_t i = 0; i < pprof->types_count; i++)
		pprof->values[pprof->values_count++] = values[i];
	for (size_t i = 0; i < label_count; i++) {
		struct pprof_label *label = &pprof->labels[pprof->labels_count++];

		label->key = (uint32_t)labels[i].key;
		label->str = (uint32_t)labels[i].str;
		label->num = labels[i].num;
		label->unit = (uint32_t)labels[i].num_unit;
	}
	return 0;
}
