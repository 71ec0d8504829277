/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the exporter does each time it wakes. No thread in here, and no clock but the library's.
 */
#include "export/exporter_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/channel_internal.h"
#include "rpcprof/control.h"

#define LABEL_SETS_WARNING 34 /* times the three sample types: more than 100 series */

static struct rpcprof_window_now now_of(const struct rpcprof_clock_map *map, uint64_t ticks)
{
	const struct rpcprof_anchor *last = &map->anchors[map->count - 1];
	struct rpcprof_window_now now = {
		.utc_ns = rpcprof_clock_utc_ns(map, ticks, NULL),
		.monotonic_ns = last->monotonic_ns +
		                (int64_t)rpcprof_clock_elapsed_ns(map, last->ticks, ticks)};

	return now;
}

static void options_of(struct rpcprof_aggregate_options *options,
                       const struct rpcprof_exporter_config *config)
{
	memset(options, 0, sizeof(*options));
	options->bytes = (size_t)config->aggregate_bytes & ~(size_t)4095;
	options->by_status = config->label_status;
	options->by_method = config->label_method;
	for (uint32_t i = 0; i < RPCPROF_LABELS_MAX && config->label_keys[i] != NULL; i++)
		options->keys[options->key_count++] = rpcprof_tag_intern(
			RPCPROF_TAG_LABEL, config->label_keys[i], (size_t)-1);
}

static int open_directory(struct rpcprof_directory *directory,
                          const struct rpcprof_exporter_config *config)
{
	directory->keep_files = config->keep_files;
	directory->keep_bytes = config->keep_bytes;
	directory->sync = config->sync != 0;
	if (config->directory == NULL)
		return 0;
	directory->path = strdup(config->directory);
	return directory->path != NULL ? 0 : -ENOMEM;
}

/* Profiles are made without it too. */
static void open_channel(void)
{
	int error = rpcprof_channel_open();
	char reason[64];

	if (error != 0)
		rpcprof_log(RPCPROF_LOG_WARNING,
		            "rpcprof_exporter_start: children can ask for nothing: socketpair: %s",
		            strerror_r(-error, reason, sizeof(reason)));
}

int rpcprof_exporter_open(struct rpcprof_exporter *exporter,
                          const struct rpcprof_exporter_config *config)
{
	struct rpcprof_aggregate_options options;
	struct rpcprof_config core = {.size = sizeof(core)};
	struct rpcprof_clock_map map;
	struct rpcprof_window_now now;
	int error = rpcprof_get_config(&core);

	rpcprof_exporter_state_lock();
	memset(exporter, 0, sizeof(*exporter));
	rpcprof_exporter_state_unlock();
	exporter->on_window = config->on_window;
	exporter->on_window_arg = config->on_window_arg;
	if (error == 0)
		error = open_directory(&exporter->directory, config);
	options_of(&options, config);
	if (error == 0)
		error = rpcprof_profiles_reopen(&options, &exporter->kept);
	rpcprof_exporter_wall(exporter);
	if (error == 0)
		error = rpcprof_backends_open(exporter);
	if (error == 0)
		error = rpcprof_clock_map_get(&map);
	if (error != 0) {
		rpcprof_exporter_close(exporter);
		return error;
	}
	open_channel();
	now = now_of(&map, rpcprof_clock_now());
	rpcprof_window_open(&exporter->window, &now, (int64_t)config->interval_s * 1000000000);
	rpcprof_pace_open(&exporter->pace, core.capacity, now.monotonic_ns);
	return 0;
}

void rpcprof_exporter_forget(struct rpcprof_exporter *exporter)
{
	if (exporter->backend_count > 1)
		exporter->backend_count = 1; /* ours is the first */
	rpcprof_exporter_close(exporter);
	memset(&exporter->stats, 0, sizeof(exporter->stats));
}

void rpcprof_exporter_close(struct rpcprof_exporter *exporter)
{
	rpcprof_channel_close();
	rpcprof_backends_close(exporter);
	/* In this order, as in rpcprof_consumer_close(). */
	free(__atomic_exchange_n(&exporter->directory.path, NULL, __ATOMIC_RELAXED));
}

static void warn_of_labels(struct rpcprof_exporter *exporter)
{
	struct rpcprof_aggregate_totals totals;

	rpcprof_collector_totals(&totals);
	if (totals.label_sets < LABEL_SETS_WARNING || exporter->warned)
		return;
	exporter->warned = true;
	rpcprof_log(RPCPROF_LOG_WARNING,
	            "profiles have %u series of labels, most of them by the label %s",
	            3 * totals.label_sets,
	            rpcprof_exporter_widest_label(rpcprof_collector_aggregate(), totals.series));
}

static void close_window(struct rpcprof_exporter *exporter, int64_t begin_ns, int64_t end_ns)
{
	exporter->last_result = rpcprof_backends_report(exporter, begin_ns, end_ns);
	rpcprof_exporter_state_lock();
	exporter->stats.windows++;
	rpcprof_exporter_state_unlock();
	warn_of_labels(exporter);
}

/* A window that is due ended a moment ago, at the date that it should; one that is cut, by a flush
 * or a step of the wall clock, ends now. */
static uint64_t tick_of_end(const struct rpcprof_exporter *exporter,
                            const struct rpcprof_clock_map *map, uint64_t ticks, int64_t utc_ns,
                            int64_t end_ns)
{
	if (exporter->window.begin_ns != end_ns || end_ns >= utc_ns)
		return ticks;
	return rpcprof_clock_ticks_at(map, end_ns);
}

static int64_t shorter(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t rpcprof_exporter_step(struct rpcprof_exporter *exporter, bool flush)
{
	int64_t begin = 0, end = 0, collected, wait;
	struct rpcprof_window_now now;
	struct rpcprof_clock_map map;
	uint64_t ticks, until = 0;
	bool close, asked;

	if (rpcprof_clock_map_get(&map) != 0)
		return 1000000000;
	ticks = rpcprof_clock_now();
	now = now_of(&map, ticks);
	asked = rpcprof_channel_look(now.monotonic_ns);
	close = rpcprof_window_due(&exporter->window, &now) || flush || asked;
	if (close) {
		rpcprof_window_next(&exporter->window, &now, &begin, &end);
		until = tick_of_end(exporter, &map, ticks, now.utc_ns, end);
	}
	collected = rpcprof_collector_collect(until);
	if (close)
		close_window(exporter, begin, end);
	if (asked)
		rpcprof_channel_answer(exporter->last_result);
	wait = rpcprof_pace_next(&exporter->pace, collected > 0 ? (uint64_t)collected : 0,
	                         now.monotonic_ns);
	wait = shorter(wait, rpcprof_window_wait(&exporter->window, &now));
	return shorter(wait, rpcprof_channel_wait(now.monotonic_ns));
}
