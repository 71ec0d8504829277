/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels, checked when they are set: a server that does not like one refuses the whole profile, and
 * says so only later.
 */
#include "push/labels_internal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "export/pprof_model_internal.h"

#define NAME_MAX_BYTES 256
#define VALUE_MAX_BYTES 1024

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Pyroscope 1.x refuses dashes and what is not ASCII. */
static const char *check_name(const char *name)
{
	if (name == NULL || !is_letter(name[0]))
		return "its name does not begin with a letter or _";
	if (strncmp(name, "__", 2) == 0)
		return "names that begin with __ are the servers'";
	for (const char *c = name; *c != '\0'; c++)
		if (!is_letter(*c) && !is_digit(*c))
			return "its name has a character other than letters, digits and _";
	return strlen(name) > NAME_MAX_BYTES ? "its name is longer than 256 bytes" : NULL;
}

static const char *check_value(const char *value)
{
	if (value == NULL || value[0] == '\0')
		return "its value is empty";
	if (strlen(value) > VALUE_MAX_BYTES)
		return "its value is longer than 1024 bytes";
	if (!rpcprof_pprof_utf8_valid(value, strlen(value)))
		return "its value is not UTF-8";
	for (const char *c = value; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return "its value has a control character";
	return NULL;
}

/* There is no quoting in the query of /ingest. */
static const char *check_ingest_value(const char *value)
{
	if (strpbrk(value, ",}") != NULL)
		return "its value has a comma or a brace, which /ingest cannot take";
	if (value[0] == ' ' || value[strlen(value) - 1] == ' ')
		return "its value begins or ends with a space, which /ingest cannot take";
	return NULL;
}

/* What /ingest takes as name, and autopgo as part of a path. */
static const char *check_application(const char *value, const char *allowed, const char *reason)
{
	return value[strspn(value, allowed)] != '\0' ? reason : NULL;
}

static const char *check_for_protocol(const struct rpcprof_label *label, uint32_t protocol)
{
	bool application = strcmp(label->name, "service_name") == 0;

	if (protocol == RPCPROF_PUSH_AUTOPGO)
		return !application ? NULL
		                    : check_application(label->value,
		                                        "abcdefghijklmnopqrstuvwxyz0123456789-",
		                                        "autopgo takes a-z, 0-9 and - only");
	if (protocol == RPCPROF_PUSH_PYROSCOPE || protocol == RPCPROF_PUSH_PARCA)
		return NULL;
	if (application)
		return check_application(label->value,
		                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		                         "0123456789_.-",
		                         "/ingest takes letters, digits, _ . and - only");
	return check_ingest_value(label->value);
}

const char *rpcprof_label_check(const struct rpcprof_label *label, uint32_t protocol)
{
	const char *wrong = check_name(label->name);

	if (wrong == NULL)
		wrong = check_value(label->value);
	return wrong != NULL ? wrong : check_for_protocol(label, protocol);
}

const char *rpcprof_profile_name_check(const char *name)
{
	if (name == NULL || !is_letter(name[0]))
		return "it does not begin with a letter or _";
	for (const char *c = name; *c != '\0'; c++)
		if (!is_letter(*c) && !is_digit(*c))
			return "it has a character other than letters, digits and _";
	return strlen(name) > NAME_MAX_BYTES ? "it is longer than 256 bytes" : NULL;
}

static size_t find(const struct rpcprof_labels *labels, const char *name)
{
	size_t i = 0;

	while (i < labels->count && strcmp(labels->list[i].name, name) != 0)
		i++;
	return i;
}

bool rpcprof_labels_put(struct rpcprof_labels *labels, const struct rpcprof_label *label)
{
	size_t i = find(labels, label->name);

	if (i == RPCPROF_LABEL_SET_MAX)
		return false;
	labels->list[i] = *label;
	if (i == labels->count)
		labels->count++;
	return true;
}

/* Name and value in one piece of memory, to be freed by the name. */
static bool copy_label(struct rpcprof_label *copy, const struct rpcprof_label *label)
{
	size_t name = strlen(label->name) + 1, value = strlen(label->value) + 1;
	char *text = malloc(name + value);

	if (text == NULL)
		return false;
	copy->name = memcpy(text, label->name, name);
	copy->value = memcpy(text + name, label->value, value);
	return true;
}

int rpcprof_labels_set(struct rpcprof_labels *labels, const struct rpcprof_label *label)
{
	size_t i = find(labels, label->name);
	char *old;

	if (i == RPCPROF_LABEL_SET_MAX)
		return -ENOSPC;
	old = i < labels->count ? (char *)labels->list[i].name : NULL;
	if (!copy_label(&labels->list[i], label))
		return -ENOMEM;
	free(old);
	if (i == labels->count)
		labels->count++;
	return 0;
}

void rpcprof_labels_remove(struct rpcprof_labels *labels, const char *name)
{
	size_t i = find(labels, name);

	if (i == labels->count)
		return;
	free((char *)labels->list[i].name);
	labels->count--;
	memmove(&labels->list[i], &labels->list[i + 1],
	        (labels->count - i) * sizeof(labels->list[0]));
}

void rpcprof_labels_clear(struct rpcprof_labels *labels)
{
	while (labels->count > 0)
		free((char *)labels->list[--labels->count].name);
}

static bool is_admitted(const struct rpcprof_label *label, struct rpcprof_label_values *values)
{
	uint64_t hash = rpcprof_pprof_hash(label->name, strlen(label->name), 0);

	hash = rpcprof_pprof_hash(label->value, strlen(label->value), hash);
	for (size_t i = 0; i < values->count; i++)
		if (values->hashes[i] == hash)
			return true;
	if (values->count == values->max)
		return false;
	values->hashes[values->count++] = hash;
	return true;
}

size_t rpcprof_labels_cap(struct rpcprof_labels *labels, struct rpcprof_label_values *values)
{
	size_t capped = 0;

	for (size_t i = 1; i < labels->count; i++) {
		if (is_admitted(&labels->list[i], values))
			continue;
		labels->list[i].value = "other";
		capped++;
	}
	return capped;
}
