/* SPDX-License-Identifier: Apache-2.0 */
/* The file that `rpcprof run -o` names. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/preload_internal.h"
#include "rpcprof/dump.h"
#include "rpcprof/export.h"

static char path[PRELOAD_PATH_MAX];

/* Once, before main(): a program may change its directory, and later its environment. */
void preload_output_open(const char *pattern)
{
	size_t length = 0;

	if (pattern[0] != '/' && getcwd(path, sizeof(path) / 2)) {
		length = strlen(path);
		path[length++] = '/';
	}
	for (; *pattern && length < sizeof(path) - 16; pattern++) {
		if (pattern[0] == '%' && pattern[1] == 'p') {
			length += (size_t)snprintf(path + length, 16, "%d", (int)getpid());
			pattern++;
		} else {
			path[length++] = *pattern;
		}
	}
	path[length] = '\0';
}

static bool ends_with(const char *end)
{
	size_t length = strlen(path), tail = strlen(end);

	return length >= tail && strcmp(path + length - tail, end) == 0;
}

static int write_dump(const char *file)
{
	struct rpcprof_dump_options options = { .size = sizeof(options),
		                                .colour = RPCPROF_DUMP_COLOUR_NEVER };
	FILE *out = fopen(file, "we");
	int64_t written;

	if (!out)
		return -errno;
	if (ends_with(".jsonl"))
		options.format = RPCPROF_DUMP_JSON_LINES;
	else if (ends_with(".json"))
		options.format = RPCPROF_DUMP_JSON;
	written = rpcprof_dump(out, &options);
	if (fclose(out) != 0 && written >= 0)
		written = -errno;
	return written < 0 ? (int)written : 0;
}

int preload_output_write(void)
{
	char beside[PRELOAD_PATH_MAX + 24];
	int error;

	if (path[0] == '\0')
		return 0;
	if (ends_with(".pb.gz"))
		return rpcprof_profile_write(path);
	snprintf(beside, sizeof(beside), "%s.%d.part", path, (int)getpid());
	error = write_dump(beside);
	if (error == 0 && rename(beside, path) != 0)
		error = -errno;
	if (error != 0)
		unlink(beside);
	return error;
}
