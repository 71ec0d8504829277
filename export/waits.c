/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profiles of waits. Those of calls come from the Stats that are collected anyway, so that they
 * cost recording nothing; sampling happens there (aggregate_waits.c).
 */
#include "rpcprof/waits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic_internal.h"
#include "export/exporter_internal.h"
#include "export/series_profile_internal.h"
#include "export/waits_internal.h"
#include "rpcprof/version.h"

static uint64_t block_rate_ns; /* relaxed: guards nothing */

int64_t rpcprof_set_block_rate(int64_t ns)
{
	if (ns < 0)
		return (int64_t)rpcprof_load_relaxed(&block_rate_ns);
	return (int64_t)rpcprof_exchange_acq_rel(&block_rate_ns, (uint64_t)ns);
}

struct rpcprof_wait_rates rpcprof_wait_rates(void)
{
	int64_t fraction = rpcprof_set_mutex_fraction(-1);

	return (struct rpcprof_wait_rates){.block_ns = rpcprof_load_relaxed(&block_rate_ns),
	                                   .mutex_fraction = fraction > 0 ? (uint64_t)fraction : 0};
}

static uint64_t rate_of(enum rpcprof_waits kind)
{
	struct rpcprof_wait_rates rates = rpcprof_wait_rates();

	return kind == RPCPROF_BLOCK ? rates.block_ns : rates.mutex_fraction;
}

static int add_lock(void *arg, const struct rpcprof_lock_view *lock)
{
	struct rpcprof_waits_look *look = arg;

	if (look->lock_count == RPCPROF_WAITS_LOCKS)
		return 1;
	look->locks[look->lock_count++] = (struct rpcprof_waits_lock){
		.tag = lock->tag, .sums = {lock->count, lock->delay_ns}};
	return 0;
}

static int copy_sums(struct rpcprof_waits_look *look)
{
	const struct rpcprof_aggregate *aggregate = rpcprof_collector_lock();

	look->aggregate = aggregate;
	look->series = aggregate->totals.series;
	look->sums = malloc(look->series * sizeof(*look->sums));
	for (uint32_t i = 0; look->sums != NULL && i < look->series; i++)
		look->sums[i] = aggregate->series[i].waits[look->kind];
	rpcprof_collector_unlock();
	return look->sums != NULL ? 0 : -ENOMEM;
}

int rpcprof_waits_look(struct rpcprof_waits_look *look, enum rpcprof_waits kind)
{
	struct rpcprof_clock_map map;
	int error;

	memset(look, 0, sizeof(*look));
	look->kind = kind;
	if (rate_of(kind) == 0)
		return -ENOENT;
	error = rpcprof_profiles_begin();
	if (error != 0)
		return error;
	error = copy_sums(look);
	rpcprof_profiles_end();
	look->unaggregated = rpcprof_collector_unaggregated();
	if (kind == RPCPROF_MUTEX)
		(void)rpcprof_lock_walk(add_lock, look);
	if (rpcprof_clock_map_get(&map) == 0)
		look->utc_ns = rpcprof_clock_utc_ns(&map, rpcprof_clock_now(), NULL);
	return error;
}

void rpcprof_waits_close(struct rpcprof_waits_look *look)
{
	free(look->sums);
	look->sums = NULL;
}

static void add_sums(struct rpcprof_series_profile *profile, uint32_t number, uint32_t alone,
                     const struct rpcprof_wait_sums *sums, const struct rpcprof_wait_sums *since)
{
	const int64_t values[] = {(int64_t)(sums->count - since->count),
	                          (int64_t)(sums->delay_ns - since->delay_ns)};

	if (values[0] == 0)
		return;
	if (alone != RPCPROF_TAG_NONE)
		rpcprof_series_profile_add_alone(profile, alone, values);
	else
		rpcprof_series_profile_add(profile, number, values);
}

static const struct rpcprof_wait_sums nothing;

static const struct rpcprof_wait_sums *lock_since(const struct rpcprof_waits_look *since,
                                                  uint32_t tag)
{
	for (uint32_t i = 0; since != NULL && i < since->lock_count; i++)
		if (since->locks[i].tag == tag)
			return &since->locks[i].sums;
	return &nothing;
}

static void add_all(struct rpcprof_series_profile *profile, const struct rpcprof_waits_look *look,
                    const struct rpcprof_waits_look *since)
{
	for (uint32_t i = 0; i < look->series; i++)
		add_sums(profile, i, RPCPROF_TAG_NONE, &look->sums[i],
		         since != NULL && i < since->series ? &since->sums[i] : &nothing);
	for (uint32_t i = 0; i < look->lock_count; i++)
		add_sums(profile, 0, look->locks[i].tag, &look->locks[i].sums,
		         lock_since(since, look->locks[i].tag));
}

/* Cumulative ones are dated by the moment of the look and have no length, as Go's: consumers take
 * the difference of two for a window. */
static int make(const struct rpcprof_waits_look *look, const struct rpcprof_waits_look *since,
                uint8_t **bytes, size_t *length)
{
	static const struct rpcprof_pprof_type types[] = {{"contentions", "count"},
	                                                  {"delay", "nanoseconds"}};
	char version[64], rate[64], unaggregated[64];
	const char *const comments[] = {version, rate, unaggregated};
	struct rpcprof_series_profile profile;

	snprintf(version, sizeof(version), "rpcprof %s", rpcprof_version());
	snprintf(rate, sizeof(rate), look->kind == RPCPROF_BLOCK ? "rate: %" PRIu64 " ns"
	         : "fraction: one of %" PRIu64, rate_of(look->kind));
	snprintf(unaggregated, sizeof(unaggregated), "unaggregated: %" PRIu64,
	         look->unaggregated - (since != NULL ? since->unaggregated : 0));
	rpcprof_series_profile_open(
		&profile, look->aggregate, look->series,
		&(struct rpcprof_pprof_info){
			.types = types, .type_count = 2, .period_type = types[0], .period = 1,
			.time_ns = since != NULL ? since->utc_ns : look->utc_ns,
			.duration_ns = since != NULL ? look->utc_ns - since->utc_ns : 0,
			.comments = comments, .comment_count = 3});
	add_all(&profile, look, since);
	return rpcprof_series_profile_close(&profile, bytes, length);
}

int rpcprof_waits_encode(const struct rpcprof_waits_look *look,
                         const struct rpcprof_waits_look *since, uint8_t **bytes, size_t *length)
{
	const struct rpcprof_aggregate *now;
	int error = rpcprof_profiles_begin();

	if (error != 0)
		return error;
	now = rpcprof_collector_aggregate();
	error = -ESTALE;
	if (now == look->aggregate && (since == NULL || now == since->aggregate))
		error = make(look, since, bytes, length);
	rpcprof_profiles_end();
	return error;
}

static int encode(enum rpcprof_waits kind, uint8_t **bytes, size_t *length)
{
	struct rpcprof_waits_look look;
	int error;

	do {
		error = rpcprof_waits_look(&look, kind);
		if (error == 0)
			error = rpcprof_waits_encode(&look, NULL, bytes, length);
		rpcprof_waits_close(&look);
	} while (error == -ESTALE); /* an exporter was started at this very moment */
	return error;
}

int rpcprof_block_encode(uint8_t **bytes, size_t *length)
{
	return encode(RPCPROF_BLOCK, bytes, length);
}

int rpcprof_mutex_encode(uint8_t **bytes, size_t *length)
{
	return encode(RPCPROF_MUTEX, bytes, length);
}
