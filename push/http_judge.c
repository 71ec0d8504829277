/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of a request. Servers do not know a profile that they have seen before: what may have
 * arrived must not be sent again without being asked to, and what cannot have arrived should be.
 */
#include "push/http_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "export/pprof_model_internal.h"

/* What a server said, in one line of printable characters; ? for what is not UTF-8. */
static void append(char *text, size_t room, const char *said)
{
	size_t n = strlen(text), left = strlen(said), length;

	for (; left > 0; said += length, left -= length) {
		bool blank = (unsigned char)*said <= ' ' || *said == 0x7f;

		length = rpcprof_pprof_utf8_next(said, left);
		if (n + (length > 0 ? length : 1) >= room)
			break;
		if (length == 0)
			text[n++] = '?';
		else if (!blank)
			n = (size_t)(stpncpy(text + n, said, length) - text);
		else if (n > 0 && text[n - 1] != ' ')
			text[n++] = ' ';
		length += length == 0;
	}
	text[n] = '\0';
}

/* {"code":"...","message":"..."}, or whatever it is. */
static void append_answer(char *text, size_t room, const char *body)
{
	json_t *answer = json_loads(body, 0, NULL);
	const char *message = json_string_value(json_object_get(answer, "message"));

	if (body[0] != '\0')
		append(text, room, ": ");
	append(text, room, message != NULL ? message : body);
	text[strlen(text) - (text[strlen(text) - 1] == ' ')] = '\0'; /* a line's end */
	json_decref(answer);
}

static enum rpcprof_delivery of_status(const struct rpcprof_http_outcome *outcome, long status)
{
	if (status == 408 || status == 429 || (status >= 500 && status != 501))
		return RPCPROF_NOT_NOW;
	/* Pyroscope before 1.0 says so when others say 429. */
	if (status == 422 && strstr(outcome->body, "resource_exhausted") != NULL)
		return RPCPROF_NOT_NOW;
	return RPCPROF_REFUSED;
}

static bool has_answer_type(const struct rpcprof_http_outcome *outcome)
{
	const char *wanted = outcome->answer_type;

	return wanted == NULL ||
	       (outcome->content_type != NULL &&
	        strncasecmp(outcome->content_type, wanted, strlen(wanted)) == 0);
}

static void append_escaped(char *text, size_t room, const char *message)
{
	char *plain = curl_easy_unescape(NULL, message, 0, NULL);

	append(text, room, ": ");
	append(text, room, plain != NULL ? plain : message);
	curl_free(plain);
}

/* What HTTP says for it, as the protocol of Connect has it. */
static enum rpcprof_delivery judge_call(const struct rpcprof_http_outcome *outcome,
                                        struct rpcprof_reply *reply)
{
	static const uint16_t statuses[] = {200, 499, 500, 400, 504, 404, 409, 403, 429,
	                                    400, 409, 400, 501, 500, 503, 500, 401};
	char *text = reply->message, *end;
	unsigned long status;

	if (outcome->grpc_status == NULL) {
		snprintf(text, sizeof(reply->message), "an answer without the status of gRPC");
		return RPCPROF_UNCERTAIN;
	}
	status = strtoul(outcome->grpc_status, &end, 10);
	if (end == outcome->grpc_status || status >= sizeof(statuses) / sizeof(statuses[0]))
		status = 2; /* unknown */
	if (status == 0)
		return RPCPROF_DELIVERED;
	reply->status = statuses[status];
	snprintf(text, sizeof(reply->message), "gRPC status %.20s", outcome->grpc_status);
	if (outcome->grpc_message != NULL)
		append_escaped(text, sizeof(reply->message), outcome->grpc_message);
	return of_status(outcome, statuses[status]);
}

static enum rpcprof_delivery judge_answer(const struct rpcprof_http_outcome *outcome,
                                          struct rpcprof_reply *reply)
{
	char *text = reply->message;
	size_t room = sizeof(reply->message);

	if (outcome->status >= 200 && outcome->status < 300) {
		if (has_answer_type(outcome))
			return outcome->grpc ? judge_call(outcome, reply) : RPCPROF_DELIVERED;
		snprintf(text, room, "HTTP %ld with %.60s: that is not what url should name",
		         outcome->status, outcome->content_type != NULL ? outcome->content_type
		                                                        : "no content type");
		return RPCPROF_REFUSED;
	}
	if (outcome->status >= 300 && outcome->status < 400) {
		snprintf(text, room, "HTTP %ld: redirects are not followed, url must name their end",
		         outcome->status);
		return RPCPROF_REFUSED;
	}
	snprintf(text, room, "HTTP %ld", outcome->status);
	append_answer(text, room, outcome->body);
	return of_status(outcome, outcome->status);
}

enum rpcprof_delivery rpcprof_http_judge(const struct rpcprof_http_outcome *outcome,
                                         const char *curl_error, struct rpcprof_reply *reply)
{
	reply->status = (uint32_t)outcome->status;
	/* A refusal counts even if its text did not come to its end. */
	if (outcome->code == CURLE_OK || outcome->status >= 300)
		return judge_answer(outcome, reply);
	append(reply->message, sizeof(reply->message),
	       curl_error[0] != '\0' ? curl_error : curl_easy_strerror(outcome->code));
	return outcome->sent_all ? RPCPROF_UNCERTAIN : RPCPROF_NOT_NOW;
}
