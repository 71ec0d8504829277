/* SPDX-License-Identifier: Apache-2.0 */
/* What an autopgo server holds: one profile for each application, of all that were pushed. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/input_internal.h"
#include "cli/web_internal.h"
#include "push/labels_internal.h"

struct arguments {
	struct web web;
	const char *action, *application, *url;
	const char *output;
	bool json;
};

static const char *const actions[] = {"list", "download", "delete"};

static void parse_argument(struct argp_state *state, struct arguments *arguments,
                           const char *argument)
{
	if (state->arg_num > 1)
		argp_error(state, "one application at a time, not \"%s\" too", argument);
	if (state->arg_num == 1)
		arguments->application = argument;
	for (size_t i = 0; state->arg_num == 0 && i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(argument, actions[i]) == 0)
			arguments->action = actions[i];
	if (arguments->action == NULL)
		argp_error(state, "the first argument is list, download or delete, not \"%s\"",
		           argument);
}

static void check_arguments(struct argp_state *state, const struct arguments *arguments)
{
	const struct rpcprof_label label = {"service_name", arguments->application};
	const char *wrong;
	bool lists = arguments->action == NULL || strcmp(arguments->action, "list") == 0;

	if (arguments->action == NULL)
		argp_error(state, "no action given: list, download or delete");
	if (arguments->url == NULL)
		argp_error(state, "--url says which server");
	if (lists && arguments->application != NULL)
		argp_error(state, "list takes no application, but \"%s\" was given",
		           arguments->application);
	if (lists)
		return;
	if (arguments->application == NULL)
		argp_error(state, "%s what? `rpcprof autopgo list' tells the applications",
		           arguments->action);
	wrong = rpcprof_label_check(&label, RPCPROF_PUSH_AUTOPGO);
	if (wrong != NULL)
		argp_error(state, "no application is called \"%s\": %s", arguments->application,
		           wrong);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->web;
		return 0;
	case 'u':
		arguments->url = argument;
		return 0;
	case 'o':
		arguments->output = argument;
		return 0;
	case 'j':
		arguments->json = true;
		return 0;
	case ARGP_KEY_ARG:
		parse_argument(state, arguments, argument);
		return 0;
	case ARGP_KEY_END:
		check_arguments(state, arguments);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int ask(const struct arguments *arguments, const char *method, struct web_request *request)
{
	const char *application = arguments->application;
	size_t length = strlen(arguments->url);
	char *url;
	int status = web_check_url(arguments->url);

	if (status != EXIT_DONE)
		return status;
	while (length > 0 && arguments->url[length - 1] == '/')
		length--;
	if (asprintf(&url, "%.*s/api/profile%s%s", (int)length, arguments->url,
	             application != NULL ? "/" : "", application != NULL ? application : "") < 0)
		return complain(EXIT_SYSTEM, "out of memory");
	*request = (struct web_request){
		.method = method, .url = url,
		.not_found = "`rpcprof autopgo list' tells what there is; what was pushed a moment "
		             "ago may not be merged yet"};
	status = web_ask(&arguments->web, request);
	free(url);
	request->url = NULL;
	return status;
}

/* ---- list ---- */

static void print_profile(const json_t *profile)
{
	const char *application = json_string_value(json_object_get(profile, "key"));
	const char *modified = json_string_value(json_object_get(profile, "lastModified"));

	printf("%10" PRId64 "  %-30s  ",
	       (int64_t)json_integer_value(json_object_get(profile, "size")),
	       modified != NULL ? modified : "-");
	rpcprof_dump_print_name(stdout, application);
	fputc('\n', stdout);
}

static int print_list(const char *url, const json_t *answer)
{
	const json_t *profiles = json_object_get(answer, "profiles");

	if (!json_is_array(profiles))
		return complain(EXIT_REMOTE, "%s: not an answer of autopgo; check the address", url);
	for (size_t i = 0; i < json_array_size(profiles); i++)
		if (json_string_value(json_object_get(json_array_get(profiles, i), "key")) == NULL)
			return complain(EXIT_REMOTE, "%s: a profile without \"key\"", url);
	printf("%10s  %-30s  application\n", "bytes", "last modified");
	for (size_t i = 0; i < json_array_size(profiles); i++)
		print_profile(json_array_get(profiles, i));
	return finish_stdout();
}

static int list(const struct arguments *arguments)
{
	struct web_request answer = {0};
	json_error_t error;
	json_t *json;
	int status = ask(arguments, "GET", &answer);

	if (status != EXIT_DONE)
		return status;
	json_memory_limit();
	json = json_loadb((const char *)answer.bytes, answer.length, 0, &error);
	if (json == NULL) {
		status = complain(EXIT_REMOTE, "%s: not an answer of autopgo (byte %d: %s); check "
		                               "the address", arguments->url, error.position,
		                  error.text);
	} else if (arguments->json) {
		(void)json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		fputc('\n', stdout);
		status = finish_stdout();
	} else {
		status = print_list(arguments->url, json);
	}
	json_decref(json);
	free(answer.bytes);
	return status;
}

/* ---- download, delete ---- */

static int download(const struct arguments *arguments)
{
	struct web_request answer = {0};
	struct input input;
	int status = ask(arguments, "GET", &answer);

	if (status != EXIT_DONE)
		return status;
	status = input_of_bytes(&input, arguments->url, answer.bytes, answer.length,
	                        "the address is not autopgo's, or what it holds is damaged");
	if (status == EXIT_DONE) {
		input_close(&input);
		status = write_file(arguments->output, answer.bytes, answer.length);
	}
	free(answer.bytes);
	return status;
}

static int delete(const struct arguments *arguments)
{
	struct web_request answer = {0};
	int status = ask(arguments, "DELETE", &answer);

	if (status != EXIT_DONE)
		return status;
	free(answer.bytes);
	printf("%s: deleted\n", arguments->application);
	return finish_stdout();
}

int command_autopgo(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"url", 'u', "URL", 0, "The server, http://host:port or https://host:port", 0},
		{"output", 'o', "OUT", 0,
		         "download: where the profile goes (default.pgo, which go build takes), whole "
		         "or not at all; - is stdout", 0},
		{"json", 'j', NULL, 0, "list: as JSON", 0},
		{0},
	};
	static const struct argp_child children[] = {{&web_argp, 0, "How it is asked:", 1}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.args_doc = "list\ndownload APPLICATION\ndelete APPLICATION",
		.doc = "Lists, downloads or deletes what an autopgo server holds: one profile for "
		       "each application, merged of all that were pushed. `rpcprof push --protocol "
		       "autopgo' pushes.",
	};
	struct arguments arguments = {.output = "default.pgo"};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (strcmp(arguments.action, "list") == 0)
		status = list(&arguments);
	else if (strcmp(arguments.action, "download") == 0)
		status = download(&arguments);
	else
		status = delete(&arguments);
	return status;
}
