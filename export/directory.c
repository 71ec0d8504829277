/* SPDX-License-Identifier: Apache-2.0 */
#include "export/directory_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SAME_NAME_MAX 100 /* windows of one second that may be told apart */

int rpcprof_write_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

static int write_and_close(int fd, const uint8_t *bytes, size_t length, bool sync)
{
	int error = rpcprof_write_all(fd, bytes, length);

	if (error == 0 && sync && fsync(fd) != 0)
		error = -errno;
	/* A file system over a network may tell only now that it is full. */
	if (close(fd) != 0 && error == 0 && errno != EINTR)
		error = -errno;
	return error;
}

/* Renames, but never over a file. Where the file system cannot do that at once, nearly so: only
 * processes of the same number, in containers that share the directory, could still meet. */
static int rename_new(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (faccessat(dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(dir, from, dir, to) == 0 ? 0 : -errno;
}

static int create(int dir, const char *name, const uint8_t *bytes, size_t length, bool sync)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : write_and_close(fd, bytes, length, sync);
}

/* name is without ".pb.gz": a second file of the same name gets a number. */
static int create_profile(int dir, const char *name, const uint8_t *bytes, size_t length,
                          bool sync)
{
	char temporary[RPCPROF_FILE_NAME_MAX + 16], final[RPCPROF_FILE_NAME_MAX + 16];
	int error;

	snprintf(temporary, sizeof(temporary), ".%s.pb.gz.tmp", name);
	snprintf(final, sizeof(final), "%s.pb.gz", name);
	error = create(dir, temporary, bytes, length, sync);
	if (error == 0)
		error = rename_new(dir, temporary, final);
	for (int i = 1; error == -EEXIST && i < SAME_NAME_MAX; i++) {
		snprintf(final, sizeof(final), "%s-%d.pb.gz", name, i);
		error = rename_new(dir, temporary, final);
	}
	if (error != 0)
		(void)unlinkat(dir, temporary, 0);
	else if (sync && fsync(dir) != 0)
		error = -errno;
	return error;
}

static void make_name(char name[RPCPROF_FILE_NAME_MAX], const char *kind, int64_t begin_ns,
                      int64_t length_ns)
{
	time_t seconds = (time_t)(begin_ns / 1000000000);
	int64_t ms = (length_ns + 500000) / 1000000;
	char date[40] = "00000000T000000Z";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(name, RPCPROF_FILE_NAME_MAX, "%.32s-%s-%" PRId64 "%s-%d", kind, date,
	         ms % 1000 == 0 ? ms / 1000 : ms, ms % 1000 == 0 ? "s" : "ms", (int)getpid());
}

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && mkdir(path, 0755) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int rpcprof_directory_write(const struct rpcprof_directory *directory, const char *kind,
                            int64_t begin_ns, int64_t length_ns, const uint8_t *bytes,
                            size_t length)
{
	char name[RPCPROF_FILE_NAME_MAX];
	int dir = open_directory(directory->path);
	int error;

	if (dir < 0)
		return dir;
	make_name(name, kind, begin_ns, length_ns);
	error = create_profile(dir, name, bytes, length, directory->sync);
	close(dir);
	return error;
}

/* Opens the directory that a path lies in. *name: the rest of the path. */
static int open_parent(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char parent[4096];
	size_t length = slash != NULL ? (size_t)(slash - path) + 1 : 0;
	int fd;

	*name = path + length;
	if (length >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, length);
	parent[length] = '\0';
	fd = open(length != 0 ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int rpcprof_file_write(const char *path, const uint8_t *bytes, size_t length, bool sync)
{
	char temporary[256];
	const char *name;
	int dir = open_parent(path, &name);
	int error = 0;

	if (dir < 0)
		return dir;
	if (*name == '\0')
		error = -EISDIR;
	else if (strlen(name) + 6 > sizeof(temporary))
		error = -ENAMETOOLONG;
	if (error == 0) {
		snprintf(temporary, sizeof(temporary), ".%s.tmp", name);
		error = create(dir, temporary, bytes, length, sync);
		if (error == 0 && renameat(dir, temporary, dir, name) != 0)
			error = -errno;
		if (error != 0)
			(void)unlinkat(dir, temporary, 0);
	}
	close(dir);
	return error;
}
