/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_SINKS_INTERNAL_H
#define RPCPROF_SINKS_INTERNAL_H

/* The servers of a configuration as one on_window. */
#include "config/config_internal.h"

struct config_sinks {
	struct rpcprof_push *pushes[CONFIG_SERVERS_MAX];
	size_t count;
	rpcprof_window_fn *on_window; /* the program's; NULL: none */
	void *on_window_arg;
};

/* All or none. 0, or a negative errno with config->error. */
int config_sinks_open(struct config_sinks *sinks, struct config *config);

/* An on_window; sinks its argument. */
void config_sinks_window(void *sinks, const struct rpcprof_window_profile *window);

/* All of them within timeout_ms. 0 or -ETIMEDOUT: something was left. */
int config_sinks_close(struct config_sinks *sinks, uint32_t timeout_ms);

#endif
