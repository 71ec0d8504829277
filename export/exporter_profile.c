/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles on request: of what came since the last one, by one reader of the aggregate that all who
 * ask share; and of a span of time, by a reader of its own.
 */
#include "export/exporter_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rpcprof_reader reader;
static bool reading;

static void close_reader(void)
{
	if (reading)
		rpcprof_consumer_close(&reader.consumer);
	reader = (struct rpcprof_reader){0};
	reading = false;
}

int rpcprof_profiles_reopen(const struct rpcprof_aggregate_options *options, bool *kept)
{
	const struct rpcprof_aggregate *old;
	int error;

	pthread_mutex_lock(&lock);
	old = rpcprof_collector_aggregate();
	error = rpcprof_collector_open(options);
	*kept = rpcprof_collector_aggregate() == old;
	if (!*kept)
		close_reader();
	pthread_mutex_unlock(&lock);
	return error;
}

void rpcprof_profiles_forget(void)
{
	pthread_mutex_init(&lock, NULL);
	close_reader();
}

static int ensure_collector(void)
{
	const struct rpcprof_aggregate_options options = {
		.bytes = RPCPROF_AGGREGATE_BYTES_DEFAULT};

	rpcprof_exporter_watch_forks();
	return rpcprof_collector_is_open() ? 0 : rpcprof_collector_open(&options);
}

int rpcprof_profiles_ensure(void)
{
	int error;

	pthread_mutex_lock(&lock);
	error = ensure_collector();
	pthread_mutex_unlock(&lock);
	return error;
}

int rpcprof_profiles_begin(void)
{
	int64_t status;

	pthread_mutex_lock(&lock);
	status = ensure_collector();
	if (status == 0)
		status = rpcprof_collector_collect(0);
	if (status >= 0)
		return 0;
	pthread_mutex_unlock(&lock);
	return (int)status;
}

void rpcprof_profiles_end(void)
{
	pthread_mutex_unlock(&lock);
}

static int open_consumer(struct rpcprof_consumer *consumer)
{
	int error = ensure_collector();

	if (error == 0)
		error = rpcprof_consumer_open(consumer, rpcprof_collector_aggregate());
	return error;
}

static int open_reader(void)
{
	int error = open_consumer(&reader.consumer);

	reading = error == 0;
	return error;
}

/* From the end of the last one; the first, from the begin of the earliest call. */
static int64_t begin_of_next(const struct rpcprof_clock_map *map, int64_t now_ns)
{
	struct rpcprof_aggregate_totals totals;

	if (reader.begin_ns != 0)
		return reader.begin_ns;
	rpcprof_collector_totals(&totals);
	if (totals.first_begin == 0)
		return now_ns;
	return rpcprof_clock_utc_ns(map, totals.first_begin, NULL);
}

static int take(struct rpcprof_profile *profile)
{
	uint64_t now = rpcprof_clock_now();
	struct rpcprof_clock_map map;
	int64_t end, begin;
	int error = reading ? 0 : open_reader();

	if (error == 0)
		error = rpcprof_clock_map_get(&map);
	if (error == 0 && (error = (int)rpcprof_collector_collect(now)) > 0)
		error = 0;
	if (error != 0)
		return error;
	end = rpcprof_clock_utc_ns(&map, now, NULL);
	begin = begin_of_next(&map, end);
	if (!rpcprof_collector_take(&reader, begin, end > begin ? end : begin, profile))
		error = -ENODATA;
	if (error == 0)
		error = rpcprof_profile_make(profile, &reader, rpcprof_collector_aggregate());
	if (error != 0 && error != -ENODATA)
		rpcprof_reader_undo(&reader, profile);
	/* An empty one does not move the begin: what comes will have begun by then. */
	reader.length_ns = 0;
	reader.begin_ns = error == 0 ? end : begin;
	return error;
}

int rpcprof_profile_encode(uint8_t **bytes, size_t *length)
{
	struct rpcprof_profile profile;
	int error;

	pthread_mutex_lock(&lock);
	error = take(&profile);
	pthread_mutex_unlock(&lock);
	if (error != 0)
		return error;
	*bytes = profile.bytes;
	*length = profile.length;
	return 0;
}

int rpcprof_profile_write(const char *path)
{
	struct rpcprof_profile profile;
	int error;

	pthread_mutex_lock(&lock);
	error = take(&profile);
	if (error == 0) {
		error = rpcprof_file_write(path, profile.bytes, profile.length, false);
		if (error != 0) {
			rpcprof_reader_undo(&reader, &profile);
			reader.length_ns = 0;
		}
		free(profile.bytes);
	}
	pthread_mutex_unlock(&lock);
	return error;
}

struct rpcprof_period {
	uint64_t epoch; /* of the aggregate that it reads */
	struct rpcprof_reader reader;
	int64_t begin_ns; /* of the next take */
	uint64_t begin_ticks; /* 0: the begin of the earliest call */
};

/* Takes in all up to now. */
static int collect(struct rpcprof_clock_map *map, uint64_t now)
{
	int64_t status = rpcprof_clock_map_get(map);

	if (status == 0)
		status = rpcprof_collector_collect(now);
	return status < 0 ? (int)status : 0;
}

static void begin_at(struct rpcprof_period *period, const struct rpcprof_clock_map *map,
                     uint64_t ticks)
{
	period->begin_ticks = ticks;
	period->begin_ns = rpcprof_clock_utc_ns(map, ticks, NULL);
}

static int begin_now(struct rpcprof_period *period)
{
	uint64_t now = rpcprof_clock_now();
	struct rpcprof_profile before;
	struct rpcprof_clock_map map;
	int error = collect(&map, now);

	if (error != 0)
		return error;
	begin_at(period, &map, now);
	(void)rpcprof_collector_take(&period->reader, period->begin_ns, period->begin_ns, &before);
	return 0;
}

static int open_period(struct rpcprof_period *period, enum rpcprof_period_begin begin)
{
	int error = open_consumer(&period->reader.consumer);

	if (error != 0)
		return error;
	period->epoch = rpcprof_collector_epoch();
	error = begin == RPCPROF_PERIOD_FROM_NOW ? begin_now(period) : 0;
	if (error != 0)
		rpcprof_consumer_close(&period->reader.consumer);
	return error;
}

int rpcprof_period_open(struct rpcprof_period **out, enum rpcprof_period_begin begin)
{
	struct rpcprof_period *period = calloc(1, sizeof(*period));
	int error;

	if (period == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&lock);
	error = open_period(period, begin);
	pthread_mutex_unlock(&lock);
	if (error != 0)
		free(period);
	else
		*out = period;
	return error;
}

static int make_period(struct rpcprof_period *period, struct rpcprof_profile *profile)
{
	if (rpcprof_collector_epoch() != period->epoch)
		return -ESTALE;
	return rpcprof_profile_make(profile, &period->reader, rpcprof_collector_aggregate());
}

static int take_period(struct rpcprof_period *period, struct rpcprof_profile *profile)
{
	struct rpcprof_aggregate_totals totals;
	uint64_t now = rpcprof_clock_now();
	struct rpcprof_clock_map map;
	int64_t end;
	int error;
	bool some;

	if (rpcprof_collector_epoch() != period->epoch)
		return -ESTALE;
	error = collect(&map, now);
	if (error != 0)
		return error;
	rpcprof_collector_totals(&totals);
	if (period->begin_ticks == 0)
		begin_at(period, &map, totals.first_begin != 0 ? totals.first_begin : now);
	end = period->begin_ns +
	      (int64_t)rpcprof_clock_elapsed_ns(&map, period->begin_ticks, now);
	some = rpcprof_collector_take(&period->reader, period->begin_ns, end, profile);
	begin_at(period, &map, now);
	if (!some)
		return -ENODATA;
	error = make_period(period, profile);
	if (error != 0)
		rpcprof_reader_undo(&period->reader, profile);
	return error;
}

int rpcprof_period_take(struct rpcprof_period *period, struct rpcprof_profile *profile)
{
	int error;

	pthread_mutex_lock(&lock);
	error = take_period(period, profile);
	pthread_mutex_unlock(&lock);
	return error;
}

int rpcprof_period_make(struct rpcprof_period *period, struct rpcprof_profile *profile)
{
	int error;

	pthread_mutex_lock(&lock);
	error = make_period(period, profile);
	pthread_mutex_unlock(&lock);
	return error;
}

void rpcprof_period_undo(struct rpcprof_period *period, const struct rpcprof_profile *profile)
{
	rpcprof_reader_undo(&period->reader, profile);
}

void rpcprof_period_close(struct rpcprof_period *period)
{
	if (period == NULL)
		return;
	rpcprof_consumer_close(&period->reader.consumer);
	free(period);
}
