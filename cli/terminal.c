/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
