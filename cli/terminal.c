/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "export/dump_internal.h"

int complain(enum exit_code code, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	progress_end();
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	fputs("rpcprof: ", stderr);
	/* File names and what files hold may be meant for the terminal. */
	rpcprof_dump_print_name(stderr, text != NULL ? text : "out of memory");
	fputc('\n', stderr);
	free(text);
	return code;
}

int finish_stdout(void)
{
	progress_end();
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	return complain(EXIT_SYSTEM, "standard output: %s",
	                errno != 0 ? strerror(errno) : "a write failed");
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool progress_shown;
static int64_t progress_begin;

void progress(const char *what, size_t done, size_t whole)
{
	static int64_t last;
	int64_t now = now_ms();

	if (progress_begin == 0)
		progress_begin = now;
	if (now - progress_begin < 1000 || now - last < 200 || whole == 0 || !isatty(STDERR_FILENO))
		return;
	last = now;
	progress_shown = true;
	fputc('\r', stderr);
	rpcprof_dump_print_name(stderr, what);
	fprintf(stderr, ": %3.0f %%\033[K", 100.0 * (double)done / (double)whole);
}

void progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
	progress_begin = 0; /* what comes next has a second of its own */
}

size_t parse_count(struct argp_state *state, const char *option, const char *text)
{
	char *end;
	unsigned long long count;

	errno = 0;
	count = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || count == 0)
		argp_error(state, "%s takes a whole number from 1 up, not \"%s\"", option, text);
	return (size_t)count;
}

uint64_t parse_duration(struct argp_state *state, const char *option, const char *text)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	char *end;
	double number = strtod(text, &end);

	for (size_t i = 0; isdigit((unsigned char)text[0]) && i < sizeof(units) / sizeof(units[0]);
	     i++)
		if (strcmp(end, units[i].name) == 0 && number * units[i].ns < 9e18)
			return (uint64_t)(number * units[i].ns);
	argp_error(state, "%s takes a number and ns, us, ms, s, m or h, like 5ms, not \"%s\"",
	           option, text);
	return 0;
}
