/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_SINK_INTERNAL_H
#define RPCPROF_SINK_INTERNAL_H

/* The sinks that come with the library. Their arg is a struct rpcprof_http. */
#include "push/http_internal.h"

/* By enum rpcprof_push_protocol; NULL: no such protocol. */
const struct rpcprof_sink *rpcprof_sink_of(uint32_t protocol);

typedef enum rpcprof_delivery rpcprof_sink_send_fn(void *arg, const struct rpcprof_session *session,
                                                   struct rpcprof_reply *reply);

rpcprof_sink_send_fn rpcprof_sink_pyroscope, rpcprof_sink_ingest, rpcprof_sink_ingest_form,
	rpcprof_sink_autopgo, rpcprof_sink_parca;

/* rpcprof_http_ask() with a body of malloc(), which is freed; NULL if there was no memory for it. */
enum rpcprof_delivery rpcprof_sink_ask(struct rpcprof_http *http,
                                       const struct rpcprof_http_request *request,
                                       struct rpcprof_reply *reply);

/* Says so, of a request that could not be made. */
enum rpcprof_delivery rpcprof_sink_no_memory(struct rpcprof_reply *reply);

#endif
