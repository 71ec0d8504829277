/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input_internal.h"

#include <malloc.h>
#include <stdlib.h>

/* Three bytes of JSON, "{},", make some 200 of memory. */
#define JSON_MEMORY_MAX ((size_t)1 << 30)

static size_t used;

static void *bounded_malloc(size_t bytes)
{
	void *memory;

	if (bytes > JSON_MEMORY_MAX - used)
		return NULL;
	memory = malloc(bytes);
	used += malloc_usable_size(memory);
	if (used > JSON_MEMORY_MAX)
		used = JSON_MEMORY_MAX;
	return memory;
}

static void bounded_free(void *memory)
{
	size_t bytes = malloc_usable_size(memory);

	used -= bytes < used ? bytes : used;
	free(memory);
}

void json_memory_limit(void)
{
	json_set_alloc_funcs(bounded_malloc, bounded_free);
}
