/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_internal.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "export/pprof_model_internal.h"

/* Source: grpc/status.h. */
const char *rpcprof_dump_status_name(int32_t status)
{
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	if (status < 0 || (size_t)status >= sizeof(names) / sizeof(names[0]))
		return NULL;
	return names[status];
}

static uint32_t decode(const unsigned char *s, size_t length)
{
	switch (length) {
	case 1:
		return s[0];
	case 2:
		return (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
	case 3:
		return (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
	default:
		return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 |
		       (uint32_t)(s[2] & 0x3f) << 6 | (s[3] & 0x3f);
	}
}

/* Control characters, and those that turn the direction or start of a line around. */
static bool is_active(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x061c ||
	       (character >= 0x200b && character <= 0x200f) ||
	       (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2060 && character <= 0x206f) || character == 0xfeff;
}

int rpcprof_dump_print_name(FILE *out, const char *name)
{
	size_t length = strlen(name), step;
	int columns = 0;

	for (size_t i = 0; i < length; i += step) {
		const unsigned char *s = (const unsigned char *)name + i;
		uint32_t character;

		step = rpcprof_pprof_utf8_next(name + i, length - i);
		if (step == 0) {
			columns += fprintf(out, "\\x%02x", s[0]);
			step = 1;
			continue;
		}
		character = decode(s, step);
		if (character == '\\')
			columns += fprintf(out, "\\\\");
		else if (is_active(character))
			columns += fprintf(out, character < 0x80 ? "\\x%02x" : "\\u%04x", character);
		else if (fwrite(s, 1, step, out) == step)
			columns++;
	}
	return columns;
}

void rpcprof_dump_format_duration(char out[DUMP_DURATION_CHARS], uint64_t ns)
{
	if (ns < 1000)
		snprintf(out, DUMP_DURATION_CHARS, "%" PRIu64 " ns", ns);
	else if (ns < 1000 * 1000)
		snprintf(out, DUMP_DURATION_CHARS, "%.3f us", (double)ns / 1e3);
	else if (ns < 1000 * 1000 * 1000)
		snprintf(out, DUMP_DURATION_CHARS, "%.3f ms", (double)ns / 1e6);
	else
		snprintf(out, DUMP_DURATION_CHARS, "%.3f s", (double)ns / 1e9);
}

void rpcprof_dump_format_date(char out[40], int64_t utc_ns)
{
	int64_t nanoseconds = utc_ns % 1000000000;
	time_t seconds = utc_ns / 1000000000;
	struct tm date;
	size_t used;

	if (nanoseconds < 0) {
		nanoseconds += 1000000000;
		seconds--;
	}
	gmtime_r(&seconds, &date);
	used = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &date);
	snprintf(out + used, 40 - used, ".%09dZ", (int)nanoseconds);
}
