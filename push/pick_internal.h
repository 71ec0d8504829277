/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PICK_INTERNAL_H
#define RPCPROF_PICK_INTERNAL_H

/* A profile of some of the samples of another. */
#include "export/pprof_model_internal.h"

/* Sets of labels that keep an "other" of their own. */
#define RPCPROF_PICK_OTHERS_MAX 64

/* The first `keep` of the samples as they are, the `fold` ones after them as "other", by their
 * string labels if `labels`. Gzipped; *bytes is malloc'ed. 0 or a negative errno. */
struct rpcprof_picked {
	const uint32_t *samples;
	size_t keep, fold;
	bool labels;
	int64_t later_ns; /* added to the profile's time */
};
int rpcprof_pick(const struct rpcprof_pprof *from, const struct rpcprof_picked *picked,
                 uint8_t **bytes, size_t *length);

#endif
