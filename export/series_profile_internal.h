/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_SERIES_PROFILE_INTERNAL_H
#define RPCPROF_SERIES_PROFILE_INTERNAL_H

/* Profiles whose stacks are series of the aggregate, whatever their values are. */
#include "export/aggregate_internal.h"
#include "export/pprof_internal.h"

/* A profile while its samples are added. Errors stick: the first is what close returns. */
struct rpcprof_series_profile {
	struct rpcprof_pprof *pprof;
	const struct rpcprof_aggregate *aggregate;
	uint64_t *locations; /* by series; 0 = not yet made */
	int error;
};

/* series: numbers below it may be added. info: the program becomes its mapping. */
void rpcprof_series_profile_open(struct rpcprof_series_profile *profile,
                                 const struct rpcprof_aggregate *aggregate, uint32_t series,
                                 const struct rpcprof_pprof_info *info);

/* The sample of a series, with one value of each type. What does not change of series may be read
 * beside threads that add calls. */
void rpcprof_series_profile_add(struct rpcprof_series_profile *profile, uint32_t number,
                                const int64_t *values);

/* A sample of one frame, of no call. */
void rpcprof_series_profile_add_alone(struct rpcprof_series_profile *profile, uint32_t tag,
                                      const int64_t *values);

/* The bytes, malloc'ed, the caller's. 0 or the first error; nothing is left of it in any case. */
int rpcprof_series_profile_close(struct rpcprof_series_profile *profile, uint8_t **bytes,
                                 size_t *length);

#endif
