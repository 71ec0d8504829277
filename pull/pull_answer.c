/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pull/pull_internal.h"

#define TEXT "text/plain; charset=utf-8"

void pull_say(struct pull_answer *answer, unsigned status, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	*answer = (struct pull_answer){.status = status, .type = TEXT};
	if (length < 0)
		return;
	answer->bytes = (uint8_t *)text;
	answer->length = (size_t)length;
}

void pull_give_bytes(struct pull_answer *answer, const char *type, char *bytes, size_t length)
{
	if (bytes == NULL) {
		pull_give(answer, -ENOMEM, NULL);
		return;
	}
	*answer = (struct pull_answer){.status = MHD_HTTP_OK, .type = type,
	                               .bytes = (uint8_t *)bytes, .length = length};
}

/* A page loads nothing from anywhere, and nobody shows it within another. Its own scripts and styles
 * stand in it; no name of a call does but as data. */
void pull_give_page(struct pull_answer *answer, char *bytes, size_t length, bool active)
{
	pull_give_bytes(answer, "text/html; charset=utf-8", bytes, length);
	answer->policy = active ? "default-src 'none'; style-src 'unsafe-inline'; "
	                          "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
	                          "frame-ancestors 'none'"
	                        : "default-src 'none'; base-uri 'none'; form-action 'none'; "
	                          "frame-ancestors 'none'";
}

void pull_give(struct pull_answer *answer, int error, struct rpcprof_profile *profile)
{
	if (error == -ESTALE) {
		pull_say(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
		         "an exporter was started meanwhile, and counts anew; ask again\n");
	} else if (error != 0) {
		pull_say(answer, MHD_HTTP_SERVICE_UNAVAILABLE, "no profile: %s\n",
		         strerror(-error));
	} else {
		pull_give_bytes(answer, "application/octet-stream", (char *)profile->bytes,
		                profile->length);
		answer->attachment = true;
	}
}

static void add_headers(const struct pull_answer *answer, struct MHD_Response *response)
{
	MHD_add_response_header(response, "Content-Type", answer->type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (answer->policy != NULL) {
		MHD_add_response_header(response, "Content-Security-Policy",
		                        answer->policy);
		MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	}
	if (answer->attachment)
		MHD_add_response_header(response, "Content-Disposition",
		                        "attachment; filename=\"profile\"");
	if (answer->status != MHD_HTTP_OK)
		MHD_add_response_header(response, "X-Go-Pprof", "1"); /* pprof shows the text */
	if (answer->status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, "WWW-Authenticate", "Basic realm=\"rpcprof\"");
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET");
}

enum MHD_Result pull_answer_send(struct pull_answer *answer, struct MHD_Connection *connection)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->length, answer->bytes, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result queued;

	if (response == NULL)
		return MHD_NO; /* the bytes are freed with the request */
	answer->bytes = NULL;
	add_headers(answer, response);
	queued = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return queued;
}
