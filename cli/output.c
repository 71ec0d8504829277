/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The rights a new file gets; mkstemp() gives fewer. */
static mode_t new_file_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

/* A device or pipe cannot be replaced, and must not be. */
static bool is_special(const char *path)
{
	struct stat about;

	return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

static int open_special(struct output *output)
{
	output->stream = fopen(output->path, "we");
	return output->stream != NULL ? 0 : -errno;
}

static int open_regular(struct output *output)
{
	int file;

	if (asprintf(&output->temporary, "%s.XXXXXX", output->path) < 0) {
		output->temporary = NULL;
		return -ENOMEM;
	}
	file = interrupt_create(output->temporary);
	if (file >= 0)
		output->stream = fdopen(file, "w");
	if (output->stream != NULL)
		return 0;
	if (file >= 0) {
		unlink(output->temporary);
		close(file);
	}
	free(output->temporary);
	output->temporary = NULL;
	return -errno;
}

int output_open(struct output *output, const char *path, const char *what)
{
	int status;

	*output = (struct output){.path = path};
	if (strcmp(path, "-") == 0) {
		if (what != NULL && isatty(STDOUT_FILENO))
			return complain(EXIT_USAGE, "%s is not for terminals; give -o a file",
			                what);
		output->stream = stdout;
		return EXIT_DONE;
	}
	status = is_special(path) ? open_special(output) : open_regular(output);
	if (output->stream != NULL)
		return EXIT_DONE;
	return complain(EXIT_SYSTEM, "%s: not written: %s", path, strerror(-status));
}

/* Everything on the disk, with the rights of a new file. 0 or a negative errno. */
static int complete(struct output *output)
{
	errno = 0;
	if (fflush(output->stream) != 0 || ferror(output->stream))
		return errno > 0 ? -errno : -EIO;
	if (output->temporary == NULL)
		return 0;
	if (fchmod(fileno(output->stream), new_file_mode()) != 0 ||
	    fsync(fileno(output->stream)) != 0)
		return -errno;
	return 0;
}

int output_close(struct output *output, int status)
{
	int error;

	progress_end();
	if (output->stream == stdout)
		return status == EXIT_DONE ? finish_stdout() : status;
	error = status == EXIT_DONE ? complete(output) : 0;
	if (fclose(output->stream) != 0 && error == 0)
		error = -errno;
	if (output->temporary != NULL && error == 0 && status == EXIT_DONE &&
	    rename(output->temporary, output->path) != 0)
		error = -errno;
	if (output->temporary != NULL && (error != 0 || status != EXIT_DONE))
		unlink(output->temporary);
	interrupt_forgets_file();
	free(output->temporary);
	if (error == 0)
		return status;
	return complain(EXIT_SYSTEM, "%s: not written: %s", output->path, strerror(-error));
}

int write_file(const char *path, const uint8_t *bytes, size_t length)
{
	struct output output;
	int status = output_open(&output, path, "a profile");

	if (status != EXIT_DONE)
		return status;
	fwrite(bytes, 1, length, output.stream);
	return output_close(&output, EXIT_DONE);
}
