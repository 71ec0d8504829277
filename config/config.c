/* SPDX-License-Identifier: Apache-2.0 */
/* What is set, and the configurations of recording, exporter and pushes made of it. */
#include "config/config_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "push/labels_internal.h"

int config_fail(struct config *config, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(config->error, sizeof(config->error), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int fail_memory(struct config *config)
{
	(void)config_fail(config, "no memory for the configuration");
	return -ENOMEM;
}

void config_note(struct config *config, const char *format, ...)
{
	size_t length = strlen(config->notes), room = sizeof(config->notes) - length;
	va_list arguments;
	int written;

	va_start(arguments, format);
	written = vsnprintf(config->notes + length, room, format, arguments);
	va_end(arguments);
	if (written < 0 || (size_t)written + 2 > room)
		config->notes[length] = '\0'; /* whole lines only */
	else
		memcpy(config->notes + length + written, "\n", 2);
}

static int put(struct config *config, struct config_value *value, const char *text,
               const char *source, bool foreign)
{
	value->text = strdup(text);
	value->source = strdup(source);
	value->cut = strdup(text);
	value->foreign = foreign;
	return value->text != NULL && value->source != NULL && value->cut != NULL
	               ? 0 : fail_memory(config);
}

int config_set(struct config *config, size_t server, const struct config_key *key, const char *text,
               const char *source, bool foreign)
{
	struct config_value *values = key->of_server ? config->servers[server] : config->values;
	struct config_value *value = &values[key - config_keys];
	char why[CONFIG_WHY], *shown;
	const char *wrong;
	uint64_t number;
	int error;

	if (value->text != NULL && foreign)
		return 0; /* what was set for others is not ours to correct, if it is not used */
	wrong = config_value_check(key, text, &number, why);
	if (wrong == NULL)
		return value->text != NULL ? 0 : put(config, value, text, source, foreign);
	shown = config_value_show(key, text);
	error = shown == NULL ? fail_memory(config)
	                      : config_fail(config, "%s: %s \"%.200s\": %s", source, key->name,
	                                    shown, wrong);
	free(shown);
	return error;
}

static struct config_label *find_label(struct config *config, const char *name)
{
	for (size_t i = 0; i < config->label_count; i++)
		if (strcmp(config->labels[i].name, name) == 0)
			return &config->labels[i];
	return NULL;
}

int config_set_label(struct config *config, const char *name, const char *value,
                     const char *source, bool foreign)
{
	const struct rpcprof_label label = {name, value};
	const char *wrong = rpcprof_label_check(&label, RPCPROF_PUSH_PYROSCOPE);
	struct config_label *new = &config->labels[config->label_count];

	if (wrong == NULL && strcmp(name, "service_name") == 0)
		wrong = "set application instead";
	if (wrong != NULL)
		return config_fail(config, "%s: label \"%.100s\": %s", source, name, wrong);
	if (find_label(config, name) != NULL)
		return 0;
	if (config->label_count == RPCPROF_PUSH_LABELS_MAX)
		return config_fail(config, "%s: label \"%.100s\": there are more than %d, take some away",
		                   source, name, RPCPROF_PUSH_LABELS_MAX);
	config->label_count++;
	new->name = strdup(name);
	return new->name == NULL ? fail_memory(config)
	                         : put(config, &new->value, value, source, foreign);
}

int config_set_labels(struct config *config, const char *text, const char *source, bool foreign)
{
	char *copy = strdup(text), *rest = copy, *name;
	int error = copy == NULL ? fail_memory(config) : 0;

	while (error == 0 && (name = strsep(&rest, ",")) != NULL) {
		char *value = strchr(name, '=');

		if (value == NULL) {
			error = config_fail(config, "%s: labels \"%.200s\": write name=value,name=value",
			                    source, text);
			break;
		}
		*value++ = '\0';
		error = config_set_label(config, name, value, source, foreign);
	}
	free(copy);
	return error;
}

static void clear_values(struct config_value *values)
{
	for (size_t i = 0; i < config_key_count; i++) {
		free(values[i].text);
		free(values[i].source);
		free(values[i].cut);
	}
}

void config_clear(struct config *config)
{
	clear_values(config->values);
	for (size_t i = 0; i < CONFIG_SERVERS_MAX; i++)
		clear_values(config->servers[i]);
	for (size_t i = 0; i < config->label_count; i++) {
		free(config->labels[i].name);
		free(config->labels[i].value.text);
		free(config->labels[i].value.source);
		free(config->labels[i].value.cut);
	}
	memset(config, 0, sizeof(*config));
}

static void fill_list(char *lines, const char **items)
{
	char *item;

	while ((item = strsep(&lines, "\n")) != NULL && item[0] != '\0')
		*items++ = item;
}

/* What is not set stays 0, which is the default everywhere. */
static void fill(const struct config_key *key, struct config_value *value, void *base)
{
	void *field = (char *)base + key->offset;
	char why[CONFIG_WHY];
	uint64_t number = 0;
	uint32_t word;

	if (value->text == NULL || key->bytes == 0)
		return;
	if (key->type == CONFIG_LIST || key->type == CONFIG_HEADERS) {
		fill_list(value->cut, field);
		return;
	}
	if (key->type <= CONFIG_FILE) {
		memcpy(field, &value->text, sizeof(value->text));
		return;
	}
	(void)config_value_check(key, value->text, &number, why); /* it was right */
	if (key->type == CONFIG_SECONDS)
		number /= 1000;
	word = (uint32_t)number;
	memcpy(field, key->bytes == sizeof(word) ? (void *)&word : (void *)&number, key->bytes);
}

static void fill_all(struct config_value *values, bool of_server, void *base)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (config_keys[i].of_server == of_server)
			fill(&config_keys[i], &values[i], base);
}

static struct config_value *value_of(struct config *config, size_t server, const char *name)
{
	return &config->servers[server][config_key_find(name, strlen(name)) - config_keys];
}

/* A key of this server that somebody set for us. */
static const struct config_key *any_key(const struct config *config, size_t server)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (config->servers[server][i].text != NULL && !config->servers[server][i].foreign)
			return &config_keys[i];
	return NULL;
}

/* Two keys of a server that go together: what is wrong with one alone. */
static int check_pair(struct config *config, size_t server, const char *one, const char *other)
{
	const struct config_value *a = value_of(config, server, one);
	const struct config_value *b = value_of(config, server, other);

	if ((a->text == NULL) == (b->text == NULL))
		return 0;
	if (a->text == NULL)
		return config_fail(config, "%s: %s is set, but not %s: set both or none", b->source,
		                   other, one);
	return config_fail(config, "%s: %s is set, but not %s: set both or none", a->source, one,
	                   other);
}

static int check_together(struct config *config, size_t server)
{
	const struct config_value *user = value_of(config, server, "basic_user");
	const struct config_value *bearer = value_of(config, server, "bearer_file");
	const struct config_value *longest = value_of(config, server, "backoff_max");
	struct rpcprof_push_config full = config->pushes[server];
	int error = check_pair(config, server, "basic_user", "basic_password");

	if (error == 0)
		error = check_pair(config, server, "cert_file", "key_file");
	if (error == 0 && user->text != NULL && bearer->text != NULL)
		return config_fail(config, "%s: bearer_file is set, and basic_user by %s: keep one",
		                   bearer->source, user->source);
	if (error == 0 && full.backoff_min_ms > (full.backoff_max_ms ? full.backoff_max_ms : 60000))
		return config_fail(config, "%s: backoff_min is over backoff_max (%s)",
		                   value_of(config, server, "backoff_min")->source,
		                   longest->text != NULL ? longest->text : "1m by default");
	return error;
}

/* Some protocols take less in labels than others. */
static int check_labels(struct config *config, size_t server)
{
	const struct rpcprof_push_config *push = &config->pushes[server];
	const struct config_value *given = &config->values[0];
	struct rpcprof_label label = {"service_name", push->application};
	const char *wrong = rpcprof_label_check(&label, push->protocol);

	if (wrong != NULL)
		return config_fail(config, "%s: application \"%.100s\": %s",
		                   given->text != NULL ? given->source : "the program's name",
		                   push->application, wrong);
	for (size_t i = 0; i < config->label_count; i++) {
		wrong = rpcprof_label_check(&config->push_labels[i], push->protocol);
		if (wrong != NULL)
			return config_fail(config, "%s: label \"%s\": %s",
			                   config->labels[i].value.source, config->labels[i].name,
			                   wrong);
	}
	return 0;
}

static int finish_server(struct config *config, size_t server)
{
	struct rpcprof_push_config *push = &config->pushes[server];
	int error;

	push->size = sizeof(*push);
	push->application = config->application;
	push->labels = config->push_labels;
	push->label_count = config->label_count;
	fill_all(config->servers[server], true, push);
	error = check_together(config, server);
	return error != 0 ? error : check_labels(config, server);
}

/* Those that have a URL; the first may have none if nothing is said of it. */
static int finish_servers(struct config *config)
{
	const struct config_key *key;
	int error = 0;

	if (config->server_count == 0)
		config->server_count = 1;
	for (size_t i = 0; error == 0 && i < config->server_count; i++) {
		if (value_of(config, i, "url")->text != NULL) {
			error = finish_server(config, i);
			continue;
		}
		key = any_key(config, i);
		if (key != NULL)
			return config_fail(config, "%s: %s is set, but no url: set url, in the "
			                   "environment RPCPROF_URL",
			                   config->servers[i][key - config_keys].source, key->name);
		config->server_count = 0; /* only the first can be without any key */
	}
	return error;
}

static int finish(struct config *config, const char *program)
{
	config->enabled = 1;
	config->stop_timeout_ms = 5000;
	config->application = program;
	config->recording.size = sizeof(config->recording);
	config->exporter.size = sizeof(config->exporter);
	config->exporter.keep_switch = 1;
	config->pull.size = sizeof(config->pull);
	fill_all(config->values, false, config);
	for (size_t i = 0; i < config->label_count; i++)
		config->push_labels[i] = (struct rpcprof_label){config->labels[i].name,
		                                                config->labels[i].value.text};
	return finish_servers(config);
}

int config_read(struct config *config, const struct rpcprof_agent_config *agent, const char *program)
{
	const char *file = getenv(CONFIG_FILE_VARIABLE);
	int error = 0;

	memset(config, 0, sizeof(*config));
	if (agent != NULL && agent->file != NULL)
		file = agent->file;
	if (agent != NULL)
		error = config_read_settings(config, agent->settings, agent->setting_count);
	if (error == 0)
		error = config_read_environment(config);
	if (error == 0 && file != NULL)
		error = config_read_file(config, file);
	if (error == 0)
		error = config_read_foreign(config);
	if (error == 0)
		error = finish(config, program);
	return error == -ENOMEM ? fail_memory(config) : error;
}
