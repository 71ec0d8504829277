/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVE_H
#define SERVE_H

/* What serves, for tests/peers/service.c: a private address of librpcprof-grpc's (serve_core.c), or
 * a grpc::Server of C++ (serve_cpp.cc). */
#include "rpcprof/grpc_service.h"

#ifdef __cplusplus
extern "C" {
#endif

struct serve;

/* NULL if it cannot. Of the configuration, answer_max is not used. */
struct serve *serve_open(const struct rpcprof_grpc_service_config *config);
const char *serve_address(const struct serve *serve);
int serve_stop(struct serve *serve);

#ifdef __cplusplus
}
#endif
#endif
