/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles on request: one reader of the aggregate, shared by all who ask.
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

static int open_reader(void)
{
	const struct rpcprof_aggregate_options options = {
		.bytes = RPCPROF_AGGREGATE_BYTES_DEFAULT};
	int error = 0;

	rpcprof_exporter_watch_forks();
	if (!rpcprof_collector_is_open())
		error = rpcprof_collector_open(&options);
	if (error == 0)
		error = rpcprof_consumer_open(&reader.consumer, rpcprof_collector_aggregate());
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
