/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pull/pull_internal.h"

const char *pull_header(const struct pull_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *pull_argument(const struct pull_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool pull_argument_count(struct pull_request *request, const char *name, uint32_t max,
                         uint32_t absent, uint32_t *count)
{
	const char *text = pull_argument(request, name);
	unsigned long number = text != NULL ? strtoul(text, NULL, 10) : absent;

	if (text != NULL && (text[strspn(text, "0123456789")] != '\0' || number < 1 || number > max)) {
		pull_say(&request->answer, MHD_HTTP_BAD_REQUEST, "%s: it takes 1 to %u", name, max);
		return false;
	}
	*count = (uint32_t)number;
	return true;
}

/* The program's locale may have another decimal point. */
static double number_of(const char *text, char **end)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	double number = strtod_l(text, end, c);

	freelocale(c);
	return number;
}

bool pull_parse_seconds(const char *text, double *seconds)
{
	char copy[32], *end;
	size_t length = strlen(text);

	if (length == 0 || length >= sizeof(copy))
		return false;
	memcpy(copy, text, length + 1);
	/* "1e+06" that was not escaped has become "1e 06" */
	for (char *c = strchr(copy, ' '); c != NULL; c = strchr(c, ' '))
		*c = '+';
	if (copy[strspn(copy, "0123456789.eE+-")] != '\0')
		return false; /* strtod() takes more: hexadecimal, "inf", "nan" */
	*seconds = number_of(copy, &end);
	return *end == '\0' && *seconds > 0 && isfinite(*seconds);
}
