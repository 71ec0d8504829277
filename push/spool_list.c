/* SPDX-License-Identifier: Apache-2.0 */
#include "push/spool_list_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Target, labels, begin, end, writer, number. Another layout of the file needs another name. */
#define FORMAT "push1-"
#define NAME_FORMAT                                                                                \
	FORMAT "%08" PRIx32 "-%08" PRIx32 "-%020" PRId64 "-%020" PRId64 "-%016" PRIx64              \
	       "-%08" PRIx32 ".session"

void rpcprof_spool_name(const struct rpcprof_spool_entry *entry, char *name)
{
	snprintf(name, RPCPROF_SPOOL_NAME_ROOM, NAME_FORMAT, entry->target, entry->labels, entry->begin_ns,
	         entry->end_ns, entry->writer, entry->number);
}

static bool parse(const char *name, struct rpcprof_spool_entry *entry)
{
	int end = 0;

	return sscanf(name,
	              FORMAT "%8" SCNx32 "-%8" SCNx32 "-%20" SCNd64 "-%20" SCNd64 "-%16" SCNx64
	                     "-%8" SCNx32 ".session%n",
	              &entry->target, &entry->labels, &entry->begin_ns, &entry->end_ns,
	              &entry->writer, &entry->number, &end) == 6 &&
	       end > 0 && name[end] == '\0';
}

static bool append(struct rpcprof_spool_list *list, const struct rpcprof_spool_entry *entry)
{
	if (list->count == list->room) {
		size_t room = list->room > 0 ? 2 * list->room : 64;
		struct rpcprof_spool_entry *more = realloc(list->entries, room * sizeof(*more));

		if (more == NULL)
			return false; /* what is not seen now is seen later */
		list->entries = more;
		list->room = room;
	}
	list->entries[list->count++] = *entry;
	list->bytes += entry->bytes;
	return true;
}

static int compare(const void *left, const void *right)
{
	const struct rpcprof_spool_entry *a = left, *b = right;

	if (a->begin_ns != b->begin_ns)
		return a->begin_ns > b->begin_ns ? -1 : 1;
	if (a->writer != b->writer)
		return a->writer > b->writer ? -1 : 1;
	return a->number != b->number ? (a->number > b->number ? -1 : 1) : 0;
}

void rpcprof_spool_list(int dir, const uint32_t *target, struct rpcprof_spool_list *list)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *found;

	*list = (struct rpcprof_spool_list){0};
	while (stream != NULL && (found = readdir(stream)) != NULL) {
		struct rpcprof_spool_entry entry;
		struct stat file;

		if (!parse(found->d_name, &entry) || (target != NULL && entry.target != *target) ||
		    fstatat(dir, found->d_name, &file, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		entry.bytes = (uint64_t)file.st_size;
		entry.put_ns = file.st_mtim.tv_sec * INT64_C(1000000000) + file.st_mtim.tv_nsec;
		if (!append(list, &entry))
			break;
	}
	if (stream != NULL)
		closedir(stream);
	else if (copy >= 0)
		close(copy);
	if (list->count > 1)
		qsort(list->entries, list->count, sizeof(*list->entries), compare);
}

int rpcprof_spool_remove(int dir, const struct rpcprof_spool_entry *entry)
{
	char name[RPCPROF_SPOOL_NAME_ROOM];

	rpcprof_spool_name(entry, name);
	return unlinkat(dir, name, 0) == 0 ? 0 : -errno;
}
