/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file: a mapping of keys; "servers" is a list of mappings of keys of servers.
 *
 *     application: checkout
 *     labels: {region: north}
 *     servers:
 *       - url: https://pyroscope.example
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/config_internal.h"

#define FILE_BYTES_MAX (1u << 20)
#define SERVERS "servers"

struct reader {
	struct config *config;
	const char *path;
	yaml_document_t *document;
	size_t server;
	bool in_server;
};

typedef int on_pair(struct reader *reader, const yaml_node_t *name, const yaml_node_t *value);

static const char *text_of(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

static unsigned long line_of(const yaml_node_t *node)
{
	return node->start_mark.line + 1;
}

/* "rpcprof.yaml:3", for what is set there */
static char *source_of(const struct reader *reader, const yaml_node_t *node)
{
	char *source = NULL;

	return asprintf(&source, "%s:%lu", reader->path, line_of(node)) < 0 ? NULL : source;
}

static int fail_at(struct reader *reader, const yaml_node_t *node, const char *name, const char *why)
{
	return config_fail(reader->config, "%s:%lu: %s%.100s%s: %s", reader->path, line_of(node),
	                   name[0] != '\0' ? "\"" : "", name[0] != '\0' ? name : "the file",
	                   name[0] != '\0' ? "\"" : "", why);
}

/* A text without a NUL inside; plain nothing, "url:", is no text either. */
static bool is_text(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE && strlen(text_of(node)) == node->data.scalar.length &&
	       !(node->data.scalar.length == 0 && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
}

static bool comes_before(const struct reader *reader, const yaml_node_pair_t *first,
                         const yaml_node_pair_t *pair, const char *name)
{
	for (; first < pair; first++) {
		const yaml_node_t *other = yaml_document_get_node(reader->document, first->key);

		if (strcmp(text_of(other), name) == 0)
			return true;
	}
	return false;
}

static int for_each_pair(struct reader *reader, const yaml_node_t *mapping, on_pair *fn)
{
	const yaml_node_pair_t *first = mapping->data.mapping.pairs.start;
	int error = 0;

	for (const yaml_node_pair_t *pair = first; error == 0 && pair < mapping->data.mapping.pairs.top;
	     pair++) {
		const yaml_node_t *name = yaml_document_get_node(reader->document, pair->key);

		if (!is_text(name))
			error = fail_at(reader, name, "", "has a key that is no text");
		else if (comes_before(reader, first, pair, text_of(name)))
			error = fail_at(reader, name, text_of(name), "it is there twice: keep one");
		else
			error = fn(reader, name, yaml_document_get_node(reader->document, pair->value));
	}
	return error;
}

static int set(struct reader *reader, const struct config_key *key, const yaml_node_t *value,
               const char *text)
{
	char *source = source_of(reader, value);
	int error = source == NULL ? -ENOMEM : config_set(reader->config, reader->server, key, text,
	                                                   source, false);

	free(source);
	return error;
}

static int on_label(struct reader *reader, const yaml_node_t *name, const yaml_node_t *value)
{
	char *source;
	int error;

	if (!is_text(value))
		return fail_at(reader, value, text_of(name), "a label's value is to be a text");
	source = source_of(reader, value);
	error = source == NULL ? -ENOMEM : config_set_label(reader->config, text_of(name),
	                                                     text_of(value), source, false);
	free(source);
	return error;
}

static int read_list(struct reader *reader, const struct config_key *key, const yaml_node_t *list)
{
	char *lines = NULL;
	size_t size;
	FILE *out = open_memstream(&lines, &size);
	int error = out != NULL ? 0 : -ENOMEM;

	for (const yaml_node_item_t *item = list->data.sequence.items.start;
	     error == 0 && item < list->data.sequence.items.top; item++) {
		const yaml_node_t *node = yaml_document_get_node(reader->document, *item);

		if (!is_text(node) || strpbrk(text_of(node), "\r\n") != NULL)
			error = fail_at(reader, node, key->name, "its items are to be texts of one line");
		else
			fprintf(out, "%s\n", text_of(node));
	}
	if (out != NULL && fclose(out) != 0 && error == 0)
		error = -ENOMEM;
	if (error == 0)
		error = set(reader, key, list, lines);
	free(lines);
	return error;
}

static int on_key(struct reader *reader, const yaml_node_t *name, const yaml_node_t *value);

static int read_servers(struct reader *reader, const yaml_node_t *name, const yaml_node_t *list)
{
	int error = 0;

	if (list->type != YAML_SEQUENCE_NODE)
		return fail_at(reader, name, SERVERS, "write a list, each server after a dash: - url: ...");
	reader->in_server = true;
	for (const yaml_node_item_t *item = list->data.sequence.items.start;
	     error == 0 && item < list->data.sequence.items.top; item++) {
		const yaml_node_t *node = yaml_document_get_node(reader->document, *item);

		if (reader->server == CONFIG_SERVERS_MAX)
			return fail_at(reader, node, SERVERS, "there are more than 8");
		if (node->type != YAML_MAPPING_NODE || node->data.mapping.pairs.start ==
		                                               node->data.mapping.pairs.top)
			return fail_at(reader, node, SERVERS, "write each as a mapping: - url: ...");
		error = for_each_pair(reader, node, on_key);
		reader->config->server_count = ++reader->server;
	}
	reader->in_server = false;
	reader->server = 0;
	return error;
}

static int refuse_key(struct reader *reader, const yaml_node_t *name, const struct config_key *key)
{
	if (key == NULL)
		return fail_at(reader, name, text_of(name),
		               "unknown key; `rpcprof config --keys' lists them");
	return fail_at(reader, name, key->name,
	               reader->in_server ? "it is not a key of one server: put it beside \"servers\""
	                                 : "it is a key of servers: put it into an item of \"servers\"");
}

static int on_key(struct reader *reader, const yaml_node_t *name, const yaml_node_t *value)
{
	const struct config_key *key = config_key_find(text_of(name), strlen(text_of(name)));

	if (!reader->in_server && strcmp(text_of(name), SERVERS) == 0)
		return read_servers(reader, name, value);
	if (key == NULL || key->of_server != reader->in_server)
		return refuse_key(reader, name, key);
	if (key->type == CONFIG_LABELS)
		return value->type == YAML_MAPPING_NODE
		               ? for_each_pair(reader, value, on_label)
		               : fail_at(reader, name, key->name, "write a mapping: {name: value}");
	if (key->type == CONFIG_LIST || key->type == CONFIG_HEADERS)
		return value->type == YAML_SEQUENCE_NODE
		               ? read_list(reader, key, value)
		               : fail_at(reader, name, key->name, "write a list: [one, another]");
	if (value->type != YAML_SCALAR_NODE)
		return fail_at(reader, name, key->name, "write one value, not a list or a mapping");
	if (!is_text(value))
		return fail_at(reader, name, key->name, "it has no value: give it one, or leave it out");
	return set(reader, key, value, text_of(value));
}

static int read_document(struct reader *reader)
{
	const yaml_node_t *root = yaml_document_get_root_node(reader->document);

	if (root == NULL)
		return 0; /* nothing but comments */
	if (root->type != YAML_MAPPING_NODE)
		return fail_at(reader, root, "", "it is to be a mapping, key: value");
	return for_each_pair(reader, root, on_key);
}

static int fail_syntax(struct reader *reader, const yaml_parser_t *parser)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	return config_fail(reader->config, "%s:%zu: it is no YAML: %s", reader->path,
	                   (parser->error == YAML_READER_ERROR ? 0 : parser->problem_mark.line) + 1,
	                   parser->problem != NULL ? parser->problem : "");
}

/* The file has one document. */
static int read_second(struct reader *reader, yaml_parser_t *parser)
{
	yaml_document_t second;
	int error = 0;

	if (!yaml_parser_load(parser, &second))
		return fail_syntax(reader, parser);
	if (yaml_document_get_root_node(&second) != NULL)
		error = config_fail(reader->config, "%s: it has a second document: take away what "
		                    "follows ---", reader->path);
	yaml_document_delete(&second);
	return error;
}

static int parse(struct config *config, const char *path, const char *bytes, size_t length)
{
	yaml_document_t document;
	struct reader reader = {.config = config, .path = path, .document = &document};
	yaml_parser_t parser;
	int error;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, length);
	if (!yaml_parser_load(&parser, &document)) {
		error = fail_syntax(&reader, &parser);
		yaml_parser_delete(&parser);
		return error;
	}
	error = read_document(&reader);
	if (error == 0 && yaml_document_get_root_node(&document) != NULL)
		error = read_second(&reader, &parser);
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
	return error;
}

static int fail_read(struct config *config, const char *path)
{
	char reason[64];
	int error = -errno;

	(void)config_fail(config, "%s: it cannot be read: %s", path,
	                  strerror_r(errno, reason, sizeof(reason)));
	return error;
}

/* bytes: room for one more than a file may have. */
static int read_stream(struct config *config, const char *path, FILE *file, char *bytes)
{
	size_t length = fread(bytes, 1, FILE_BYTES_MAX + 1, file);

	if (ferror(file))
		return fail_read(config, path);
	if (length > FILE_BYTES_MAX)
		return config_fail(config, "%s: it has more than 1 MiB: it is no configuration", path);
	return parse(config, path, bytes, length);
}

int config_read_file(struct config *config, const char *path)
{
	char *bytes;
	FILE *file;
	int error;

	if (path[0] == '\0')
		return config_fail(config, CONFIG_FILE_VARIABLE " is empty: name a file, or unset it");
	file = fopen(path, "re");
	if (file == NULL)
		return fail_read(config, path);
	bytes = malloc(FILE_BYTES_MAX + 1);
	error = bytes != NULL ? read_stream(config, path, file, bytes) : -ENOMEM;
	free(bytes);
	fclose(file);
	return error;
}
