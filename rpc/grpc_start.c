/* SPDX-License-Identifier: Apache-2.0 */
/* The one line of set-up. */
#include <errno.h>

#include "rpc/grpc_internal.h"

struct rpcprof_grpc_config rpcprof_grpc_options;

int rpcprof_grpc_start(const struct rpcprof_grpc_config *config)
{
	int error;

	if (config && config->size != sizeof(*config)) {
		rpcprof_log(RPCPROF_LOG_ERROR,
		            "rpcprof_grpc_config.size is %zu, must be %zu: build with this header",
		            config->size, sizeof(*config));
		return -EINVAL;
	}
	error = rpcprof_init(config ? config->core : NULL);
	if (error != 0 && error != -EALREADY)
		return error;
	if (config)
		rpcprof_grpc_options = *config;
	return rpcprof_enable(true);
}
