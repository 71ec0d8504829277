/* SPDX-License-Identifier: Apache-2.0 */
/* One value: what it must look like, and what people are shown of it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config_internal.h"
#include "push/http_internal.h"

#define MASK "********"

struct unit {
	const char *name;
	uint64_t size;
};

static const struct unit durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"", 1},
                                    {NULL, 0}};
static const struct unit counts[] = {{"", 1}, {NULL, 0}};

__attribute__((format(printf, 2, 3))) static const char *because(char why[CONFIG_WHY],
                                                                 const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(why, CONFIG_WHY, format, arguments);
	va_end(arguments);
	return why;
}

static const struct unit *units_of(enum config_type type)
{
	if (type == CONFIG_MS || type == CONFIG_SECONDS)
		return durations;
	return type == CONFIG_BYTES ? sizes : counts;
}

static const char *form_of(enum config_type type)
{
	if (type == CONFIG_MS || type == CONFIG_SECONDS)
		return "write a whole number and ms, s, m or h, as in 10s";
	if (type == CONFIG_BYTES)
		return "write a whole number of bytes, or one of KiB, MiB or GiB, as in 64MiB";
	return "write a whole number";
}

/* 90000 as "90s" */
static void write_number(char out[32], enum config_type type, uint64_t number)
{
	const struct unit *unit = units_of(type);

	while (unit[1].name != NULL && number % unit->size != 0)
		unit++;
	(void)snprintf(out, 32, "%" PRIu64 "%s", number / unit->size, unit->name);
}

static const char *check_number(const struct config_key *key, const char *text, uint64_t *number,
                                char why[CONFIG_WHY])
{
	const struct unit *unit = units_of(key->type);
	char least[32], most[32];
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	while (unit->name != NULL && strcmp(unit->name, end) != 0)
		unit++;
	if (text[0] < '0' || text[0] > '9' || unit->name == NULL)
		return form_of(key->type);
	write_number(least, key->type, key->least);
	write_number(most, key->type, key->most);
	if (errno != 0 || __builtin_mul_overflow(*number, unit->size, number) ||
	    *number < key->least || *number > key->most)
		return because(why, "it is to be within %s and %s", least, most);
	if (key->type == CONFIG_SECONDS && *number % 1000 != 0)
		return "it is to be whole seconds";
	return NULL;
}

static const char *check_flag(const char *text, uint64_t *number)
{
	*number = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
	if (*number == 1 || strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
		return NULL;
	return "write true or false";
}

static const char *check_choice(const struct config_key *key, const char *text, uint64_t *number,
                                char why[CONFIG_WHY])
{
	const char *word = key->choices;
	size_t length;

	for (*number = 0; *word != '\0'; ++*number) {
		length = strcspn(word, " ");
		if (strlen(text) == length && memcmp(word, text, length) == 0)
			return NULL;
		word += length + (word[length] == ' ');
	}
	return because(why, "write one of: %s", key->choices);
}

static const char *check_file(const char *path, char why[CONFIG_WHY])
{
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char reason[64];
	struct stat stat;
	bool folder;

	if (file < 0)
		return because(why, "it cannot be read: %s", strerror_r(errno, reason, sizeof(reason)));
	folder = fstat(file, &stat) == 0 && S_ISDIR(stat.st_mode);
	close(file);
	return folder ? "it is a directory: name a file" : NULL;
}

/* Each "Name: value". The lines are the items. */
static const char *check_headers(const char *text)
{
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
		size_t length = strcspn(line, "\n"), name = strcspn(line, ":\n");

		if (name == 0 || name == length)
			return "write each as Name: value";
	}
	return NULL;
}

/* The newlines that end items are not of the values. */
static bool has_control_character(const struct config_key *key, const char *text)
{
	bool lines = key->type == CONFIG_LIST || key->type == CONFIG_HEADERS;

	for (; *text != '\0'; text++)
		if (((unsigned char)*text < ' ' && !(lines && *text == '\n')) || *text == 0x7f)
			return true;
	return false;
}

static const char *check_count(const struct config_key *key, const char *text, char why[CONFIG_WHY])
{
	size_t most = key->bytes / sizeof(char *), count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count > most ? because(why, "at most %zu of them are taken", most) : NULL;
}

const char *config_value_check(const struct config_key *key, const char *text, uint64_t *number,
                               char why[CONFIG_WHY])
{
	const char *wrong;

	if (text[0] == '\0')
		return "it is empty: give it a value, or leave it out";
	if (has_control_character(key, text))
		return "it has a control character";
	switch (key->type) {
	case CONFIG_COUNT:
	case CONFIG_BYTES:
	case CONFIG_MS:
	case CONFIG_SECONDS:
		return check_number(key, text, number, why);
	case CONFIG_FLAG:
		return check_flag(text, number);
	case CONFIG_CHOICE:
		return check_choice(key, text, number, why);
	case CONFIG_URL:
		return rpcprof_http_check_url(text);
	case CONFIG_FILE:
		return check_file(text, why);
	case CONFIG_HEADERS:
		wrong = check_headers(text);
		return wrong != NULL ? wrong : check_count(key, text, why);
	case CONFIG_LIST:
		return check_count(key, text, why);
	default:
		return NULL;
	}
}

/* One with a user or a query is refused, and so shown: without these. */
static void show_url(FILE *out, const char *text)
{
	const char *at = strrchr(text, '@'), *scheme = strstr(text, "://");

	if (at != NULL) {
		fprintf(out, "%.*s" MASK, scheme != NULL && scheme < at ? (int)(scheme + 3 - text) : 0,
		        text);
		text = at;
	}
	fprintf(out, "%.*s%s", (int)strcspn(text, "?"), text,
	        strchr(text, '?') != NULL ? "?" MASK : "");
}

static void show_list(FILE *out, const char *text, bool names_only)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n"), name = strcspn(text, ":\n");

		if (!names_only)
			fprintf(out, "%.*s", (int)length, text);
		else if (name < length)
			fprintf(out, "%.*s: " MASK, (int)name, text);
		else
			fputs(MASK, out); /* it is no header: who knows what it is */
		text += length + (text[length] == '\n');
		fputs(*text != '\0' ? ", " : "", out);
	}
}

char *config_value_show(const struct config_key *key, const char *text)
{
	char *shown = NULL;
	size_t size;
	FILE *out = open_memstream(&shown, &size);

	if (out == NULL)
		return NULL;
	if (key->type == CONFIG_SECRET)
		fputs(text[0] != '\0' ? MASK : "", out);
	else if (key->type == CONFIG_URL)
		show_url(out, text);
	else if (key->type == CONFIG_LIST || key->type == CONFIG_HEADERS)
		show_list(out, text, key->type == CONFIG_HEADERS);
	else
		fputs(text, out);
	if (fclose(out) != 0) {
		free(shown);
		shown = NULL;
	}
	return shown;
}
