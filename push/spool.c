/* SPDX-License-Identifier: Apache-2.0 */
#include "push/spool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "export/directory_internal.h"
#include "push/spool_list_internal.h"

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

static void prune(struct rpcprof_spool *spool, int dir, size_t more, int64_t now_utc_ns,
                  struct rpcprof_spool_losses *losses)
{
	struct rpcprof_spool_list list;
	int status = 0;

	rpcprof_spool_list(dir, NULL, &list);
	while (list.count > 0 && (status == 0 || status == -ENOENT)) {
		const struct rpcprof_spool_entry *oldest = &list.entries[--list.count];

		if (oldest->begin_ns >= now_utc_ns - spool->max_age_ns &&
		    list.bytes + more <= spool->bytes_max)
			break;
		status = rpcprof_spool_remove(dir, oldest); /* -ENOENT: another process was first */
		losses->pruned += status == 0;
		list.bytes -= oldest->bytes;
	}
	free(list.entries);
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

static char *make_path(struct rpcprof_spool *spool, const struct rpcprof_waiting *waiting)
{
	const struct rpcprof_spool_entry entry = {
		.target = spool->target, .begin_ns = waiting->begin_ns, .end_ns = waiting->end_ns,
		.labels = (uint32_t)crc32_z(0, waiting->data, waiting->label_bytes),
		.writer = spool->writer, .number = spool->written++};
	char name[RPCPROF_SPOOL_NAME_ROOM], *path;

	rpcprof_spool_name(&entry, name);
	return asprintf(&path, "%s/%s", spool->path, name) >= 0 ? path : NULL;
}

int rpcprof_spool_put(struct rpcprof_spool *spool, const struct rpcprof_waiting *waiting,
                      int64_t now_utc_ns, struct rpcprof_spool_losses *losses)
{
	int dir = open_directory(spool->path), error = -ENOMEM;
	char *path = make_path(spool, waiting);
	uint8_t *file;
	size_t length;

	if (dir < 0) {
		free(path);
		return dir;
	}
	file = encode(waiting, &length);
	if (file != NULL && path != NULL) {
		prune(spool, dir, length, now_utc_ns, losses);
		error = length <= spool->bytes_max
		                ? rpcprof_file_write(path, file, length, false)
		                : -ENOSPC;
	}
	free(path);
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

/* Opens a file that no other process is about to take. A file, or a negative errno. */
static int claim(int dir, const struct rpcprof_spool_entry *entry, size_t *length)
{
	char name[RPCPROF_SPOOL_NAME_ROOM];
	struct stat file;
	int fd;

	rpcprof_spool_name(entry, name);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Who holds the lock of a file that still has a name may take it. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &file) == 0 && file.st_nlink > 0) {
		*length = (size_t)file.st_size;
		return fd;
	}
	close(fd);
	return -EAGAIN;
}

struct gathering {
	struct rpcprof_merge *merge;
	struct rpcprof_spool_losses *losses; /* NULL: only look */
	int dir;
	uint32_t labels; /* of the first */
};

/* What is sent must be gone first: what cannot be deleted would be sent for ever. */
static bool is_ours(const struct gathering *gathering, const struct rpcprof_spool_entry *entry)
{
	return gathering->losses == NULL || rpcprof_spool_remove(gathering->dir, entry) == 0;
}

/* false: no further ones are needed. */
static bool gather_one(struct gathering *gathering, const struct rpcprof_spool_entry *entry,
                       struct rpcprof_waiting *waiting)
{
	struct rpcprof_merge *merge = gathering->merge;
	struct rpcprof_pprof *model;

	if (merge->count == 0) {
		if (!is_ours(gathering, entry)) {
			free(waiting);
			return false;
		}
		gathering->labels = entry->labels;
		rpcprof_merge_begin(merge, waiting);
		return true;
	}
	if (!rpcprof_merge_takes(merge, waiting, &model)) {
		free(waiting);
		return false;
	}
	if (!is_ours(gathering, entry)) {
		rpcprof_pprof_close(model);
		free(waiting);
		return false;
	}
	rpcprof_merge_add(merge, waiting, model);
	return true;
}

static bool gather_file(struct gathering *gathering, const struct rpcprof_spool_entry *entry)
{
	size_t length = 0;
	int fd = claim(gathering->dir, entry, &length);
	struct rpcprof_waiting *waiting;
	bool more = true;

	if (fd < 0)
		return fd == -EAGAIN || fd == -ENOENT;
	waiting = load(fd, length);
	if (waiting != NULL)
		more = gather_one(gathering, entry, waiting);
	else if (gathering->losses != NULL && rpcprof_spool_remove(gathering->dir, entry) == 0)
		gathering->losses->damaged++;
	close(fd);
	return more;
}

static bool gather(struct gathering *gathering, const struct rpcprof_spool_list *list)
{
	bool more = true;

	for (size_t i = 0; more && i < list->count; i++)
		if (gathering->merge->count == 0 || list->entries[i].labels == gathering->labels)
			more = gather_file(gathering, &list->entries[i]);
	return gathering->merge->count > 0;
}

bool rpcprof_spool_take(struct rpcprof_spool *spool, int64_t now_utc_ns,
                        struct rpcprof_merge *merge, struct rpcprof_spool_losses *losses)
{
	int dir = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct gathering gathering = {.merge = merge, .losses = losses, .dir = dir};
	struct rpcprof_spool_list list;
	bool any;

	if (dir < 0)
		return false;
	prune(spool, dir, 0, now_utc_ns, losses);
	rpcprof_spool_list(dir, &spool->target, &list);
	any = gather(&gathering, &list);
	free(list.entries);
	close(dir);
	return any;
}

bool rpcprof_spool_look(struct rpcprof_spool *spool, struct rpcprof_merge *merge,
                        struct rpcprof_spool_times *times)
{
	int dir = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct gathering gathering = {.merge = merge, .dir = dir};
	struct rpcprof_spool_list list;
	bool any;

	if (dir < 0)
		return false;
	rpcprof_spool_list(dir, &spool->target, &list);
	any = gather(&gathering, &list);
	for (size_t i = 0; i < list.count; i++) {
		times->begin_ns = list.entries[i].begin_ns; /* the last one is the oldest */
		if (i == 0 || list.entries[i].put_ns > times->put_ns)
			times->put_ns = list.entries[i].put_ns;
	}
	free(list.entries);
	close(dir);
	return any;
}
