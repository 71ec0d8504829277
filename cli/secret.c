/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, passwords and keys, which are never arguments: everyone on a machine sees those. */
#include "cli/command_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_BYTES_MAX (1 << 20)

static int read_stream(const char *path, FILE *file, char **text)
{
	char *bytes = calloc(1, SECRET_BYTES_MAX + 1);
	size_t length;

	if (bytes == NULL)
		return complain(EXIT_SYSTEM, "%s: out of memory", path);
	errno = 0;
	length = fread(bytes, 1, SECRET_BYTES_MAX, file);
	if (ferror(file)) {
		free(bytes);
		return complain(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	}
	while (length > 0 && isspace((unsigned char)bytes[length - 1]))
		bytes[--length] = '\0';
	*text = bytes;
	return EXIT_DONE;
}

int secret_read(const char *path, char **text)
{
	FILE *file;
	int status;

	*text = NULL;
	if (path == NULL)
		return EXIT_DONE;
	file = fopen(path, "re");
	if (file == NULL)
		return complain(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	status = read_stream(path, file, text);
	fclose(file);
	return status;
}

void secret_free(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}
