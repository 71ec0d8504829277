/* SPDX-License-Identifier: Apache-2.0 */
#include "export/gzip_internal.h"

#include <errno.h>
#include <stdlib.h>

#define LEAST 4096

int rpcprof_bytes_reserve(struct rpcprof_bytes *bytes, size_t more)
{
	size_t room = bytes->length + more;
	uint8_t *larger;

	if (room <= bytes->room && bytes->data != NULL)
		return 0;
	if (room < bytes->room * 2)
		room = bytes->room * 2;
	if (room < LEAST)
		room = LEAST;
	larger = realloc(bytes->data, room);
	if (larger == NULL)
		return -ENOMEM;
	bytes->data = larger;
	bytes->room = room;
	return 0;
}
