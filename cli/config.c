/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent would take from this environment, and where it found it. */
#include "config/config_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command_internal.h"

#define OF_PROGRAM "the program's file name"

struct arguments {
	const char *file;
	bool keys, json;
};

/* One line: shown values are to be freed by who made them. */
typedef int on_line(void *arg, const char *key, const char *value, const char *source);

static int tell(const struct config_key *key, const char *name, const struct config_value *value,
                on_line *fn, void *arg)
{
	const char *otherwise = key->otherwise != NULL ? key->otherwise : "";
	char *shown;
	int status;

	if (value->text == NULL)
		return fn(arg, name, strcmp(key->name, "application") == 0 ? OF_PROGRAM : otherwise,
		          "default");
	shown = config_value_show(key, value->text);
	status = shown != NULL ? fn(arg, name, shown, value->source)
	                       : (int)complain(EXIT_SYSTEM, "no memory");
	free(shown);
	return status;
}

static int tell_labels(const struct config *config, on_line *fn, void *arg)
{
	char name[CONFIG_WHY + 128];
	int status = EXIT_DONE;

	for (size_t i = 0; status == EXIT_DONE && i < config->label_count; i++) {
		const struct config_label *label = &config->labels[i];

		(void)snprintf(name, sizeof(name), "labels.%s", label->name);
		status = fn(arg, name, label->value.text, label->value.source);
	}
	return status;
}

static int tell_server(const struct config *config, size_t server, on_line *fn, void *arg)
{
	int status = EXIT_DONE;
	char name[64];

	for (size_t i = 0; status == EXIT_DONE && i < config_key_count; i++) {
		if (!config_keys[i].of_server)
			continue;
		(void)snprintf(name, sizeof(name), "servers[%zu].%s", server, config_keys[i].name);
		status = tell(&config_keys[i], name, &config->servers[server][i], fn, arg);
	}
	return status;
}

static int tell_all(const struct config *config, on_line *fn, void *arg)
{
	int status = EXIT_DONE;

	for (size_t i = 0; status == EXIT_DONE && i < config_key_count; i++)
		if (config_keys[i].type == CONFIG_LABELS)
			status = tell_labels(config, fn, arg);
		else if (!config_keys[i].of_server)
			status = tell(&config_keys[i], config_keys[i].name, &config->values[i], fn, arg);
	for (size_t i = 0; status == EXIT_DONE && i < config->server_count; i++)
		status = tell_server(config, i, fn, arg);
	return status;
}

/* The file is the user's own: names and values are shown as they are, but they are one line. */
static int print_line(void *arg, const char *key, const char *value, const char *source)
{
	(void)arg;
	printf("%-28s %-32s %s\n", key, value[0] != '\0' ? value : "-", source);
	return EXIT_DONE;
}

static int append_line(void *arg, const char *key, const char *value, const char *source)
{
	json_t *line = json_pack("{s:s, s:s, s:s}", "key", key, "value", value, "source", source);

	return json_array_append_new(arg, line) == 0 ? EXIT_DONE
	                                             : (int)complain(EXIT_SYSTEM, "no memory");
}

static int print_json(const struct config *config)
{
	json_t *lines = json_array();
	int status = tell_all(config, append_line, lines);

	if (status == EXIT_DONE) {
		(void)json_dumpf(lines, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		fputc('\n', stdout);
	}
	json_decref(lines);
	return status;
}

static void print_text(const struct config *config)
{
	(void)tell_all(config, print_line, NULL);
	if (config->server_count == 0)
		(void)print_line(NULL, "servers", "", "none: profiles are sent to nobody; set url");
}

static int print_config(const struct arguments *arguments)
{
	const struct rpcprof_agent_config agent = {.size = sizeof(agent), .file = arguments->file};
	struct config *config = calloc(1, sizeof(*config));
	char *rest, *note;
	int error, status = EXIT_DONE;

	if (config == NULL)
		return complain(EXIT_SYSTEM, "no memory");
	error = config_read(config, &agent, "program");
	rest = config->notes;
	while ((note = strsep(&rest, "\n")) != NULL)
		if (note[0] != '\0')
			complain(EXIT_DONE, "%s", note);
	if (error != 0)
		status = complain(error == -EINVAL ? EXIT_BAD_INPUT : EXIT_SYSTEM, "%s", config->error);
	else if (arguments->json)
		status = print_json(config);
	else
		print_text(config);
	config_clear(config);
	free(config);
	return status == EXIT_DONE ? finish_stdout() : status;
}

/* A row of docs/export.md. */
static void print_key(const struct config_key *key)
{
	char variable[64];

	config_key_variable(key, variable, sizeof(variable));
	printf("| `%s` | `%s`", key->name, variable);
	for (size_t i = 0; i < 2 && key->foreign[i] != NULL; i++)
		printf(", `%s`", key->foreign[i]);
	printf(" | %s | %s", key->otherwise != NULL ? key->otherwise : "", key->says);
	if (key->choices != NULL)
		printf(": %s", key->choices);
	puts(" |");
}

static int print_keys(void)
{
	for (int of_server = 0; of_server <= 1; of_server++) {
		printf("%s| %s | environment | default | |\n|---|---|---|---|\n", of_server ? "\n" : "",
		       of_server ? "key of a server" : "key");
		for (size_t i = 0; i < config_key_count; i++)
			if (config_keys[i].of_server == (of_server == 1))
				print_key(&config_keys[i]);
	}
	return finish_stdout();
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'f':
		arguments->file = argument;
		return 0;
	case 'j':
		arguments->json = true;
		return 0;
	case 'k':
		arguments->keys = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\": it takes no arguments; a file is named by --file", argument);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int command_config(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"file", 'f', "FILE", 0, "This file, instead of the one that RPCPROF_CONFIG names", 0},
		{"json", 'j', NULL, 0, "As JSON", 0},
		{"keys", 'k', NULL, 0, "All keys, their variables and defaults", 0},
		{0},
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "What a program that starts here would have configured, each value and its source."};
	struct arguments arguments = {0};

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	return arguments.keys ? print_keys() : print_config(&arguments);
}
