/* SPDX-License-Identifier: Apache-2.0 */
#include "preload/core_internal.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/preload_internal.h"

struct preload_core preload_core;

static int is_core(struct dl_phdr_info *info, size_t size, void *handle)
{
	(void)size;
	if (!strstr(info->dlpi_name, "/libgrpc.so") &&
	    !strstr(info->dlpi_name, "/libgrpc_unsecure.so"))
		return 0;
	*(void **)handle = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
	return *(void **)handle != NULL;
}

/* A core that was loaded by dlopen() without RTLD_GLOBAL is behind nobody: it is looked for by
 * its file. */
static void *loaded_core(const char *symbol)
{
	void *handle = NULL, *found;

	dl_iterate_phdr(is_core, &handle);
	if (!handle)
		return NULL;
	found = dlsym(handle, symbol);
	dlclose(handle);
	return found;
}

void *preload_next(const char *symbol)
{
	void *found = dlsym(RTLD_NEXT, symbol);

	return found ? found : loaded_core(symbol);
}

static void need(void *pointer, const char *symbol)
{
	void *found = preload_next(symbol);

	if (!found) {
		fprintf(stderr, "rpcprof: %s was called and is nowhere to be found\n", symbol);
		abort();
	}
	memcpy(pointer, &found, sizeof(found)); /* ISO C has no way from an object to a function */
}

static void find(void)
{
#define X(name) need(&preload_core.name, #name);
	PRELOAD_CORE_FUNCTIONS(X)
#undef X
	/* F2 release, pairs with F1. */
	rpcprof_store_release(&preload_core.found, 1u);
	preload_core_called();
}

void preload_core_find(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find);
}
