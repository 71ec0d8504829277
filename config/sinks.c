/* SPDX-License-Identifier: Apache-2.0 */
#include "config/sinks_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int config_sinks_open(struct config_sinks *sinks, struct config *config)
{
	char reason[64];
	int error;

	for (sinks->count = 0; sinks->count < config->server_count; sinks->count++) {
		const struct rpcprof_push_config *push = &config->pushes[sinks->count];

		error = rpcprof_push_open(&sinks->pushes[sinks->count], push);
		if (error == 0)
			continue;
		(void)config_fail(config, "%.200s: the push did not open: %s", push->url,
		                  strerror_r(-error, reason, sizeof(reason)));
		(void)config_sinks_close(sinks, 0);
		return error;
	}
	return 0;
}

void config_sinks_window(void *arg, const struct rpcprof_window_profile *window)
{
	const struct config_sinks *sinks = arg;

	for (size_t i = 0; i < sinks->count; i++)
		rpcprof_push_window(sinks->pushes[i], window);
	if (sinks->on_window != NULL)
		sinks->on_window(sinks->on_window_arg, window);
}

int config_sinks_close(struct config_sinks *sinks, uint32_t timeout_ms)
{
	int64_t until = now_ms() + timeout_ms;
	int error = 0;

	/* All begin to send at once, so that the time of one is not taken from the next. */
	for (size_t i = 0; i < sinks->count; i++)
		(void)rpcprof_push_flush(sinks->pushes[i], 0);
	for (size_t i = 0; i < sinks->count; i++) {
		int64_t left = until - now_ms();

		if (rpcprof_push_close(sinks->pushes[i], left > 0 ? (uint32_t)left : 0) != 0)
			error = -ETIMEDOUT;
	}
	sinks->count = 0;
	return error;
}
