/* SPDX-License-Identifier: Apache-2.0 */
#include "export/aggregate_internal.h"

#include <errno.h>
#include <stdlib.h>

int rpcprof_consumer_open(struct rpcprof_consumer *consumer,
                          const struct rpcprof_aggregate *aggregate)
{
	size_t count = rpcprof_aggregate_series_max(aggregate);

	/* Room for the most series at once: pages that are never written cost nothing. */
	consumer->taken = calloc(2 * count, sizeof(*consumer->taken));
	if (consumer->taken == NULL)
		return -ENOMEM;
	consumer->delta = consumer->taken + count;
	consumer->count = 0;
	consumer->changed = 0;
	return 0;
}

void rpcprof_consumer_close(struct rpcprof_consumer *consumer)
{
	/* In this order, since another thread may fork: the child would free it again. relaxed: free()
	 * needs what the exchange gives. */
	free(__atomic_exchange_n(&consumer->taken, NULL, __ATOMIC_RELAXED));
}

void rpcprof_consumer_take(struct rpcprof_consumer *consumer,
                           const struct rpcprof_aggregate *aggregate)
{
	consumer->count = aggregate->totals.series;
	consumer->changed = 0;
	for (uint32_t i = 0; i < consumer->count; i++) {
		const struct rpcprof_series_sums *now = &aggregate->series[i].sums;
		struct rpcprof_series_sums *taken = &consumer->taken[i];
		struct rpcprof_series_sums *delta = &consumer->delta[i];

		delta->calls = now->calls - taken->calls;
		delta->stages = now->stages - taken->stages;
		delta->wall_ns = now->wall_ns - taken->wall_ns;
		*taken = *now;
		if ((delta->calls | delta->stages | delta->wall_ns) != 0)
			consumer->changed++;
	}
}
