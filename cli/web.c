/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/web_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/pprof_read_internal.h"
#include "push/http_internal.h"
#include "rpcprof/control.h"

#define CONNECT_TIMEOUT_MS 5000

enum option_key { TIMEOUT = 1280, TOKEN_FILE, BASIC, CA, CERTIFICATE, KEY };

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct web *web = state->input;

	switch (key) {
	case TIMEOUT:
		web->timeout_ns = parse_duration(state, "--timeout", argument);
		return 0;
	case TOKEN_FILE:
		web->token_file = argument;
		return 0;
	case BASIC:
		web->basic = argument;
		return 0;
	case CA:
		web->ca = argument;
		return 0;
	case CERTIFICATE:
		web->certificate = argument;
		return 0;
	case KEY:
		web->key = argument;
		return 0;
	case ARGP_KEY_END:
		if ((web->certificate == NULL) != (web->key == NULL))
			argp_error(state, "--cert and --key go together");
		if (web->basic != NULL && web->token_file != NULL)
			argp_error(state, "--basic or --token-file, not both");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"timeout", TIMEOUT, "TIME", 0, "How long to wait for an answer (10s)", 0},
	{"token-file", TOKEN_FILE, "FILE", 0, "The file that holds the token it asks for", 0},
	{"basic", BASIC, "USER:FILE", 0, "The user, and the file that holds the password", 0},
	{"ca", CA, "FILE", 0, "Check certificates against these authorities (PEM)", 0},
	{"cert", CERTIFICATE, "FILE", 0, "Show this certificate (PEM)", 0},
	{"key", KEY, "FILE", 0, "and its private key (PEM)", 0},
	{0},
};

const struct argp web_argp = {.options = options, .parser = parse};

/* ---- what the library says ---- */

static _Thread_local bool listening; /* the library has threads that speak of other things */
static char refusal[512];

/* "rpcprof_push_open: ..." is for programmers. */
static const char *without_name(const char *message)
{
	const char *colon = strncmp(message, "rpcprof_", 8) == 0 ? strstr(message, ": ") : NULL;

	return colon != NULL ? colon + 2 : message;
}

static void hear(void *arg, enum rpcprof_log_level level, const char *message)
{
	(void)arg;
	if (!listening)
		return; /* what became of a request is told by who made it */
	if (level == RPCPROF_LOG_ERROR)
		(void)snprintf(refusal, sizeof(refusal), "%s", without_name(message));
	else
		complain(EXIT_DONE, "%s", without_name(message));
}

int web_hear(void)
{
	const struct rpcprof_config config = {.size = sizeof(config), .capacity = 1, .log = hear};
	int error = rpcprof_init(&config);

	if (error != 0 && error != -EALREADY)
		return complain(EXIT_SYSTEM, "out of memory");
	refusal[0] = '\0';
	listening = true;
	return EXIT_DONE;
}

int web_refused(const char *what, int error)
{
	listening = false;
	if (error == 0)
		return EXIT_DONE;
	if (refusal[0] != '\0')
		return complain(EXIT_USAGE, "%s: %s", what, refusal);
	return complain(EXIT_SYSTEM, "%s: %s", what, strerror(-error));
}

/* ---- who asks ---- */

static int split_basic(const char *basic, char **user, char **password)
{
	const char *colon = strchr(basic, ':');

	if (colon == NULL || colon == basic || colon[1] == '\0')
		return complain(EXIT_USAGE, "--basic takes USER:FILE, where FILE holds the password, "
		                            "not \"%s\"", basic);
	*user = strndup(basic, (size_t)(colon - basic));
	if (*user == NULL)
		return complain(EXIT_SYSTEM, "out of memory");
	return secret_read(colon + 1, password);
}

int web_configure(const struct web *web, uint64_t timeout_ns, struct rpcprof_push_config *config)
{
	uint64_t timeout_ms = timeout_ns / 1000000 > 0 ? timeout_ns / 1000000 : 1;
	char *user = NULL, *secret = NULL;
	/* The library reads the token for each request; that it can be read is seen now. */
	int status = web->basic != NULL ? split_basic(web->basic, &user, &secret)
	                                : secret_read(web->token_file, &secret);

	if (web->basic == NULL) {
		secret_free(secret);
		secret = NULL;
	}
	config->basic_user = user;
	config->basic_password = secret;
	config->bearer_file = web->token_file;
	config->ca_file = web->ca;
	config->cert_file = web->certificate;
	config->key_file = web->key;
	config->timeout_ms = timeout_ms < UINT32_MAX ? (uint32_t)timeout_ms : UINT32_MAX;
	config->connect_timeout_ms = config->timeout_ms < CONNECT_TIMEOUT_MS ? config->timeout_ms
	                                                                     : CONNECT_TIMEOUT_MS;
	if (status != EXIT_DONE)
		web_forget(config);
	return status;
}

void web_forget(struct rpcprof_push_config *config)
{
	free((char *)(uintptr_t)config->basic_user);
	secret_free((char *)(uintptr_t)config->basic_password);
	config->basic_user = config->basic_password = NULL;
}

int web_check_url(const char *text)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *user = NULL;
	bool good = url != NULL && strstr(text, "://") != NULL &&
	            curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	            curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	            (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	bool has_user = good && curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK;

	curl_free(scheme);
	curl_free(user);
	curl_url_cleanup(url);
	if (!good)
		return complain(EXIT_USAGE, "\"%s\" is not http://host:port or https://host:port", text);
	/* It may have the password, too: not repeated. */
	return has_user ? complain(EXIT_USAGE, "a URL with a user in it; give --basic USER:FILE instead")
	                : EXIT_DONE;
}

/* ---- a request ---- */

struct asking {
	struct web_request *request;
	size_t room;
	bool too_large;
};

static bool take(void *arg, const char *bytes, size_t length)
{
	struct asking *asking = arg;
	struct web_request *request = asking->request;

	asking->too_large = request->length + length > PPROF_FILE_BYTES_MAX;
	if (!asking->too_large && request->length + length > asking->room) {
		size_t room = 2 * (request->length + length);
		uint8_t *larger = realloc(request->bytes, room);

		if (larger == NULL)
			return false;
		request->bytes = larger;
		asking->room = room;
	}
	if (asking->too_large)
		return false;
	memcpy(request->bytes + request->length, bytes, length);
	request->length += length;
	return true;
}

static void tick(void *arg)
{
	const struct asking *asking = arg;

	progress_wait(asking->request->url, asking->request->longer_ns);
}

const char *web_remedy(uint32_t status)
{
	switch (status) {
	case 0:
		return "check the address, that a server runs there, and --timeout";
	case 401:
	case 403:
		return "give what it asks for: --token-file or --basic";
	case 404:
		return "check the path of the URL";
	case 429:
	case 503:
		return "ask again later";
	default:
		return "see the log of the server there";
	}
}

static int explain(const struct asking *asking, const struct rpcprof_reply *reply)
{
	const struct web_request *request = asking->request;

	if (asking->too_large)
		return complain(EXIT_REMOTE, "%s: an answer of more than 64 MiB; ask for less time",
		                request->url);
	return complain(EXIT_REMOTE, "%s: %s; %s", request->url, reply->message,
	                reply->status == 404 && request->not_found != NULL
	                        ? request->not_found
	                        : web_remedy(reply->status));
}

static int perform(struct rpcprof_http *http, const char *path, struct web_request *request)
{
	struct asking asking = {.request = request};
	const struct rpcprof_http_request one = {
		.method = request->method, .path = path, .take = take, .tick = tick, .arg = &asking};
	struct rpcprof_reply reply = {0, 0, ""};
	enum rpcprof_delivery delivery = rpcprof_http_ask(http, &one, &reply);

	progress_end();
	if (delivery == RPCPROF_DELIVERED)
		return EXIT_DONE;
	free(request->bytes);
	request->bytes = NULL;
	return explain(&asking, &reply);
}

/* The client takes a server, "http://host:port", and then paths. */
static int split_url(const char *url, char **server, const char **path)
{
	size_t length;
	int status = web_check_url(url);

	if (status != EXIT_DONE)
		return status;
	length = (size_t)(strstr(url, "://") + 3 - url);
	length += strcspn(url + length, "/?#");
	*server = strndup(url, length);
	*path = url + length;
	return *server != NULL ? EXIT_DONE : complain(EXIT_SYSTEM, "out of memory");
}

int web_ask(const struct web *web, struct web_request *request)
{
	struct rpcprof_push_config config = {.size = sizeof(config)};
	uint64_t timeout_ns = web->timeout_ns != 0 ? web->timeout_ns : WEB_TIMEOUT_NS;
	struct rpcprof_http *http = NULL;
	char *server = NULL;
	const char *path;
	int status = split_url(request->url, &server, &path);

	if (status == EXIT_DONE)
		status = web_configure(web, timeout_ns + request->longer_ns, &config);
	if (status == EXIT_DONE)
		status = web_hear();
	if (status == EXIT_DONE) {
		config.url = server;
		status = web_refused(request->url, rpcprof_http_open(&http, &config));
	}
	if (status == EXIT_DONE)
		status = perform(http, path, request);
	if (http != NULL)
		rpcprof_http_close(http);
	web_forget(&config);
	free(server);
	return status;
}
