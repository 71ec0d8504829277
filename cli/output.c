/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int file, const uint8_t *bytes, size_t length)
{
	while (length != 0) {
		ssize_t written = write(file, bytes, length);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			bytes += written;
			length -= (size_t)written;
		}
	}
	return 0;
}

/* The rights a new file gets; mkstemp() gives fewer. */
static mode_t new_file_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

static int write_and_rename(const char *temporary, int file, const char *path, const uint8_t *bytes,
                            size_t length)
{
	int status = write_all(file, bytes, length);

	if (status == 0 && (fchmod(file, new_file_mode()) != 0 || fsync(file) != 0))
		status = -errno;
	if (close(file) != 0 && status == 0)
		status = -errno;
	if (status == 0 && rename(temporary, path) != 0)
		status = -errno;
	return status;
}

static int write_stdout(const uint8_t *bytes, size_t length)
{
	if (isatty(STDOUT_FILENO))
		return complain(EXIT_USAGE, "a profile is not for terminals; give -o a file");
	fwrite(bytes, 1, length, stdout);
	return finish_stdout();
}

/* A device or pipe cannot be replaced, and must not be. */
static bool is_special(const char *path)
{
	struct stat about;

	return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

static int write_special(const char *path, const uint8_t *bytes, size_t length)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	int status = file < 0 ? -errno : write_all(file, bytes, length);

	if (file >= 0 && close(file) != 0 && status == 0)
		status = -errno;
	return status;
}

static int write_regular(const char *path, const uint8_t *bytes, size_t length)
{
	char *temporary;
	int file, status;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	file = mkostemp(temporary, O_CLOEXEC);
	if (file < 0)
		status = -errno;
	else
		status = write_and_rename(temporary, file, path, bytes, length);
	if (status != 0 && file >= 0)
		unlink(temporary);
	free(temporary);
	return status;
}

int write_file(const char *path, const uint8_t *bytes, size_t length)
{
	int status;

	if (strcmp(path, "-") == 0)
		return write_stdout(bytes, length);
	status = is_special(path) ? write_special(path, bytes, length)
	                          : write_regular(path, bytes, length);
	if (status == 0)
		return EXIT_DONE;
	return complain(EXIT_SYSTEM, "%s: not written: %s", path, strerror(-status));
}
