/* SPDX-License-Identifier: Apache-2.0 */
/* What the program and its environment set, for us and for others. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "config/config_internal.h"

#define THE_PROGRAM "the program"
#define RESOURCE "OTEL_RESOURCE_ATTRIBUTES"

/* Lists are "a,b" here. */
static int set_list(struct config *config, const struct config_key *key, const char *text,
                    const char *source)
{
	char *lines = NULL;
	int error;

	if (asprintf(&lines, "%s\n", text) < 0)
		return -ENOMEM;
	for (char *c = lines; *c != '\0'; c++)
		if (*c == ',')
			*c = '\n';
	error = config_set(config, 0, key, text[0] != '\0' ? lines : "", source, false);
	free(lines);
	return error;
}

static int set(struct config *config, const struct config_key *key, const char *text,
               const char *source)
{
	if (key->type == CONFIG_LABELS)
		return config_set_labels(config, text, source, false);
	if (key->type == CONFIG_LIST || key->type == CONFIG_HEADERS)
		return set_list(config, key, text, source);
	return config_set(config, 0, key, text, source, false);
}

int config_read_settings(struct config *config, const struct rpcprof_setting *settings, size_t count)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < count; i++) {
		const char *name = settings[i].key != NULL ? settings[i].key : "";
		const struct config_key *key = config_key_find(name, strlen(name));

		if (key == NULL || settings[i].value == NULL)
			return config_fail(config, "settings[%zu]: key \"%.100s\" is none, or has no "
			                   "value; `rpcprof config --keys' lists them", i, name);
		error = set(config, key, settings[i].value, THE_PROGRAM);
	}
	return error;
}

static bool is_known(const char *variable, size_t length)
{
	char name[64];

	for (size_t i = 0; i < config_key_count; i++) {
		config_key_variable(&config_keys[i], name, sizeof(name));
		if (strlen(name) == length && memcmp(name, variable, length) == 0)
			return true;
	}
	return config_is_no_key(variable, length);
}

/* Not an error: another version's programs may run in the same environment. */
static void note_unknown(struct config *config)
{
	for (char **line = environ; line != NULL && *line != NULL; line++) {
		size_t length = strcspn(*line, "=");

		if (strncmp(*line, CONFIG_PREFIX, strlen(CONFIG_PREFIX)) == 0 &&
		    !is_known(*line, length))
			config_note(config, "%.*s is no variable of rpcprof: ignored; "
			            "`rpcprof config --keys' lists them", (int)length, *line);
	}
}

int config_read_environment(struct config *config)
{
	char name[64];
	int error = 0;

	for (size_t i = 0; error == 0 && i < config_key_count; i++) {
		const char *value;

		config_key_variable(&config_keys[i], name, sizeof(name));
		value = getenv(name);
		if (value != NULL)
			error = set(config, &config_keys[i], value, name);
	}
	note_unknown(config);
	return error;
}

static bool is_wanted(const char *attribute)
{
	return strcmp(attribute, "service.version") == 0 ||
	       strcmp(attribute, "service.namespace") == 0 ||
	       strcmp(attribute, "deployment.environment.name") == 0 ||
	       strncmp(attribute, "k8s.", 4) == 0;
}

static int set_attribute(struct config *config, char *name, const char *value)
{
	if (strcmp(name, "service.name") == 0)
		return config_set(config, 0, &config_keys[0], value, RESOURCE, true);
	if (!is_wanted(name) || config->label_count == RPCPROF_PUSH_LABELS_MAX)
		return 0;
	for (char *c = name; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c))
			*c = '_';
	if (config_set_label(config, name, value, RESOURCE, true) != 0) {
		config_note(config, "%s, ignored", config->error);
		config->error[0] = '\0';
	}
	return 0;
}

/* "name=value,...", values percent-encoded. As its specification has it, all of it is dropped if
 * any of it is wrong. */
static int read_attributes(struct config *config, const char *text)
{
	char *copy = strdup(text), *rest = copy, *name;
	int error = copy != NULL ? 0 : -ENOMEM;

	for (const char *item = text; *item != '\0'; item += strcspn(item, ",") + (strchr(item, ',') != NULL))
		if (item[strcspn(item, "=,")] != '=') {
			config_note(config, RESOURCE " is not name=value,...: ignored");
			free(copy);
			return 0;
		}
	while (error == 0 && (name = strsep(&rest, ",")) != NULL) {
		char *value = strchr(name, '='), *decoded;

		if (value == NULL)
			break; /* the end of "a=b," */
		*value++ = '\0';
		name += strspn(name, " \t");
		name[strcspn(name, " \t")] = '\0';
		value += strspn(value, " \t");
		value[strcspn(value, " \t")] = '\0'; /* a blank of its own is encoded */
		decoded = curl_easy_unescape(NULL, value, 0, NULL);
		error = decoded == NULL ? -ENOMEM : set_attribute(config, name, decoded);
		curl_free(decoded);
	}
	free(copy);
	return error;
}

static int read_foreign_key(struct config *config, const struct config_key *key)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < 2 && key->foreign[i] != NULL; i++) {
		const char *value = getenv(key->foreign[i]);

		if (value == NULL || value[0] == '\0' || strcmp(key->foreign[i], RESOURCE) == 0)
			continue; /* to those they are for, an empty one is none */
		error = key->type == CONFIG_LABELS
		                ? config_set_labels(config, value, key->foreign[i], true)
		                : config_set(config, 0, key, value, key->foreign[i], true);
	}
	return error;
}

static bool is_set(const struct config *config, const char *name)
{
	return config->servers[0][config_key_find(name, strlen(name)) - config_keys].text != NULL;
}

/* A token of ours and a user meant for others do not go together, nor half a pair of each. */
static bool is_for_this_server(const struct config *config, const struct config_key *key)
{
	bool basic = strncmp(key->name, "basic_", 6) == 0;

	return !basic || (!is_set(config, "bearer_file"));
}

int config_read_foreign(struct config *config)
{
	const char *attributes = getenv(RESOURCE);
	int error = 0;

	for (size_t i = 0; error == 0 && i < config_key_count; i++)
		if (is_for_this_server(config, &config_keys[i]))
			error = read_foreign_key(config, &config_keys[i]);
	return error == 0 && attributes != NULL ? read_attributes(config, attributes) : error;
}
