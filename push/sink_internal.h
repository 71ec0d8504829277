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

#endif
