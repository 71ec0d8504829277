/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads record at full speed beside an exporter: the calls of all profiles and those that it
 * counted as unaggregated are the calls made, and so are the wall times of all of them.
 *
 * usage: stress_exporter [SECONDS [CALLS_PER_SECOND]]
 * At a rate given, e.g. "60 200000", nothing should be unaggregated; the last line says.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "profile.pb-c.h"
#include "rpcprof/export.h"
#include "rpcprof/rpcprof.h"

#define THREADS 4
#define SECONDS 3
#define BATCH_NS 1000000

struct totals {
	uint64_t calls;
	uint64_t stages;
	uint64_t wall_ns;
	uint64_t unaggregated;
	uint64_t windows;
};

static uint32_t stop;
static uint64_t per_second; /* of all threads; 0 = at full speed */
static uint64_t made[THREADS];

static size_t unzip(const uint8_t *bytes, size_t length, uint8_t *out, size_t room)
{
	z_stream stream = {0};

	assert(inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK);
	stream.next_in = (uint8_t *)(uintptr_t)bytes;
	stream.avail_in = (uInt)length;
	stream.next_out = out;
	stream.avail_out = (uInt)room;
	assert(inflate(&stream, Z_FINISH) == Z_STREAM_END);
	inflateEnd(&stream);
	return stream.total_out;
}

static void on_window(void *arg, const struct rpcprof_window_profile *window)
{
	static uint8_t plain[1 << 20];
	struct totals *totals = arg;
	size_t length = unzip(window->bytes, window->length, plain, sizeof(plain));
	Perftools__Profiles__Profile *profile =
		perftools__profiles__profile__unpack(NULL, length, plain);

	assert(profile != NULL);
	for (size_t i = 0; i < profile->n_sample; i++) {
		totals->calls += (uint64_t)profile->sample[i]->value[0];
		totals->stages += (uint64_t)profile->sample[i]->value[1];
		totals->wall_ns += (uint64_t)profile->sample[i]->value[2];
	}
	perftools__profiles__profile__free_unpacked(profile, NULL);
	totals->unaggregated += window->unaggregated;
	totals->windows++;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Sleeps while this thread is ahead of its share of the rate by a batch. */
static void keep_pace(uint64_t begin, uint64_t count)
{
	struct timespec pause = {.tv_nsec = BATCH_NS};
	uint64_t due_ns = count * 1000000000 / (per_second / THREADS);

	if (due_ns > now_ns() - begin + BATCH_NS)
		(void)nanosleep(&pause, NULL);
}

static void *record(void *arg)
{
	uint64_t *count = arg, begin = now_ns();

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		assert(!rpcprof_stat_is_null(stat));
		rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/a.B/C",
		                                                 (size_t)-1));
		rpcprof_timer_end(RPCPROF_TIMER_BEGIN(stat, "/decode"));
		rpcprof_timer_end(RPCPROF_TIMER_BEGIN(stat, "/handler"));
		rpcprof_stat_end(stat);
		++*count;
		if (per_second != 0)
			keep_pace(begin, *count);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct totals totals = {0};
	struct rpcprof_exporter_config config = {.size = sizeof(config), .interval_s = 1,
	                                         .on_window = on_window,
	                                         .on_window_arg = &totals};
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};
	struct timespec pause = {.tv_sec = argc > 1 ? atoi(argv[1]) : SECONDS};
	pthread_t threads[THREADS];
	uint64_t all = 0;

	per_second = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	assert(rpcprof_init(NULL) == 0);
	assert(rpcprof_exporter_start(&config) == 0);
	for (int i = 0; i < THREADS; i++)
		assert(pthread_create(&threads[i], NULL, record, &made[i]) == 0);
	while (nanosleep(&pause, &pause) != 0)
		assert(errno == EINTR);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		all += made[i];
	}
	assert(rpcprof_exporter_stop() == 0);
	assert(rpcprof_exporter_get_stats(&stats) == 0);
	printf("%lu windows: %lu calls made = %lu in profiles + %lu unaggregated; %lu ns a call\n",
	       totals.windows, all, totals.calls, totals.unaggregated,
	       totals.calls != 0 ? totals.wall_ns / totals.calls : 0);
	assert(totals.calls + totals.unaggregated == all);
	assert(totals.stages == 2 * totals.calls);
	assert(stats.calls == totals.calls && stats.unaggregated == totals.unaggregated);
	assert(totals.windows >= 2);
	return 0;
}
