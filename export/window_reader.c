/* SPDX-License-Identifier: Apache-2.0 */
#include "export/window_internal.h"

bool rpcprof_reader_take(struct rpcprof_reader *reader, const struct rpcprof_aggregate *aggregate,
                         uint64_t unaggregated, int64_t begin_ns, int64_t end_ns,
                         struct rpcprof_profile *profile)
{
	if (reader->length_ns == 0)
		reader->begin_ns = begin_ns;
	*profile = (struct rpcprof_profile){
		.begin_ns = reader->begin_ns,
		.length_ns = reader->length_ns + (end_ns - begin_ns),
		.unaggregated = unaggregated - reader->unaggregated,
		.overflow = aggregate->totals.overflow - reader->overflow};
	rpcprof_consumer_take(&reader->consumer, aggregate);
	reader->unaggregated = unaggregated;
	reader->overflow = aggregate->totals.overflow;
	reader->length_ns = 0;
	return reader->consumer.changed != 0 || profile->unaggregated != 0;
}

void rpcprof_reader_undo(struct rpcprof_reader *reader, const struct rpcprof_profile *profile)
{
	struct rpcprof_consumer *consumer = &reader->consumer;

	for (uint32_t i = 0; i < consumer->count; i++) {
		consumer->taken[i].calls -= consumer->delta[i].calls;
		consumer->taken[i].stages -= consumer->delta[i].stages;
		consumer->taken[i].wall_ns -= consumer->delta[i].wall_ns;
	}
	reader->unaggregated -= profile->unaggregated;
	reader->overflow -= profile->overflow;
	reader->begin_ns = profile->begin_ns;
	reader->length_ns = profile->length_ns;
}
