/* SPDX-License-Identifier: Apache-2.0 */
/* Saved profiles and dumps to a server. */
#include "cli/sources_internal.h"
#include "cli/upload_internal.h"

struct arguments {
	struct upload upload;
	char **files;
	size_t count;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->upload;
		state->child_inputs[1] = &arguments->upload.web;
		return 0;
	case 'u':
		arguments->upload.url = argument;
		return 0;
	case ARGP_KEY_ARGS:
		arguments->files = state->argv + state->next;
		arguments->count = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		if (arguments->upload.url == NULL)
			argp_error(state, "--url says which server");
		if (arguments->count == 0)
			argp_error(state, "no profile or dump to push");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The profile of a dump's calls. */
static int profile_of(const struct input *input, struct rpcprof_pprof **profile)
{
	const struct call_filter all = {0};
	struct loaded loaded;
	int status = loaded_open(&loaded);

	if (status == EXIT_DONE)
		status = calls_add_file(&loaded.calls, input, &all);
	if (status == EXIT_DONE) {
		report_calls_finish(&loaded.calls, all.last);
		status = tree_add_calls(&loaded.tree, &loaded.calls, TREE_THIS);
	}
	if (status == EXIT_DONE)
		status = tree_to_profile(&loaded.tree, &loaded.calls, profile);
	progress_end();
	loaded_close(&loaded);
	return status;
}

static int push_file(struct upload *upload, const char *path)
{
	struct rpcprof_pprof *profile = NULL;
	struct input input;
	int status = input_open(&input, path);

	if (status != EXIT_DONE)
		return status;
	if (input.profile == NULL)
		status = profile_of(&input, &profile);
	if (status == EXIT_DONE)
		status = upload_send(upload, path, profile != NULL ? profile : input.profile, stdout);
	rpcprof_pprof_close(profile);
	input_close(&input);
	return status;
}

/* All of them, though one is refused: who pushes the others again counts them twice. */
static int push_files(const struct arguments *arguments, struct upload *upload)
{
	int status = EXIT_DONE;
	size_t i = 0;

	while (i < arguments->count && !upload->gave_up) {
		int one = push_file(upload, arguments->files[i++]);

		status = one != EXIT_DONE ? one : status;
	}
	if (i < arguments->count)
		complain(EXIT_REMOTE, "not tried: %zu more, from \"%s\" on", arguments->count - i,
		         arguments->files[i]);
	return status;
}

int command_push(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"url", 'u', "URL", 0, "The server, http://host:port or https://host:port", 0},
		{0},
	};
	static const struct argp_child children[] = {{&upload_argp, 0, "What it is there:", 1},
	                                             {&web_argp, 0, "How it is asked:", 2},
	                                             {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.args_doc = "FILE...",
		.doc = "Sends pprof profiles, and dumps as profiles of their calls, to Pyroscope or "
		       "autopgo, one after the other, and says what became of each. What is larger "
		       "than servers take goes in parts. FILE - is standard input.",
	};
	struct arguments arguments = {0};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	status = upload_open(&arguments.upload);
	if (status != EXIT_DONE)
		return status;
	status = push_files(&arguments, &arguments.upload);
	upload_close(&arguments.upload);
	return status == EXIT_DONE ? finish_stdout() : status;
}
