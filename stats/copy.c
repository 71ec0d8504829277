/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds another initialised copy of the library in this process (one linked statically into some
 * other object, with a switch of its own): every copy leaves a mapping whose name and content
 * say so.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stats/control_internal.h"

#define MARKER "rpcprof-marker"
#define MARKER_BYTES 4096

/* The beginning of the marker's mapping, NULL if there is none. */
static const char *marker_find(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	const char *found = NULL;
	char line[512];
	unsigned long start;

	if (maps == NULL)
		return NULL;
	while (found == NULL && fgets(line, sizeof(line), maps) != NULL)
		if (strstr(line, "/memfd:" MARKER) != NULL && sscanf(line, "%lx-", &start) == 1)
			found = (const char *)start;
	(void)fclose(maps);
	return found;
}

int rpcprof_copy_check(void)
{
	const char *marker = marker_find();

	if (marker == NULL)
		return 0;
	rpcprof_log(RPCPROF_LOG_ERROR, "init: another copy of the library is in use in this "
	            "process: %.*s; link one shared librpcprof everywhere", MARKER_BYTES - 1, marker);
	return -EBUSY;
}

void rpcprof_copy_mark(void)
{
	int fd = memfd_create(MARKER, MFD_CLOEXEC);
	Dl_info info;
	char *page;

	if (fd < 0)
		return; /* no marker: a second copy will not be noticed */
	page = ftruncate(fd, MARKER_BYTES) == 0
	               ? mmap(NULL, MARKER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)
	               : MAP_FAILED;
	(void)close(fd);
	if (page == MAP_FAILED)
		return;
	if (dladdr(&rpcprof_map, &info) != 0 && info.dli_fname != NULL)
		(void)snprintf(page, MARKER_BYTES, "%s", info.dli_fname);
	(void)mprotect(page, MARKER_BYTES, PROT_READ);
}
