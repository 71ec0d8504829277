/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/preload_internal.h"

#define LD_PRELOAD "LD_PRELOAD"

static const char *own_path(void)
{
	static const char here[] = "in this library's file";
	Dl_info info;

	return dladdr(here, &info) ? info.dli_fname : "";
}

/* Closes the gap where one file of a list, separated by colons or spaces, was. */
static void list_remove(char *list, const char *file)
{
	size_t length = strlen(file);
	char *found = list;

	while ((found = strstr(found, file)) != NULL) {
		char *end = found + length;

		if ((found == list || strchr(": ", found[-1])) &&
		    (*end == '\0' || strchr(": ", *end))) {
			if (*end != '\0')
				end++;
			else if (found != list)
				found--;
			memmove(found, end, strlen(end) + 1);
			return;
		}
		found = end;
	}
}

void preload_environment_clean(void)
{
	char *list = getenv(LD_PRELOAD);

	if (list) {
		list_remove(list, own_path());
		if (*list == '\0')
			unsetenv(LD_PRELOAD);
	}
	unsetenv(PRELOAD_OUTPUT);
	unsetenv(PRELOAD_FOLLOW);
	unsetenv(PRELOAD_OFF);
	unsetenv(PRELOAD_CONTROL);
	unsetenv(PRELOAD_PROCESS);
}
