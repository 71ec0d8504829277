/* SPDX-License-Identifier: Apache-2.0 */
#include "export/gzip_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#define OUT_BYTES 16384 /* room for zlib to write to at a time */

struct rpcprof_gzip {
	z_stream stream;
	struct rpcprof_bytes plain; /* what is being put */
	struct rpcprof_bytes out;
};

struct rpcprof_gzip *rpcprof_gzip_open(void)
{
	struct rpcprof_gzip *gzip = calloc(1, sizeof(*gzip));

	/* 15 + 16: the largest window, with gzip's header. Level 1 costs a third of the default
	 * level's time and a tenth more bytes. */
	if (gzip != NULL && deflateInit2(&gzip->stream, 1, Z_DEFLATED, 15 + 16, 8,
	                                 Z_DEFAULT_STRATEGY) == Z_OK)
		return gzip;
	free(gzip);
	return NULL;
}

void rpcprof_gzip_close(struct rpcprof_gzip *gzip)
{
	deflateEnd(&gzip->stream);
	free(gzip->plain.data);
	free(gzip->out.data);
	free(gzip);
}

uint8_t *rpcprof_gzip_room(struct rpcprof_gzip *gzip, size_t length)
{
	return rpcprof_bytes_reserve(&gzip->plain, length) == 0 ? gzip->plain.data : NULL;
}

/* Deflates `length` bytes, or all that is pending when finishing, onto the end of out. */
static int compress_bytes(struct rpcprof_gzip *gzip, size_t length, int flush)
{
	z_stream *stream = &gzip->stream;
	int status;

	stream->next_in = gzip->plain.data;
	stream->avail_in = (uInt)length;
	do {
		if (rpcprof_bytes_reserve(&gzip->out, OUT_BYTES) != 0)
			return -ENOMEM;
		stream->next_out = gzip->out.data + gzip->out.length;
		stream->avail_out = OUT_BYTES;
		status = deflate(stream, flush);
		gzip->out.length = (size_t)(stream->next_out - gzip->out.data);
	} while (stream->avail_in != 0 || (flush == Z_FINISH && status == Z_OK));
	return 0;
}

int rpcprof_gzip_put(struct rpcprof_gzip *gzip, size_t length)
{
	return compress_bytes(gzip, length, Z_NO_FLUSH);
}

int rpcprof_gzip_finish(struct rpcprof_gzip *gzip, uint8_t **bytes, size_t *length)
{
	if (compress_bytes(gzip, 0, Z_FINISH) != 0)
		return -ENOMEM;
	*bytes = gzip->out.data;
	*length = gzip->out.length;
	gzip->out = (struct rpcprof_bytes){0};
	return 0;
}
