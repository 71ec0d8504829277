/* SPDX-License-Identifier: Apache-2.0 */
#include "export/gzip_internal.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>

struct rpcprof_gzip {
	struct libdeflate_compressor *compressor;
	struct rpcprof_bytes plain;
};

struct rpcprof_gzip *rpcprof_gzip_open(void)
{
	struct rpcprof_gzip *gzip = calloc(1, sizeof(*gzip));

	if (gzip == NULL)
		return NULL;
	gzip->compressor = libdeflate_alloc_compressor(1);
	if (gzip->compressor != NULL)
		return gzip;
	free(gzip);
	return NULL;
}

void rpcprof_gzip_close(struct rpcprof_gzip *gzip)
{
	libdeflate_free_compressor(gzip->compressor);
	free(gzip->plain.data);
	free(gzip);
}

uint8_t *rpcprof_gzip_room(struct rpcprof_gzip *gzip, size_t length)
{
	if (rpcprof_bytes_reserve(&gzip->plain, length) != 0)
		return NULL;
	return gzip->plain.data + gzip->plain.length;
}

int rpcprof_gzip_put(struct rpcprof_gzip *gzip, size_t length)
{
	gzip->plain.length += length;
	return 0;
}

int rpcprof_gzip_finish(struct rpcprof_gzip *gzip, uint8_t **bytes, size_t *length)
{
	size_t bound = libdeflate_gzip_compress_bound(gzip->compressor, gzip->plain.length);
	uint8_t *out = malloc(bound);

	if (out == NULL)
		return -ENOMEM;
	*length = libdeflate_gzip_compress(gzip->compressor, gzip->plain.data, gzip->plain.length,
	                                   out, bound); /* never 0: there is room for any input */
	*bytes = out;
	return 0;
}
