/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_HTTP_INTERNAL_H
#define RPCPROF_HTTP_INTERNAL_H

/*
 * Requests to one server, over connections that are kept. Certificates are verified, redirects not
 * followed. No secret is ever part of a message.
 */
#include <stdbool.h>

#include <curl/curl.h>

#include "rpcprof/push.h"

struct rpcprof_http;

struct rpcprof_http_request {
	const char *method;       /* "GET", "DELETE"; NULL: POST */
	const char *path;         /* after the URL's own, with the query */
	const char *content_type; /* NULL with form */
	const uint8_t *body;
	size_t length;
	curl_mime *form;          /* instead of a body; from rpcprof_http_form() */
	const char *answer_type;  /* what the answer to success begins with, NULL: any */
	/* Takes the answer to success piece by piece; false: enough. NULL: nobody reads it. */
	bool (*take)(void *arg, const char *bytes, size_t length);
	/* Called a few times a second until there is all of the answer; NULL: no. */
	void (*tick)(void *arg);
	void *arg;
	bool grpc;                /* a unary call: HTTP/2, and what came of it is in the trailers */
};

/* NULL, or why this is no URL of a server. */
const char *rpcprof_http_check_url(const char *text);

/* 0, -EINVAL (logged) or -ENOMEM. */
int rpcprof_http_open(struct rpcprof_http **http, const struct rpcprof_push_config *config);
void rpcprof_http_close(struct rpcprof_http *http);

/* One request. On one thread at a time. */
enum rpcprof_delivery rpcprof_http_ask(struct rpcprof_http *http,
                                        const struct rpcprof_http_request *request,
                                        struct rpcprof_reply *reply);

/* A request that goes on, and those to come, end at once. Any thread. */
void rpcprof_http_interrupt(struct rpcprof_http *http);

/* A form for one request; free with curl_mime_free(). NULL: no memory. */
curl_mime *rpcprof_http_form(struct rpcprof_http *http);

/* In a forked child: closes the connections without a word to the server. */
void rpcprof_http_forget(struct rpcprof_http *http);

/* There too, in place of close(): frees what is not libcurl's, which would take its leave. */
void rpcprof_http_abandon(struct rpcprof_http *http);

/* What an answer or its absence means, from what curl tells. */
struct rpcprof_http_outcome {
	CURLcode code;
	long status;              /* 0: none */
	bool sent_all;            /* of the request's body */
	const char *content_type; /* of the answer, or NULL */
	const char *answer_type;  /* expected, or NULL */
	const char *body;         /* of the answer, terminated */
	bool grpc;
	const char *grpc_status;  /* NULL: there was none */
	const char *grpc_message; /* percent-encoded, or NULL */
};
enum rpcprof_delivery rpcprof_http_judge(const struct rpcprof_http_outcome *outcome,
                                         const char *curl_error, struct rpcprof_reply *reply);

#endif
