/* SPDX-License-Identifier: Apache-2.0 */
/* librpcprof_preload_push.so: what is configured, and what sends, for librpcprof_preload.so. The
 * exporter is that one's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/sinks_internal.h"
#include "preload/preload_internal.h"
#include "push/push_internal.h"
#include "stats/arena_internal.h"

static struct config config;
static struct config_sinks sinks;

static void log_notes(void)
{
	char *rest = config.notes, *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			rpcprof_log(RPCPROF_LOG_WARNING, "%s", line);
}

static int open_push(struct rpcprof_exporter_config *exporter, char *error, size_t error_bytes)
{
	int failed;

	rpcprof_log_init(NULL); /* this library's own: to stderr, if RPCPROF_LOG is set */
	failed = config_read(&config, NULL, program_invocation_short_name);
	log_notes();
	if (failed == 0)
		failed = config_sinks_open(&sinks, &config);
	if (failed != 0) {
		(void)snprintf(error, error_bytes, "%s", config.error);
		config_clear(&config);
		return failed;
	}
	*exporter = config.exporter;
	if (sinks.count > 0) {
		exporter->on_window = config_sinks_window;
		exporter->on_window_arg = &sinks;
	} else if (exporter->directory == NULL) {
		exporter->size = 0;
	}
	return 0;
}

static void close_push(void)
{
	(void)config_sinks_close(&sinks, config.stop_timeout_ms);
	config_clear(&config);
}

__attribute__((visibility("default"))) const struct preload_push preload_push = {
	open_push, close_push, rpcprof_push_tell, rpcprof_push_set_label_of_all};
