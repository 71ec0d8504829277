/* SPDX-License-Identifier: Apache-2.0 */
#include "export/directory_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ABANDONED_S 3600 /* a temporary file this old has no writer any more */

struct file {
	char name[RPCPROF_FILE_NAME_MAX + 16];
	uint64_t bytes;
};

struct listing {
	struct file *files;
	size_t count;
	size_t room;
};

/* Skips one digit or more; NULL if there is none. */
static const char *digits(const char *text)
{
	if (text == NULL || !isdigit((unsigned char)*text))
		return NULL;
	while (isdigit((unsigned char)*text))
		text++;
	return text;
}

static const char *literal(const char *text, const char *wanted)
{
	size_t length = strlen(wanted);

	return text != NULL && strncmp(text, wanted, length) == 0 ? text + length : NULL;
}

/* <kind>-<date>T<time>Z-<n>s-<pid>[-<n>].pb.gz, or <n>ms */
bool rpcprof_directory_is_profile(const char *name, const char *kind)
{
	const char *rest = digits(literal(digits(literal(literal(name, kind), "-")), "T"));
	const char *unit = digits(literal(rest, "Z-"));
	const char *pid = literal(unit, "s-");

	if (strlen(name) >= sizeof(((struct file *)0)->name))
		return false;
	rest = digits(pid != NULL ? pid : literal(unit, "ms-"));
	if (rest != NULL && *rest == '-')
		rest = digits(rest + 1);
	rest = literal(rest, ".pb.gz");
	return rest != NULL && *rest == '\0';
}

/* ".<name of a profile>.tmp" */
static bool is_temporary(const char *name, const char *kind)
{
	char profile[RPCPROF_FILE_NAME_MAX + 16];
	size_t length = strlen(name);

	if (length < 5 || length - 5 >= sizeof(profile) || name[0] != '.' ||
	    strcmp(name + length - 4, ".tmp") != 0)
		return false;
	memcpy(profile, name + 1, length - 5);
	profile[length - 5] = '\0';
	return rpcprof_directory_is_profile(profile, kind);
}

static int add_file(struct listing *listing, const char *name, uint64_t bytes)
{
	if (listing->count == listing->room) {
		size_t room = listing->room != 0 ? 2 * listing->room : 64;
		struct file *files = realloc(listing->files, room * sizeof(*files));

		if (files == NULL)
			return -ENOMEM;
		listing->files = files;
		listing->room = room;
	}
	snprintf(listing->files[listing->count].name, sizeof(listing->files->name), "%s", name);
	listing->files[listing->count++].bytes = bytes;
	return 0;
}

static int look_at(struct listing *listing, int dir, const char *name, const char *kind)
{
	bool temporary = is_temporary(name, kind);
	struct stat status;

	if (!temporary && !rpcprof_directory_is_profile(name, kind))
		return 0;
	if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
		return 0; /* another process was quicker, or it is not ours */
	if (!temporary)
		return add_file(listing, name, (uint64_t)status.st_size);
	if (time(NULL) - status.st_mtime > ABANDONED_S)
		(void)unlinkat(dir, name, 0);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* The name begins with the date: the order of names is that of windows. Newest first, keeps what
 * fits; the newest always. */
static int delete_old(const struct rpcprof_directory *directory, int dir,
                      struct listing *listing, uint64_t *deleted)
{
	uint64_t kept = 0, bytes = 0;
	int error = 0;

	for (size_t i = listing->count; i-- > 0;) {
		bytes += listing->files[i].bytes;
		if (kept++ == 0 || (kept <= directory->keep_files &&
		                    bytes <= directory->keep_bytes))
			continue;
		if (unlinkat(dir, listing->files[i].name, 0) == 0)
			++*deleted;
		else if (errno != ENOENT)
			error = -errno;
	}
	return error;
}

int rpcprof_directory_prune(const struct rpcprof_directory *directory, const char *kind,
                            uint64_t *deleted)
{
	struct listing listing = {0};
	DIR *dir = opendir(directory->path);
	struct dirent *entry;
	int error = 0;

	if (dir == NULL)
		return -errno;
	while (error == 0 && (entry = readdir(dir)) != NULL)
		error = look_at(&listing, dirfd(dir), entry->d_name, kind);
	if (error == 0 && listing.count != 0) {
		qsort(listing.files, listing.count, sizeof(*listing.files), by_name);
		error = delete_old(directory, dirfd(dir), &listing, deleted);
	}
	free(listing.files);
	closedir(dir);
	return error;
}
