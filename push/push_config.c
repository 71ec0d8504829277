/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "push/push_internal.h"
#include "push/sink_internal.h"
#include "rpcprof/control.h"

#define MINUTE_MS 60000u

static int refuse(const char *what)
{
	rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_push_open: %s", what);
	return -EINVAL;
}

static void set_default(uint32_t *field, uint32_t value)
{
	if (*field == 0)
		*field = value;
}

static void set_defaults(struct rpcprof_push_config *config)
{
	if (config->application == NULL)
		config->application = program_invocation_short_name;
	set_default(&config->connect_timeout_ms, 5000);
	set_default(&config->timeout_ms, 10000);
	set_default(&config->queue_sessions, 64);
	set_default(&config->queue_bytes, 4u << 20);
	set_default(&config->backoff_min_ms, 1000);
	set_default(&config->backoff_max_ms, MINUTE_MS);
	set_default(&config->jitter_ms, 5000);
	set_default(&config->max_age_s, 3300);
	set_default(&config->profile_bytes, 7u << 18);
	set_default(&config->profile_samples, 15000);
	set_default(&config->profile_parts, 4);
	set_default(&config->label_values, 256);
	if (config->spool_bytes == 0)
		config->spool_bytes = 64u << 20;
}

static int check_target(const struct rpcprof_push_config *config)
{
	if ((config->url == NULL) == (config->sink == NULL))
		return refuse("one of url and sink is to be set, not both");
	if (config->sink != NULL && config->sink->size != sizeof(*config->sink))
		return refuse("sink->size is not that of this version");
	if (rpcprof_sink_of(config->protocol) == NULL)
		return refuse("protocol is none of enum rpcprof_push_protocol");
	return 0;
}

static int check_numbers(const struct rpcprof_push_config *config)
{
	if (config->queue_sessions > 4096)
		return refuse("queue_sessions is over 4096");
	if (config->backoff_min_ms > config->backoff_max_ms)
		return refuse("backoff_min_ms is over backoff_max_ms");
	if (config->backoff_max_ms > 60 * MINUTE_MS || config->jitter_ms > 60 * MINUTE_MS ||
	    config->timeout_ms > 60 * MINUTE_MS)
		return refuse("backoff_max_ms, jitter_ms or timeout_ms is over an hour");
	if (config->profile_samples < 2 * 64 || config->profile_bytes < 16u << 10)
		return refuse("profile_samples is under 128, or profile_bytes under 16 KiB");
	if (config->profile_parts > RPCPROF_PARTS_MAX)
		return refuse("profile_parts is over 16");
	if (config->label_values > 65536)
		return refuse("label_values is over 65536");
	return 0;
}

int rpcprof_push_complete(struct rpcprof_push_config *full, const struct rpcprof_push_config *config)
{
	int error;

	memset(full, 0, sizeof(*full));
	if (config == NULL || config->size < offsetof(struct rpcprof_push_config, labels) ||
	    config->size > sizeof(*full))
		return refuse("size is not that of a version of the configuration");
	memcpy(full, config, config->size);
	set_defaults(full);
	error = check_target(full);
	if (error == 0)
		error = check_numbers(full);
	return error;
}
