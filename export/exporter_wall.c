/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own backend: the profiles of calls. Each place they go to has a reader of its own, so that
 * what could not be written to the directory is in the next file, and not twice in on_window.
 */
#include "export/exporter_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "rpcprof/control.h"

/* kept: the aggregate has calls of before, which are in the profiles of before. */
static int open_reader(struct rpcprof_reader *reader, bool kept)
{
	struct rpcprof_profile before;
	int error = rpcprof_consumer_open(&reader->consumer, rpcprof_collector_aggregate());

	if (error == 0 && kept)
		(void)rpcprof_collector_take(reader, 0, 0, &before);
	reader->unaggregated = rpcprof_collector_unaggregated();
	return error;
}

static void close_readers(void *arg)
{
	struct rpcprof_exporter *exporter = arg;

	rpcprof_consumer_close(&exporter->to_directory.consumer);
	rpcprof_consumer_close(&exporter->to_callback.consumer);
}

static int open_readers(void *arg)
{
	struct rpcprof_exporter *exporter = arg;
	int error = 0;

	if (exporter->directory.path != NULL)
		error = open_reader(&exporter->to_directory, exporter->kept);
	if (error == 0 && exporter->on_window != NULL)
		error = open_reader(&exporter->to_callback, exporter->kept);
	if (error == 0 && rpcprof_collector_collect(0) < 0) /* displaced Stats count from now on */
		error = -ENODEV;
	if (error != 0)
		close_readers(exporter);
	return error;
}

/* One reader gets the window; what fails stays its own for the next. */
static int serve(struct rpcprof_exporter *exporter, struct rpcprof_reader *reader,
                 int (*sink)(struct rpcprof_exporter *, const struct rpcprof_window_profile *),
                 const struct rpcprof_report *report)
{
	struct rpcprof_profile profile;
	int error;

	if (reader->consumer.taken == NULL ||
	    !rpcprof_collector_take(reader, report->begin_ns, report->end_ns, &profile))
		return 0;
	error = rpcprof_profile_make(&profile, reader, rpcprof_collector_aggregate());
	if (error == 0)
		error = sink(exporter, &(struct rpcprof_window_profile){
			.begin_ns = profile.begin_ns,
			.end_ns = profile.begin_ns + profile.length_ns,
			.bytes = profile.bytes, .length = profile.length,
			.unaggregated = profile.unaggregated, .name = exporter->wall.name});
	else
		rpcprof_log(RPCPROF_LOG_ERROR, "no memory for a profile: the next will have it");
	if (error != 0)
		rpcprof_reader_undo(reader, &profile);
	free(profile.bytes);
	return error;
}

static int report_calls(void *arg, const struct rpcprof_report *report)
{
	struct rpcprof_exporter *exporter = arg;
	int error = serve(exporter, &exporter->to_directory, rpcprof_exporter_to_directory, report);
	int other = serve(exporter, &exporter->to_callback, rpcprof_exporter_to_callback, report);

	return error != 0 ? error : other;
}

void rpcprof_exporter_wall(struct rpcprof_exporter *exporter)
{
	exporter->wall = (struct rpcprof_backend){
		.size = sizeof(exporter->wall), .name = RPCPROF_WALL_NAME, .arg = exporter,
		.initialize = open_readers, .report = report_calls, .shutdown = close_readers};
}
