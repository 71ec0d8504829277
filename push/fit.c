/* SPDX-License-Identifier: Apache-2.0 */
#include "push/fit_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "push/pick_internal.h"

#define UNCOMPRESSED_MAX ((size_t)64 << 20)
#define MODEL_MAX ((size_t)128 << 20)

int rpcprof_fit_read(const uint8_t *bytes, size_t length, struct rpcprof_pprof **model,
                     size_t *uncompressed, struct pprof_error *error)
{
	uint8_t *plain = NULL;
	int status;

	*uncompressed = length;
	if (!rpcprof_pprof_is_gzip(bytes, length))
		return rpcprof_pprof_decode(bytes, length, MODEL_MAX, model, error);
	status = rpcprof_pprof_gunzip(bytes, length, UNCOMPRESSED_MAX, &plain, uncompressed, error);
	if (status == 0)
		status = rpcprof_pprof_decode(plain, *uncompressed, MODEL_MAX, model, error);
	free(plain);
	return status;
}

/* The type that counts for what is small: the one that viewers show. */
static size_t shown_type(const struct rpcprof_pprof *model)
{
	for (size_t i = 0; i < model->types_count; i++)
		if (model->default_type != 0 && model->types[i].type == model->default_type)
			return i;
	return model->types_count - 1;
}

struct by_value {
	const struct rpcprof_pprof *model;
	size_t type;
};

static int compare_samples(const void *left, const void *right, void *arg)
{
	const struct by_value *by = arg;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	int64_t x = rpcprof_pprof_values(by->model, a)[by->type];
	int64_t y = rpcprof_pprof_values(by->model, b)[by->type];

	return x != y ? (x < y) - (x > y) : (a > b) - (a < b);
}

/* The samples, largest first. malloc'ed. */
static uint32_t *order(const struct rpcprof_pprof *model)
{
	struct by_value by = {model, shown_type(model)};
	uint32_t *samples = malloc(model->samples_count * sizeof(*samples));

	for (uint32_t i = 0; samples != NULL && i < model->samples_count; i++)
		samples[i] = i;
	if (samples != NULL)
		qsort_r(samples, model->samples_count, sizeof(*samples), compare_samples, &by);
	return samples;
}

/* What gzip says at its end. */
size_t rpcprof_fit_uncompressed(const struct rpcprof_part *part)
{
	const uint8_t *end = part->bytes + part->length - 4;

	return end[0] | (size_t)end[1] << 8 | (size_t)end[2] << 16 | (size_t)end[3] << 24;
}

/* How many samples a part may have, of `count`; the last leaves room for "other". */
static size_t most_samples(size_t count, bool last, const struct rpcprof_limits *limits)
{
	if (count <= limits->samples)
		return count;
	return limits->samples - (last ? RPCPROF_PICK_OTHERS_MAX : 0);
}

/* One part: so many of the samples, and if it is to be the last all others as "other"; fewer and
 * fewer, until the part is small enough. Returns how many it holds. */
static int64_t make_part(const struct rpcprof_pprof *model, struct rpcprof_picked *picked,
                         size_t count, bool last, const struct rpcprof_limits *limits,
                         struct rpcprof_part *part)
{
	picked->labels = true;
	picked->keep = most_samples(count, last, limits);
	for (;;) {
		size_t size;
		int status;

		picked->fold = last ? count - picked->keep : 0;
		status = rpcprof_pick(model, picked, &part->bytes, &part->length);
		if (status < 0)
			return status;
		size = rpcprof_fit_uncompressed(part);
		if (size <= limits->bytes)
			return (int64_t)picked->keep;
		free(part->bytes);
		if (picked->keep == 0 && !picked->labels)
			return -EFBIG;
		picked->labels = picked->keep != 0;
		picked->keep = (size_t)((double)picked->keep * 0.9 * (double)limits->bytes /
		                        (double)size);
		if (picked->keep == 0 && !last)
			return -EFBIG; /* one sample alone is too large */
	}
}

static int split(const struct rpcprof_pprof *model, const struct rpcprof_limits *limits,
                 struct rpcprof_part *parts, uint64_t *folded)
{
	uint32_t *samples = order(model);
	size_t at = 0, count = model->samples_count;
	int64_t held = samples != NULL ? 0 : -ENOMEM;
	uint32_t made = 0;

	while (held >= 0 && at < count && made < limits->parts) {
		/* Pyroscope 1.x shows one profile of a series and millisecond, and no other. */
		struct rpcprof_picked picked = {.samples = samples + at, .later_ns = made * 1000000ll};

		held = make_part(model, &picked, count - at, made + 1 == limits->parts, limits,
		                 &parts[made]);
		if (held >= 0) {
			at += (size_t)held;
			made++;
		}
	}
	free(samples);
	if (held >= 0) {
		*folded = count - at;
		return (int)made;
	}
	while (made > 0)
		free(parts[--made].bytes);
	return (int)held;
}

int rpcprof_fit(const uint8_t *bytes, size_t length, const struct rpcprof_limits *limits,
                struct rpcprof_part *parts, uint64_t *folded, struct pprof_error *error)
{
	struct rpcprof_pprof *model = NULL;
	size_t plain_length;
	int status = rpcprof_fit_read(bytes, length, &model, &plain_length, error);

	*folded = 0;
	if (status == 0 && (plain_length > limits->bytes || model->samples_count > limits->samples)) {
		status = split(model, limits, parts, folded);
		if (status < 0)
			snprintf(error->text, sizeof(error->text), "%s",
			         status == -EFBIG ? "one sample of it is more than servers take"
			                          : "no memory to split it");
	}
	rpcprof_pprof_close(model);
	return status;
}
