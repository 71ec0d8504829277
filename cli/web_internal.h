/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_WEB_INTERNAL_H
#define RPCPROF_WEB_INTERNAL_H

/* Servers that speak HTTP, by librpcprof-export's own client: no redirect is followed, certificates
 * are verified, no secret gets into a message. */
#include "cli/command_internal.h"
#include "rpcprof/push.h"

/* How one is asked. */
struct web {
	const char *token_file, *basic; /* basic: "USER:FILE" */
	const char *ca, *certificate, *key;
	uint64_t timeout_ns; /* 0: not given */
};

/* Its options as a child; its input is a struct web, zeroed. */
extern const struct argp web_argp;

#define WEB_TIMEOUT_NS 10000000000u

/* One request. */
struct web_request {
	const char *method; /* "GET" */
	const char *url;
	uint64_t longer_ns; /* what the answer takes anyway: shown as progress */
	const char *not_found; /* what to do about a 404, after "; " */
	/* The answer, the caller's to free. */
	uint8_t *bytes;
	size_t length;
};

/* An exit_code; other than EXIT_DONE after a complaint, and there is nothing to free. */
int web_ask(const struct web *web, struct web_request *request);

/* Complains of a URL that is none of ours: "http://host" or "https://host", without a user. */
int web_check_url(const char *url);

/* A struct rpcprof_push_config's fields about HTTP. Free with web_forget(). */
int web_configure(const struct web *web, uint64_t timeout_ns, struct rpcprof_push_config *config);
void web_forget(struct rpcprof_push_config *config);

/* What the library has against what it is given: web_hear() before it is, and if it refuses
 * web_refused() complains of it. */
int web_hear(void);
int web_refused(const char *what, int error);

/* What can be done about an answer's status, or none (0). */
const char *web_remedy(uint32_t status);

#endif
