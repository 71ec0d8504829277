/* SPDX-License-Identifier: Apache-2.0 */
#include "push/sink_internal.h"

#include <stdio.h>

/* The application was checked: it needs no escapes. */
enum rpcprof_delivery rpcprof_sink_autopgo(void *arg, const struct rpcprof_session *session,
                                           struct rpcprof_reply *reply)
{
	char path[1200];
	const struct rpcprof_http_request request = {
		.path = path, .content_type = "application/octet-stream",
		.body = session->bytes, .length = session->length};

	snprintf(path, sizeof(path), "/api/profile/%s", session->labels[1].value);
	return rpcprof_http_ask(arg, &request, reply);
}
