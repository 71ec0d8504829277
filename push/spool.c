/* SPDX-License-Identifier: Apache-2.0 */
#include "push/spool_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "export/directory_internal.h"

#define FORMAT "push1-" /* another layout of the file needs another name */
#define NAME_FORMAT FORMAT "%08" PRIx32 "-%020" PRId64 "-%d-%" PRIu64 ".session"
#define FILE_MAX ((size_t)64 << 20)

/* How a file begins; labels and profile follow. Of the machine that wrote it. */
struct header {
	uint32_t checksum; /* of all that follows */
	uint32_t label_count;
	uint64_t label_bytes;
	uint64_t length;
	int64_t begin_ns, end_ns;
};

static uint32_t checksum_of(const uint8_t *file, size_t length)
{
	return (uint32_t)crc32_z(0, file + sizeof(uint32_t), length - sizeof(uint32_t));
}

struct found {
	char name[NAME_MAX + 1];
	int64_t begin_ns;
	uint64_t total; /* bytes of all */
};

static bool parse(const char *name, uint32_t *target, int64_t *begin_ns)
{
	uint64_t number;
	int pid, end = 0;

	return sscanf(name, FORMAT "%8" SCNx32 "-%20" SCNd64 "-%d-%" SCNu64 ".session%n", target,
	              begin_ns, &pid, &number, &end) == 4 &&
	       end > 0 && name[end] == '\0';
}

/* The file of the latest (or earliest) begin; of one target only, or of all. */
static bool find(int dir, bool latest, const uint32_t *of_target, struct found *found)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	struct stat file;
	bool any = false;

	found->total = 0;
	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		uint32_t target;
		int64_t begin_ns;

		if (!parse(entry->d_name, &target, &begin_ns))
			continue;
		if (fstatat(dir, entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == 0)
			found->total += (uint64_t)file.st_size;
		if (of_target != NULL && target != *of_target)
			continue;
		if (any && (begin_ns > found->begin_ns) != latest)
			continue;
		any = true;
		found->begin_ns = begin_ns;
		snprintf(found->name, sizeof(found->name), "%s", entry->d_name);
	}
	if (stream != NULL)
		closedir(stream);
	else if (copy >= 0)
		close(copy);
	return any;
}

static void prune(struct rpcprof_spool *spool, int dir, size_t more, int64_t now_utc_ns,
                  struct rpcprof_spool_losses *losses)
{
	struct found oldest;

	while (find(dir, false, NULL, &oldest)) {
		bool old = oldest.begin_ns < now_utc_ns - spool->max_age_ns;

		if (!old && oldest.total + more <= spool->bytes_max)
			return;
		if (unlinkat(dir, oldest.name, 0) == 0)
			losses->pruned++;
		else if (errno != ENOENT) /* another process was first */
			return;
	}
}

static int open_directory(const char *path)
{
	int made = mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
	int dir = made == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (dir >= 0)
		return dir;
	return made != 0 ? made : -errno;
}

static uint8_t *encode(const struct rpcprof_waiting *waiting, size_t *length)
{
	struct header header = {.label_count = (uint32_t)waiting->label_count,
	                        .label_bytes = waiting->label_bytes, .length = waiting->length,
	                        .begin_ns = waiting->begin_ns, .end_ns = waiting->end_ns};
	uint8_t *file;

	*length = sizeof(header) + waiting->label_bytes + waiting->length;
	file = malloc(*length);
	if (file == NULL)
		return NULL;
	memcpy(file, &header, sizeof(header));
	memcpy(file + sizeof(header), waiting->data, *length - sizeof(header));
	header.checksum = checksum_of(file, *length);
	memcpy(file, &header, sizeof(header));
	return file;
}

int rpcprof_spool_put(struct rpcprof_spool *spool, const struct rpcprof_waiting *waiting,
                      int64_t now_utc_ns, struct rpcprof_spool_losses *losses)
{
	int dir = open_directory(spool->path), error = -ENOMEM;
	uint8_t *file;
	char *path;
	size_t length;

	if (dir < 0)
		return dir;
	file = encode(waiting, &length);
	if (file != NULL && asprintf(&path, "%s/" NAME_FORMAT, spool->path, spool->target,
	                             waiting->begin_ns, (int)getpid(), spool->written++) >= 0) {
		prune(spool, dir, length, now_utc_ns, losses);
		error = length <= spool->bytes_max
		                ? rpcprof_file_write(path, file, length, false)
		                : -ENOSPC;
		free(path);
	}
	free(file);
	close(dir);
	return error;
}

static bool read_all(int fd, uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t got = read(fd, bytes, length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		bytes += got;
		length -= (size_t)got;
	}
	return true;
}

static struct rpcprof_waiting *decode(const uint8_t *file, size_t length)
{
	const struct rpcprof_labels none = {.count = 0};
	struct rpcprof_waiting *waiting;
	struct rpcprof_labels labels;
	struct header header;

	memcpy(&header, file, sizeof(header));
	length -= sizeof(header);
	if (header.checksum != checksum_of(file, length + sizeof(header)) ||
	    header.label_bytes > length || header.length != length - header.label_bytes)
		return NULL;
	waiting = rpcprof_waiting_make(&none, header.begin_ns, header.end_ns,
	                               file + sizeof(header), length);
	if (waiting == NULL)
		return NULL;
	waiting->label_count = header.label_count;
	waiting->label_bytes = header.label_bytes;
	waiting->length = header.length;
	if (rpcprof_waiting_labels(waiting, &labels) && labels.count >= 2)
		return waiting;
	free(waiting);
	return NULL;
}

/* NULL: it is damaged, or there is no memory. */
static struct rpcprof_waiting *load(int fd, size_t length)
{
	struct rpcprof_waiting *waiting = NULL;
	uint8_t *file = length >= sizeof(struct header) && length <= FILE_MAX ? malloc(length)
	                                                                      : NULL;

	if (file != NULL && read_all(fd, file, length))
		waiting = decode(file, length);
	free(file);
	return waiting;
}

/* Takes one file. 0; -EAGAIN: it is another process's, or no more there. */
static int take(int dir, const char *name, struct rpcprof_waiting **waiting)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat file;
	int status = -EAGAIN;

	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	/* Who holds the lock of a file that still has a name may take it. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &file) == 0 && file.st_nlink > 0) {
		*waiting = load(fd, (size_t)file.st_size);
		status = unlinkat(dir, name, 0) == 0 ? 0 : -errno;
	}
	close(fd);
	return status;
}

struct rpcprof_waiting *rpcprof_spool_take(struct rpcprof_spool *spool, int64_t now_utc_ns,
                                           struct rpcprof_spool_losses *losses)
{
	int dir = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = 0;
	struct rpcprof_waiting *waiting = NULL;
	struct found newest;

	if (dir < 0)
		return NULL;
	prune(spool, dir, 0, now_utc_ns, losses);
	while (status == 0 && waiting == NULL && find(dir, true, &spool->target, &newest)) {
		status = take(dir, newest.name, &waiting);
		if (status == 0 && waiting == NULL)
			losses->damaged++;
	}
	close(dir);
	/* What cannot be deleted would be sent for ever. */
	if (status != 0) {
		free(waiting);
		waiting = NULL;
	}
	return waiting;
}
