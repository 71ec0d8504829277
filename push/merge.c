/* SPDX-License-Identifier: Apache-2.0 */
#include "push/merge_internal.h"

#include <stdlib.h>
#include <string.h>

#define GAP_NS (60 * INT64_C(1000000000)) /* windows without calls are not sent */

static void lay(struct rpcprof_merge *merge, struct rpcprof_waiting *part)
{
	part->next = merge->parts;
	merge->parts = part;
	merge->count++;
	merge->sent += part->length;
	merge->begin_ns = part->begin_ns;
	if (merge->count == 1 || part->end_ns > merge->end_ns)
		merge->end_ns = part->end_ns;
}

/* What does not add up ends the sum, not the parts. */
static void add_up(struct rpcprof_merge *merge, const struct rpcprof_pprof *model)
{
	struct pprof_error error;

	if (rpcprof_pprof_merge(merge->sum, model, false, &error) == 0)
		return;
	rpcprof_pprof_close(merge->sum);
	merge->sum = NULL;
}

void rpcprof_merge_begin(struct rpcprof_merge *merge, struct rpcprof_waiting *newest)
{
	struct rpcprof_pprof *model = NULL;
	struct pprof_error error;

	if (rpcprof_fit_read(rpcprof_waiting_profile(newest), newest->length, &model,
	                     &merge->bytes, &error) == 0)
		merge->sum = rpcprof_pprof_model_open(0);
	if (merge->sum != NULL)
		add_up(merge, model);
	rpcprof_pprof_close(model);
	lay(merge, newest);
}

static bool follows(const struct rpcprof_merge *merge, const struct rpcprof_waiting *older)
{
	const struct rpcprof_waiting *part = merge->parts;

	return older->end_ns >= merge->begin_ns - GAP_NS &&
	       older->label_count == part->label_count &&
	       older->label_bytes == part->label_bytes &&
	       memcmp(older->data, part->data, part->label_bytes) == 0;
}

/* The sum is usually far smaller than its parts together: to know takes encoding it. */
static bool has_room(struct rpcprof_merge *merge, size_t bytes)
{
	struct rpcprof_part part;

	if (merge->bytes + bytes <= merge->limits.bytes)
		return true;
	if (rpcprof_pprof_encode(merge->sum, &part.bytes, &part.length) != 0)
		return false;
	merge->bytes = rpcprof_fit_uncompressed(&part);
	free(part.bytes);
	return merge->bytes + bytes <= merge->limits.bytes;
}

bool rpcprof_merge_takes(struct rpcprof_merge *merge, const struct rpcprof_waiting *older,
                         struct rpcprof_pprof **model)
{
	struct pprof_error error;
	size_t bytes;

	if (merge->sum == NULL || !follows(merge, older) ||
	    merge->sent + older->length > merge->sent_max ||
	    rpcprof_fit_read(rpcprof_waiting_profile((struct rpcprof_waiting *)older),
	                     older->length, model, &bytes, &error) != 0)
		return false;
	if (merge->sum->samples_count + (*model)->samples_count <= merge->limits.samples &&
	    has_room(merge, bytes)) {
		merge->bytes += bytes;
		return true;
	}
	rpcprof_pprof_close(*model);
	return false;
}

void rpcprof_merge_add(struct rpcprof_merge *merge, struct rpcprof_waiting *older,
                       struct rpcprof_pprof *model)
{
	add_up(merge, model);
	lay(merge, older);
	rpcprof_pprof_close(model);
}

static struct rpcprof_waiting *make_one(const struct rpcprof_merge *merge)
{
	struct rpcprof_waiting *one = NULL;
	struct rpcprof_labels labels;
	struct rpcprof_part part;

	(void)rpcprof_waiting_labels(merge->parts, &labels); /* checked when it was read */
	if (rpcprof_pprof_encode(merge->sum, &part.bytes, &part.length) != 0)
		return NULL;
	if (rpcprof_fit_uncompressed(&part) <= merge->limits.bytes)
		one = rpcprof_waiting_make(&labels, merge->begin_ns, merge->end_ns, part.bytes,
		                           part.length);
	free(part.bytes);
	return one;
}

struct rpcprof_waiting *rpcprof_merge_end(struct rpcprof_merge *merge)
{
	struct rpcprof_waiting *one = NULL;

	if (merge->sum != NULL && merge->count > 1)
		one = make_one(merge);
	rpcprof_pprof_close(merge->sum);
	merge->sum = NULL;
	if (one == NULL)
		return merge->parts;
	rpcprof_waiting_free_all(merge->parts);
	merge->count = 1;
	return merge->parts = one;
}
