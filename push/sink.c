/* SPDX-License-Identifier: Apache-2.0 */
#include "push/sink_internal.h"

#include <stdio.h>
#include <stdlib.h>

static void interrupt(void *arg)
{
	rpcprof_http_interrupt(arg);
}

static void close_http(void *arg)
{
	rpcprof_http_close(arg);
}

const struct rpcprof_sink *rpcprof_sink_of(uint32_t protocol)
{
	static const struct rpcprof_sink sinks[] = {
		[RPCPROF_PUSH_PYROSCOPE] = {sizeof(struct rpcprof_sink), rpcprof_sink_pyroscope,
		                            interrupt, close_http},
		[RPCPROF_PUSH_INGEST] = {sizeof(struct rpcprof_sink), rpcprof_sink_ingest,
		                         interrupt, close_http},
		[RPCPROF_PUSH_INGEST_FORM] = {sizeof(struct rpcprof_sink), rpcprof_sink_ingest_form,
		                              interrupt, close_http},
		[RPCPROF_PUSH_AUTOPGO] = {sizeof(struct rpcprof_sink), rpcprof_sink_autopgo,
		                          interrupt, close_http},
		[RPCPROF_PUSH_PARCA] = {sizeof(struct rpcprof_sink), rpcprof_sink_parca,
		                        interrupt, close_http}};

	return protocol < sizeof(sinks) / sizeof(sinks[0]) ? &sinks[protocol] : NULL;
}

enum rpcprof_delivery rpcprof_sink_no_memory(struct rpcprof_reply *reply)
{
	snprintf(reply->message, sizeof(reply->message), "no memory for the request");
	return RPCPROF_NOT_NOW;
}

enum rpcprof_delivery rpcprof_sink_ask(struct rpcprof_http *http,
                                       const struct rpcprof_http_request *request,
                                       struct rpcprof_reply *reply)
{
	enum rpcprof_delivery delivery = request->body != NULL ? rpcprof_http_ask(http, request, reply)
	                                                       : rpcprof_sink_no_memory(reply);

	free((void *)request->body);
	return delivery;
}
