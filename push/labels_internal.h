/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_LABELS_INTERNAL_H
#define RPCPROF_LABELS_INTERNAL_H

/* The labels of a series. */
#include <errno.h>
#include <stdbool.h>

#include "rpcprof/push.h"

#define RPCPROF_LABEL_SET_MAX (2 + RPCPROF_PUSH_LABELS_MAX) /* __name__, service_name */

struct rpcprof_labels {
	struct rpcprof_label list[RPCPROF_LABEL_SET_MAX];
	size_t count;
};

/* Different values that were seen, of all labels: servers keep a series for each. */
struct rpcprof_label_values {
	uint64_t *hashes; /* malloc'ed */
	size_t count, max;
};

/* What is wrong with a label, a sentence's end; NULL: nothing. */
const char *rpcprof_label_check(const struct rpcprof_label *label, uint32_t protocol);
const char *rpcprof_profile_name_check(const char *name);

/* Adds a label or replaces the one of its name; borrowed. false: there is no room. */
bool rpcprof_labels_put(struct rpcprof_labels *labels, const struct rpcprof_label *label);

/* The same with a copy, to be given back by remove or clear. 0, -ENOSPC or -ENOMEM. */
int rpcprof_labels_set(struct rpcprof_labels *labels, const struct rpcprof_label *label);
void rpcprof_labels_remove(struct rpcprof_labels *labels, const char *name);
void rpcprof_labels_clear(struct rpcprof_labels *labels);

/* The value of each label but __name__, or "other" in place of one that is new when there were so
 * many. How many of them. */
size_t rpcprof_labels_cap(struct rpcprof_labels *labels, struct rpcprof_label_values *values);

#endif
