/* SPDX-License-Identifier: Apache-2.0 */
#include "export/exporter_internal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "rpcprof/control.h"

#define INTERVAL_MAX_S 86400

static int refuse(const char *what)
{
	rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_exporter_start: %s", what);
	return -EINVAL;
}

static void set_defaults(struct rpcprof_exporter_config *config)
{
	if (config->interval_s == 0)
		config->interval_s = 10;
	if (config->keep_files == 0)
		config->keep_files = 360;
	if (config->keep_bytes == 0)
		config->keep_bytes = 256u << 20;
	if (config->aggregate_bytes == 0)
		config->aggregate_bytes = RPCPROF_AGGREGATE_BYTES_DEFAULT;
}

/* pprof takes one value per key of a sample, and keeps "pprof::" for itself. */
static bool key_is_taken(const struct rpcprof_exporter_config *config, uint32_t i)
{
	static const char *const ours[] = {"side", "rpc_method", "rpc_response_status_code"};
	const char *key = config->label_keys[i];

	for (uint32_t k = 0; k < sizeof(ours) / sizeof(ours[0]); k++)
		if (strcmp(key, ours[k]) == 0)
			return true;
	for (uint32_t k = 0; k < i; k++)
		if (strcmp(key, config->label_keys[k]) == 0)
			return true;
	return key[0] == '\0' || strncmp(key, "pprof::", 7) == 0;
}

static int check_keys(const struct rpcprof_exporter_config *config)
{
	for (uint32_t i = 0; i < RPCPROF_LABELS_MAX && config->label_keys[i] != NULL; i++)
		if (key_is_taken(config, i))
			return refuse("label_keys: a key is empty, twice there, or one of ours");
	return 0;
}

int rpcprof_exporter_complete(struct rpcprof_exporter_config *full,
                              const struct rpcprof_exporter_config *config)
{
	memset(full, 0, sizeof(*full));
	if (config != NULL) {
		if (config->size < offsetof(struct rpcprof_exporter_config, directory) ||
		    config->size > sizeof(*full))
			return refuse("size is not that of a version of the configuration");
		memcpy(full, config, config->size);
	}
	set_defaults(full);
	if (full->interval_s > INTERVAL_MAX_S)
		return refuse("interval_s is over 86400");
	if (full->aggregate_bytes < RPCPROF_AGGREGATE_BYTES_MIN ||
	    full->aggregate_bytes > RPCPROF_AGGREGATE_BYTES_MAX)
		return refuse("aggregate_bytes is not within 256 KiB..4 GiB");
	if (full->directory != NULL && full->directory[0] == '\0')
		return refuse("directory is empty");
	return check_keys(full);
}
