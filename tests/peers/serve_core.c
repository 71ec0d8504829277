/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#define STOP_MS 20000

struct serve *serve_open(const struct rpcprof_grpc_service_config *config)
{
	struct rpcprof_grpc_service *service;

	return rpcprof_grpc_service_open(config, &service) == 0 ? (struct serve *)service : NULL;
}

const char *serve_address(const struct serve *serve)
{
	return rpcprof_grpc_service_address((const struct rpcprof_grpc_service *)serve);
}

int serve_stop(struct serve *serve)
{
	return rpcprof_grpc_service_stop((struct rpcprof_grpc_service *)serve, STOP_MS);
}
