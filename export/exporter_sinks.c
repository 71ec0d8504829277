/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where profiles go: files in the directory, and on_window.
 */
#include "export/exporter_internal.h"

#include <stdio.h>
#include <string.h>

#include "rpcprof/control.h"

static bool is_wall(const struct rpcprof_window_profile *profile)
{
	return strcmp(profile->name, RPCPROF_WALL_NAME) == 0;
}

static void count_file(struct rpcprof_exporter *exporter,
                       const struct rpcprof_window_profile *profile, uint64_t pruned, int error)
{
	struct rpcprof_exporter_stats *stats = &exporter->stats;
	char reason[128];

	rpcprof_exporter_state_lock();
	stats->pruned += pruned;
	if (error == 0) {
		stats->files++;
		stats->file_bytes += profile->length;
	} else {
		stats->write_errors++;
		stats->last_errno = -error;
		snprintf(stats->last_error, sizeof(stats->last_error),
		         "profile not written to %.160s: %s", exporter->directory.path,
		         strerror_r(-error, reason, sizeof(reason)));
	}
	rpcprof_exporter_state_unlock();
	if (error != 0) /* only this thread writes it */
		rpcprof_log(RPCPROF_LOG_ERROR, "%s%s", stats->last_error,
		            is_wall(profile) ? "; the next one will have its calls" : "");
}

int rpcprof_exporter_to_directory(struct rpcprof_exporter *exporter,
                                  const struct rpcprof_window_profile *profile)
{
	const char *kind = is_wall(profile) ? "rpc" : profile->name;
	uint64_t pruned = 0;
	int prune, error;

	if (exporter->directory.path == NULL)
		return 0;
	error = rpcprof_directory_write(&exporter->directory, kind, profile->begin_ns,
	                                profile->end_ns - profile->begin_ns, profile->bytes,
	                                profile->length);
	if (error == 0) {
		prune = rpcprof_directory_prune(&exporter->directory, kind, &pruned);
		if (prune != 0)
			rpcprof_log(RPCPROF_LOG_WARNING, "old profiles not deleted from %s: error %d",
			            exporter->directory.path, -prune);
	}
	count_file(exporter, profile, pruned, error);
	return error;
}

int rpcprof_exporter_to_callback(struct rpcprof_exporter *exporter,
                                 const struct rpcprof_window_profile *profile)
{
	if (exporter->on_window != NULL)
		exporter->on_window(exporter->on_window_arg, profile);
	return 0;
}
