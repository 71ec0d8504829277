/* SPDX-License-Identifier: Apache-2.0 */
/* A profile from a pprof endpoint, of rpcprof's or anyone's: to a file, to a server, or both. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "cli/input_internal.h"
#include "cli/upload_internal.h"

#define SECONDS_MAX 86400
#define UNTOLD_NS 60000000000u /* what a URL may take that is asked as it is given */

enum option_key { PUSH = 1792, PUSH_TOKEN_FILE, PUSH_BASIC };

struct arguments {
	struct web web;
	struct upload upload;
	const char *url, *output;
	size_t seconds; /* 0: as the URL says */
};

static error_t finish_parsing(struct argp_state *state, struct arguments *arguments)
{
	struct web *to = &arguments->upload.web;

	if (arguments->url == NULL)
		argp_error(state, "no URL given, like http://localhost:6060");
	if (arguments->output == NULL && arguments->upload.url == NULL)
		argp_error(state, "-o OUT or --push URL says where the profile goes");
	if (arguments->seconds > SECONDS_MAX)
		argp_error(state, "--seconds takes at most %d, a day, not %zu", SECONDS_MAX,
		           arguments->seconds);
	to->ca = arguments->web.ca;
	to->certificate = arguments->web.certificate;
	to->key = arguments->web.key;
	to->timeout_ns = arguments->web.timeout_ns;
	return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->web;
		state->child_inputs[1] = &arguments->upload;
		return 0;
	case 'o':
		arguments->output = argument;
		return 0;
	case 's':
		arguments->seconds = parse_count(state, "--seconds", argument);
		return 0;
	case PUSH:
		arguments->upload.url = argument;
		return 0;
	case PUSH_TOKEN_FILE:
		arguments->upload.web.token_file = argument;
		return 0;
	case PUSH_BASIC:
		arguments->upload.web.basic = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->url != NULL)
			argp_error(state, "one URL at a time, not \"%s\" too", argument);
		arguments->url = argument;
		return 0;
	case ARGP_KEY_END:
		return finish_parsing(state, arguments);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool is_bare(CURLU *url)
{
	char *path = NULL, *query = NULL;
	bool bare = curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
	            strcmp(path, "/") == 0 &&
	            curl_url_get(url, CURLUPART_QUERY, &query, 0) != CURLUE_OK;

	curl_free(path);
	curl_free(query);
	return bare;
}

/* As go tool pprof: a server alone means its CPU profile, or what stands there for it. The caller's,
 * to curl_free(). */
static int make_url(const struct arguments *arguments, char **whole)
{
	CURLU *url = curl_url();
	char seconds[32];
	CURLUcode code = CURLUE_OUT_OF_MEMORY;

	*whole = NULL;
	snprintf(seconds, sizeof(seconds), "seconds=%zu", arguments->seconds);
	if (url != NULL)
		code = curl_url_set(url, CURLUPART_URL, arguments->url, 0);
	if (code == CURLUE_OK && is_bare(url))
		code = curl_url_set(url, CURLUPART_PATH, "/debug/pprof/profile", 0);
	if (code == CURLUE_OK && arguments->seconds != 0)
		code = curl_url_set(url, CURLUPART_QUERY, seconds, CURLU_APPENDQUERY);
	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_URL, whole, 0);
	curl_url_cleanup(url);
	return code == CURLUE_OK ? EXIT_DONE
	                         : complain(EXIT_USAGE, "\"%s\": %s", arguments->url,
	                                    curl_url_strerror(code));
}

/* What came is a profile, or nothing is written and sent. */
static int use(const struct arguments *arguments, struct upload *upload,
               const struct web_request *answer)
{
	bool to_stdout = arguments->output != NULL && strcmp(arguments->output, "-") == 0;
	struct input input;
	int status = input_of_bytes(&input, arguments->url, answer->bytes, answer->length,
	                            "the URL is to name a profile, like http://host:port"
	                            "/debug/pprof/profile");

	if (status != EXIT_DONE)
		return status;
	if (arguments->output != NULL)
		status = write_file(arguments->output, answer->bytes, answer->length);
	if (status == EXIT_DONE && upload->url != NULL)
		status = upload_send(upload, arguments->url, input.profile,
		                     to_stdout ? stderr : stdout);
	input_close(&input);
	return status;
}

static int pull(const struct arguments *arguments, struct upload *upload)
{
	struct web_request request = {.method = "GET",
	                              .longer_ns = arguments->seconds * 1000000000u};
	struct web web = arguments->web;
	char *url = NULL;
	int status = make_url(arguments, &url);

	if (web.timeout_ns == 0 && arguments->seconds == 0)
		web.timeout_ns = UNTOLD_NS;
	request.url = url;
	if (status == EXIT_DONE)
		status = web_ask(&web, &request);
	if (status == EXIT_DONE)
		status = use(arguments, upload, &request);
	free(request.bytes);
	curl_free(url);
	return status;
}

static const struct argp_option options[] = {
	{"output", 'o', "OUT", 0, "Where the profile goes, whole or not at all; - is stdout", 0},
	{"seconds", 's', "N", 0, "For how long: seconds=N in the URL", 0},
	{"push", PUSH, "URL", 0, "The server that it is sent to", 0},
	{"push-token-file", PUSH_TOKEN_FILE, "FILE", 0, "The token that this one asks for", 0},
	{"push-basic", PUSH_BASIC, "USER:FILE", 0, "Its user, and the file that holds the password",
	         0},
	{0},
};

int command_pull(int argc, char **argv)
{
	static const struct argp_child children[] = {
		{&web_argp, 0, "How URL is asked:", 1},
		{&upload_argp, 0, "With --push, what it is there:", 2},
		{0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.args_doc = "URL",
		.doc = "Gets a pprof profile from a URL, like http://host:port/debug/pprof/heap, and "
		       "saves it, sends it to Pyroscope or autopgo, or both. http://host:port alone "
		       "means its /debug/pprof/profile. What is no profile is neither saved nor "
		       "sent.",
	};
	struct arguments arguments = {0};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	status = web_check_url(arguments.url);
	if (status == EXIT_DONE && arguments.upload.url != NULL)
		status = upload_open(&arguments.upload); /* wrong options cost no wait */
	if (status == EXIT_DONE)
		status = pull(&arguments, &arguments.upload);
	upload_close(&arguments.upload);
	return status == EXIT_DONE ? finish_stdout() : status;
}
