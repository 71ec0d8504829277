/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds another initialised copy of the library in this process (one linked statically into some
 * other object, with a switch of its own): every copy leaves a mapping whose name and content
 * say so.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stats/control_internal.h"

#define MARKER "rpcprof-marker"
#define MARKER_BYTES 4096

/* A line of /proc/self/maps that the process is asked for. */
struct mapping {
	unsigned long start, end;
	char line[512];
};

static const char here[] = "in the file that holds this copy of the library";

static bool is_marker(const struct mapping *mapping)
{
	return strstr(mapping->line, "/memfd:" MARKER) != NULL;
}

static bool is_here(const struct mapping *mapping)
{
	return mapping->start <= (uintptr_t)here && (uintptr_t)here < mapping->end;
}

static bool mapping_find(struct mapping *found, bool (*wanted)(const struct mapping *mapping))
{
	FILE *maps = fopen("/proc/self/maps", "re");
	bool ok = false;

	if (maps == NULL)
		return false;
	while (!ok && fgets(found->line, sizeof(found->line), maps) != NULL)
		ok = sscanf(found->line, "%lx-%lx", &found->start, &found->end) == 2 &&
		     wanted(found);
	(void)fclose(maps);
	return ok;
}

int rpcprof_copy_check(void)
{
	struct mapping marker;

	if (!mapping_find(&marker, is_marker))
		return 0;
	rpcprof_log(RPCPROF_LOG_ERROR, "init: another copy of the library is in use in this "
	            "process: %.*s; link one shared librpcprof everywhere", MARKER_BYTES - 1,
	            (const char *)marker.start);
	return -EBUSY;
}

void rpcprof_copy_mark(void)
{
	int fd = memfd_create(MARKER, MFD_CLOEXEC);
	struct mapping mine;
	const char *path;
	char *page;

	if (fd < 0)
		return; /* no marker: a second copy will not be noticed */
	page = ftruncate(fd, MARKER_BYTES) == 0
	               ? mmap(NULL, MARKER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)
	               : MAP_FAILED;
	(void)close(fd);
	if (page == MAP_FAILED)
		return;
	path = mapping_find(&mine, is_here) ? strchr(mine.line, '/') : NULL;
	(void)snprintf(page, MARKER_BYTES, "%.*s", path != NULL ? (int)strcspn(path, "\n") : 7,
	               path != NULL ? path : "unknown");
	(void)mprotect(page, MARKER_BYTES, PROT_READ);
}
